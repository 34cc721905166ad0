"""What the wrapped runtimes leave out, and that they leave the rest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from rigid.arrays import Array, Pixels
from rigid.composite.temporal_filter import STEADY_SHARE
from rigid.edits.edit_effect import EditLibrary
from rigid.evaluation.methods import METHODS, MethodOptions, method_names
from rigid.evaluation.optimise import Optimised
from rigid.evaluation.runtimes import (
    EarlyOffsets,
    Encoded,
    WithoutNoiseMap,
    WithoutRecurrence,
    WithoutSharing,
    Wrapped,
)
from rigid.evaluation.tune import Pivots, Tuned, fine_parts, smooth, tune_generator
from rigid.models.contract import RecurrentState, Runtime
from rigid.models.stylegan2 import StyleGAN2
from rigid.stream.face_stream import FaceStream
from tests.evaluation.world import PixelDistance, Thumbnails, tiny_generator
from tests.fakes import TINY, FakeRuntime
from tests.worlds import Brighten, FixedTracker, textured_frame

STATE = RecurrentState.initial(TINY)
LIGHT = {"light": 0.5}


class Noisy(FakeRuntime):
    """A runtime with a recurrent encoder: its noise is the number of frames seen, and moves the picture."""

    def invert(self, inputs: Array, state: RecurrentState) -> tuple[Array, Array, RecurrentState]:
        codes, noise, after = super().invert(inputs, state)
        return codes, noise + np.float32(0.01) * after.hidden.max(), after


def aligned(seed: int = 0) -> Array:
    frame = textured_frame(seed, (TINY.image_size, TINY.image_size, 3))
    picture: Array = frame.transpose(2, 0, 1)[None].astype(np.float32) / np.float32(127.5) - np.float32(1)
    return picture


def crops(count: int) -> list[Pixels]:
    return [textured_frame(seed, (TINY.image_size, TINY.image_size, 3)) for seed in range(count)]


def run_stream(runtime: Runtime, frames: int = 3, library: EditLibrary | None = None) -> None:
    stream = FaceStream(runtime, FixedTracker(), library or Brighten())
    for i in range(frames):
        assert stream.step(textured_frame() + np.uint8(8 * i), LIGHT, i / 25).error is None


def test_without_recurrence_every_frame_is_the_first() -> None:
    noisy = np.ones((1, *TINY.noise_shape), np.float32)
    runtime, state = WithoutRecurrence(Noisy()), replace(STATE, hidden=STATE.hidden + 5, previous_noise=noisy)
    _, noise, after = runtime.invert(aligned(), state)
    assert noise.max() == pytest.approx(0.01) and Noisy().invert(aligned(), state)[1].max() == pytest.approx(0.06)
    assert after.hidden is state.hidden and after.previous_noise is None, "no noise map settles"


def test_without_the_noise_map_the_rest_stays() -> None:
    codes, noise, after = WithoutNoiseMap(Noisy()).invert(aligned(), STATE)
    expected = Noisy().invert(aligned(), STATE)
    assert not noise.any() and expected[1].any()
    assert np.array_equal(codes, expected[0]) and np.array_equal(after.hidden, expected[2].hidden)


def late_codes_shown(runtime: FakeRuntime | WithoutSharing) -> list[Array]:
    """The late codes that the stream has synthesized for each of three different frames."""
    shown: list[Array] = []

    class Watched(Wrapped):
        def synthesize(self, codes: Array, noise: Array) -> Array:
            shown.append(codes[0, -TINY.n_shared_codes :])
            return super().synthesize(codes, noise)

    run_stream(Watched(runtime))
    return shown[-3:]


def test_without_sharing_each_frame_keeps_its_late_codes() -> None:
    shared, own = late_codes_shown(FakeRuntime()), late_codes_shown(WithoutSharing(FakeRuntime()))
    assert np.array_equal(own[0], shared[0])
    assert np.abs(own[1] - own[0]).min() > 0.05
    assert np.array_equal(shared[1], shared[0])


def test_edits_leave_the_late_codes_alone() -> None:
    codes = np.zeros((1, TINY.n_codes, TINY.code_size), np.float32)
    early, all_of_it = (EarlyOffsets(Brighten(), n_late).effect(LIGHT).offsets[0](codes) for n_late in (2, 0))
    assert early[:-2].all() and not early[-2:].any()
    assert all_of_it.all()


def test_per_frame_uses_the_image_encoder_alone() -> None:
    runtime, encode = Noisy(), Thumbnails()
    codes, noise, after = Encoded(runtime, encode).invert(aligned(), STATE)
    assert encode.calls == 1 and runtime.inverted == 0
    assert codes.shape == (1, TINY.n_codes, TINY.code_size) and not noise.any() and after is STATE


def test_optimising_comes_nearer_with_every_step() -> None:
    generator, encode = tiny_generator(), Thumbnails()
    target = generator(torch.randn(1, generator.n_codes, TINY.code_size, generator=torch.Generator().manual_seed(3)))
    wide = replace(TINY, n_codes=generator.n_codes)

    def encode_wide(inputs: Array) -> Array:
        return np.repeat(encode(inputs)[:, :1], wide.n_codes, 1)

    def distance(steps: int) -> float:
        runtime = Optimised(FakeRuntime(wide), encode_wide, generator, PixelDistance(), steps)
        codes, _, _ = runtime.invert(target.numpy(), STATE)
        return float((generator(torch.from_numpy(codes)) - target).square().mean())

    assert distance(4) < 0.9 * distance(0)


def test_smoothing_keeps_what_stands_still_and_calms_what_shakes() -> None:
    still = np.ones((5, 2, 3), np.float32)
    assert smooth(still, 1.0) == pytest.approx(still)
    shaking = np.ones((9, 1, 1), np.float32)
    shaking[::2] = -1
    assert np.abs(smooth(shaking, 1.0)[2:-2]).max() < 0.2


def wide_encoder(n_codes: int) -> Array:
    return np.zeros((1, n_codes, TINY.code_size), np.float32)


def test_tuning_fits_the_generators_fine_levels_to_the_clip() -> None:
    generator = tiny_generator()
    pivots = Pivots(crops(3), lambda inputs: wide_encoder(generator.n_codes) + inputs.mean())
    before = {name: value.clone() for name, value in generator.state_dict().items()}

    def distance(network: torch.nn.Module) -> float:
        made = network(torch.from_numpy(pivots.codes)).numpy()
        targets = np.concatenate([pivots.inputs(i) for i in range(3)])
        return float(np.square(made - targets).mean())

    tuned = tune_generator(generator, PixelDistance(), pivots, steps=8)
    assert distance(tuned) < 0.97 * distance(generator)
    assert all(torch.equal(value, before[name]) for name, value in generator.state_dict().items())
    changed = {name for name, value in tuned.state_dict().items() if not torch.equal(value, before[name])}
    assert changed and all(name.startswith(("levels.2.", "head.")) for name in changed)


def test_of_the_papers_generator_what_is_32_pixels_and_finer_is_tuned() -> None:
    network = StyleGAN2((4, 4, 4, 4, 4), code_size=8, noise_resolution=8)
    names = {module: name for name, module in network.named_modules()}
    tuned = [names[part] for part in fine_parts(network)]
    assert tuned == ["convs.5", "convs.6", "convs.7", "convs.8", "to_rgbs.3", "to_rgbs.4"]


def test_a_tuned_clip_gives_each_face_its_pivot_and_knows_no_others() -> None:
    generator = tiny_generator()
    pivots = Pivots(crops(3), lambda inputs: wide_encoder(generator.n_codes) + inputs[:, :, 0, 0].mean())
    runtime = Tuned(FakeRuntime(), generator, pivots)
    codes, noise, _ = runtime.invert(pivots.inputs(1), STATE)
    assert np.array_equal(codes[0], pivots.codes[1]) and not noise.any()
    expected = generator(torch.from_numpy(codes)).numpy()
    assert runtime.synthesize(codes, noise) == pytest.approx(expected)
    with pytest.raises(RuntimeError, match="not tuned to this face"):
        runtime.invert(aligned(9), STATE)


def test_names_of_methods_and_variants() -> None:
    assert method_names(METHODS, ["nm"]) == [*METHODS, "rigid-without-nm"]
    assert method_names(["rigid", "rigid"], []) == ["rigid"]
    with pytest.raises(ValueError, match="There is no method 'stit'; choose from: rigid, per-frame, optimise, tune"):
        method_names(["stit"], [])
    with pytest.raises(ValueError, match="--without takes tcc, nm, lfd, steadying, drawing, not 'x'"):
        method_names([], ["x"])
    with pytest.raises(ValueError, match="--without ibfcc is no switch"):
        method_names([], ["ibfcc"])


def test_only_what_changes_a_method_is_among_its_options() -> None:
    options = MethodOptions("paper", optimise_steps=7, tune_steps=8)
    assert options.of("rigid-without-nm") == {"composite": "paper", "steady": STEADY_SHARE}
    assert options.of("per-frame") == {}
    assert options.of("optimise") == {"optimise_steps": 7} and options.of("tune") == {"tune_steps": 8}
