"""What every engine must do: one suite over all of them, on tiny random networks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from engines import EngineError
from export.lean_generator import LeanGenerator
from export.networks import Networks
from rigid.arrays import Array
from rigid.models.contract import RecurrentState, Runtime
from rigid.models.mobile_stylegan import MobileStyleGAN
from tests.engines.available import eager, engine_parameters, open_engine
from tests.networks import SIZES, export_inversion, export_once, keep, random_networks, untrained_recurrent_encoder

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=[False, True], ids=["per-frame", "recurrent"])
def networks(request: pytest.FixtureRequest) -> Networks:
    """The contract holds without a recurrent encoder and with one."""
    return random_networks(recurrent=request.param)


@pytest.fixture(scope="module")
def folder(networks: Networks) -> Path:
    return export_once(recurrent=networks.recurrent_encoder is not None)


@pytest.fixture(scope="module")
def reference(networks: Networks) -> Runtime:
    return eager(networks)


@pytest.fixture(scope="module", params=engine_parameters())
def runtime(request: pytest.FixtureRequest, networks: Networks, folder: Path) -> Iterator[Runtime]:
    """An engine that all tests use in turn, as the sessions of a server do."""
    runtime = open_engine(request.param, networks, folder)
    assert runtime.name == request.param
    yield runtime
    runtime.close()


def faces(batch: int, seed: int = 1) -> Array:
    side = SIZES.image_size
    return np.random.default_rng(seed).uniform(-1, 1, (batch, 3, side, side)).astype(np.float32)


def noise_maps(batch: int, scale: float = 1) -> Array:
    return (scale * np.random.default_rng(2).standard_normal((batch, *SIZES.noise_shape))).astype(np.float32)


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_shapes_and_types(runtime: Runtime, batch: int) -> None:
    codes, noise, _ = runtime.invert(faces(batch), RecurrentState.initial(SIZES, batch))
    images = runtime.synthesize(codes, noise)
    classes = runtime.parse(faces(batch))
    assert classes.shape == (batch, SIZES.n_classes, SIZES.image_size // 4, SIZES.image_size // 4)
    assert classes.dtype == np.float32 and classes.min() >= 0
    np.testing.assert_allclose(classes.sum(1), 1, atol=1e-5)
    assert codes.shape == (batch, SIZES.n_codes, SIZES.code_size)
    assert noise.shape == (batch, *SIZES.noise_shape)
    assert images.shape == (batch, 3, SIZES.image_size, SIZES.image_size)
    assert codes.dtype == noise.dtype == images.dtype == np.float32


@pytest.mark.parametrize("batch", [1, 2])
def test_agrees_with_eager_pytorch(runtime: Runtime, reference: Runtime, batch: int) -> None:
    state = RecurrentState.initial(SIZES, batch)
    expected_codes, _, _ = reference.invert(faces(batch), state)
    codes, _, _ = runtime.invert(faces(batch), state)
    np.testing.assert_allclose(codes, expected_codes, atol=1e-4 * np.abs(expected_codes).max(), rtol=0)
    expected = reference.synthesize(expected_codes, noise_maps(batch))
    images = runtime.synthesize(expected_codes, noise_maps(batch))
    np.testing.assert_allclose(images, expected, atol=1e-4 * np.abs(expected).max(), rtol=0)
    np.testing.assert_allclose(runtime.parse(faces(batch)), reference.parse(faces(batch)), atol=1e-4, rtol=0)


def test_codes_and_noise_reach_the_image(runtime: Runtime) -> None:
    codes, nothing, _ = runtime.invert(faces(1), RecurrentState.initial(SIZES))
    plain = runtime.synthesize(codes, nothing)
    assert np.abs(runtime.synthesize(codes, noise_maps(1)) - plain).max() > 0.01
    seen = []
    for i in range(SIZES.n_codes):
        moved = codes.copy()
        moved[:, i] += 1
        seen.append(bool(np.abs(runtime.synthesize(moved, nothing) - plain).max() > 0.001))
    # Codes 3 and 6 are those of image heads this generator does without.
    assert seen == [True, True, True, False, True, True, False, True, True, True]


@pytest.mark.parametrize("networks", [False], indirect=True)
def test_without_a_recurrent_encoder_the_noise_is_zero_and_the_state_stays(runtime: Runtime) -> None:
    state = RecurrentState(
        hidden=np.full((1, *SIZES.hidden_shape), 0.5, np.float32),
        cell=np.full((1, *SIZES.hidden_shape), -0.5, np.float32),
        previous_input=faces(1),
        late_codes=np.ones((1, SIZES.n_shared_codes, SIZES.code_size), np.float32),
    )
    _, noise, after = runtime.invert(faces(1, seed=3), state)
    assert not noise.any()
    assert np.array_equal(after.hidden, state.hidden) and np.array_equal(after.cell, state.cell)
    assert after.previous_input is state.previous_input and after.late_codes is state.late_codes
    assert after.previous_inverted is None


@pytest.mark.parametrize("networks", [True], indirect=True)
def test_a_recurrent_encoder_goes_on_from_its_state_as_eager_pytorch_does(runtime: Runtime, reference: Runtime) -> None:
    state, late = RecurrentState.initial(SIZES, 2), np.zeros((2, SIZES.n_shared_codes, SIZES.code_size), np.float32)
    for step in range(3):
        inputs = faces(2, seed=step)
        expected = reference.invert(inputs, state)
        found = runtime.invert(inputs, state)
        arrays = [(one[0], one[1], one[2].hidden, one[2].cell) for one in (found, expected)]
        for ours, theirs in zip(*arrays, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-4 * np.abs(theirs).max(), rtol=0)
        assert expected[1].any() and not np.array_equal(expected[2].hidden, state.hidden)
        codes, noise, advanced = found
        state = advanced.after(inputs, runtime.synthesize(codes, noise), faces(2, seed=10 + step), late)


@pytest.mark.parametrize("networks", [True], indirect=True)
@pytest.mark.parametrize("part", ["hidden", "cell", "previous_input", "previous_inverted", "previous_edited"])
def test_everything_remembered_matters_to_a_recurrent_encoder(runtime: Runtime, part: str) -> None:
    before = RecurrentState.initial(SIZES)
    remembered = np.full_like(before.hidden, 0.5) if part in ("hidden", "cell") else faces(1, seed=7)
    codes, noise, after = runtime.invert(faces(1), before)
    other_codes, other_noise, other = runtime.invert(faces(1), replace(before, **{part: remembered}))
    early = SIZES.n_codes - SIZES.n_shared_codes
    assert np.abs(other_codes[:, :early] - codes[:, :early]).max() > 1e-3
    np.testing.assert_allclose(other_codes[:, early:], codes[:, early:], atol=1e-5)
    assert np.abs(other_noise - noise).max() > 1e-3
    assert np.abs(other.hidden - after.hidden).max() > 1e-3


@pytest.mark.parametrize("networks", [True], indirect=True)
def test_what_comes_back_goes_in_again_untouched(runtime: Runtime) -> None:
    late = np.ones((1, SIZES.n_shared_codes, SIZES.code_size), np.float32)
    state = RecurrentState.initial(SIZES).after(faces(1, 3), faces(1, 4), faces(1, 5), late)
    _, _, after = runtime.invert(faces(1), state)
    for name in ("previous_input", "previous_inverted", "previous_edited", "late_codes"):
        assert getattr(after, name) is getattr(state, name)
    assert not state.hidden.any() and not state.cell.any(), "the state that went in was written to"


@pytest.fixture(scope="module")
def untrained() -> Networks:
    return replace(random_networks(), recurrent_encoder=untrained_recurrent_encoder())


@pytest.fixture(scope="module")
def untrained_folder(untrained: Networks) -> Path:
    return keep("untrained", partial(export_inversion, untrained), Path(__file__).read_text("utf-8"))


@pytest.mark.parametrize("networks", [False], indirect=True)
@pytest.mark.parametrize("engine", engine_parameters())
def test_an_untrained_recurrent_encoder_leaves_the_image_encoders_codes(
    engine: str, networks: Networks, folder: Path, untrained: Networks, untrained_folder: Path
) -> None:
    plain, other = open_engine(engine, networks, folder), open_engine(engine, untrained, untrained_folder)
    state = RecurrentState.initial(SIZES, 2)
    codes, noise, after = other.invert(faces(2), state)
    np.testing.assert_array_equal(codes, plain.invert(faces(2), state)[0])
    assert not noise.any() and after.hidden.any()
    plain.close()
    other.close()


def test_same_input_same_output_whatever_ran_between(runtime: Runtime) -> None:
    state = RecurrentState.initial(SIZES)
    codes, noise, _ = runtime.invert(faces(1), state)
    images = runtime.synthesize(codes, noise)
    classes = runtime.parse(images)
    kept_codes, kept_images, kept_classes = codes.copy(), images.copy(), classes.copy()
    other_codes, _, _ = runtime.invert(faces(2, seed=4), RecurrentState.initial(SIZES, 2))
    runtime.synthesize(other_codes, noise_maps(2))
    runtime.parse(faces(2, seed=4))
    assert np.array_equal(codes, kept_codes) and np.array_equal(images, kept_images), "an answer was overwritten"
    assert np.array_equal(classes, kept_classes), "an answer was overwritten"
    assert np.array_equal(runtime.invert(faces(1), state)[0], codes)
    assert np.array_equal(runtime.synthesize(codes, noise), images)
    assert np.array_equal(runtime.parse(images), classes)


def test_rows_of_a_batch_do_not_mix(runtime: Runtime) -> None:
    codes, _, _ = runtime.invert(faces(2), RecurrentState.initial(SIZES, 2))
    maps = noise_maps(2)
    together, classes = runtime.synthesize(codes, maps), runtime.parse(faces(2))
    for i in range(2):
        alone = runtime.synthesize(codes[i : i + 1], maps[i : i + 1])
        np.testing.assert_allclose(together[i : i + 1], alone, atol=1e-4 * np.abs(alone).max(), rtol=0)
        np.testing.assert_allclose(classes[i : i + 1], runtime.parse(faces(2)[i : i + 1]), atol=1e-4)
    assert np.abs(classes[0] - classes[1]).max() > 0.01


def test_takes_any_memory_layout(runtime: Runtime) -> None:
    channels_last = np.ascontiguousarray(faces(1).transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    channels_last.setflags(write=False)
    state = RecurrentState.initial(SIZES)
    assert np.array_equal(runtime.invert(channels_last, state)[0], runtime.invert(faces(1), state)[0])
    doubles = faces(1).astype(np.float64)
    assert runtime.invert(doubles, state)[0].dtype == np.float32  # type: ignore[arg-type]


def test_another_shape_is_refused_with_the_expected_one(runtime: Runtime) -> None:
    state = RecurrentState.initial(SIZES)
    with pytest.raises(ValueError, match=r"inputs has the shape \(1, 3, 32, 32\); \(B, 3, 64, 64\) is expected"):
        runtime.invert(np.zeros((1, 3, 32, 32), np.float32), state)
    with pytest.raises(ValueError, match="hidden has the shape"):
        runtime.invert(faces(2), state)
    with pytest.raises(ValueError, match="noise has the shape"):
        runtime.synthesize(np.zeros((2, SIZES.n_codes, SIZES.code_size), np.float32), noise_maps(1))
    with pytest.raises(ValueError, match=r"pictures has the shape \(1, 3, 64\); \(B, 3, 64, 64\) is expected"):
        runtime.parse(np.zeros((1, 3, 64), np.float32))
    with pytest.raises(ValueError, match="codes has the shape"):
        runtime.synthesize(np.zeros((0, SIZES.n_codes, SIZES.code_size), np.float32), noise_maps(1))


def test_faces_are_their_part_of_the_picture_where_an_engine_makes_them(runtime: Runtime, networks: Networks) -> None:
    codes, _, _ = runtime.invert(faces(2), RecurrentState.initial(SIZES, 2))
    corners = np.array([[0, 0], [2, 4]], np.float32)
    if runtime.sizes.face_window is None:
        with pytest.raises(EngineError, match="makes whole pictures only"):
            runtime.synthesize_face(codes, noise_maps(2), corners)
        return
    generator = networks.generator
    assert isinstance(generator, MobileStyleGAN) and runtime.sizes.face_window == (5, 4)
    given = [torch.from_numpy(array) for array in (codes, noise_maps(2), corners)]
    expected = LeanGenerator(generator, (5, 4))(*given).numpy()
    found = runtime.synthesize_face(codes, noise_maps(2), corners)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max(), rtol=0)
    alone = runtime.synthesize_face(codes[1:], noise_maps(2)[1:], corners[1:])
    np.testing.assert_allclose(alone[0], expected[1], atol=1e-4 * np.abs(expected).max(), rtol=0)
    with pytest.raises(ValueError, match=r"corners are \[\[0.0, 0.0\], \[4.0, 0.0\]\]; from \(0, 0\) to \(3, 4\)"):
        runtime.synthesize_face(codes, noise_maps(2), np.array([[0, 0], [4, 0]], np.float32))


@pytest.mark.parametrize("networks", [False], indirect=True)
@pytest.mark.parametrize("engine", engine_parameters())
def test_without_a_face_parser_a_runtime_says_so(engine: str, networks: Networks, folder: Path, tmp_path: Path) -> None:
    without = shutil.copytree(folder, tmp_path / "without", ignore=shutil.ignore_patterns("parse.*"))
    runtime = open_engine(engine, replace(networks, face_parser=None), without)
    assert runtime.sizes == replace(SIZES, n_classes=0, face_window=runtime.sizes.face_window)
    with pytest.raises(EngineError, match=f"The engine {engine} has no face parser"):
        runtime.parse(faces(1))
    codes, _, _ = runtime.invert(faces(1), RecurrentState.initial(SIZES))
    assert codes.any()
    runtime.close()


@pytest.mark.parametrize("engine", engine_parameters())
def test_close_twice_then_use(engine: str, networks: Networks, folder: Path) -> None:
    runtime = open_engine(engine, networks, folder)
    runtime.close()
    runtime.close()
    with pytest.raises(EngineError, match="closed"):
        runtime.invert(faces(1), RecurrentState.initial(SIZES))
    with pytest.raises(EngineError, match="closed"):
        runtime.parse(faces(1))
