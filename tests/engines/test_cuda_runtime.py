"""Engines that keep the state of sessions on their device, with the computer's own memory for the device's."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from engines.backends.torch_engine import Part, parts_of
from engines.background_upgrade import UpgradingRuntime
from engines.batch_calls import BatchCallRuntime, make_batch_call_runtime
from engines.batching import BatchedRuntime
from engines.cuda_runtime import Call, DeviceGraph, DeviceRuntime, Shapes, Tensors
from engines.device_copies import DeviceCopies
from engines.graph_runtime import GraphRuntime
from rigid.arrays import Array
from rigid.models.contract import PICTURES, RecurrentState, Runtime
from tests.engines.available import eager
from tests.engines.sessions import hold_first, play, play_together
from tests.networks import SIZES, random_networks
from tests.patience import PATIENCE_SECONDS

GREY_LEVELS = 1
"""How far a batch may be from single calls, as `test_batching` has it."""
INVERT_SIZE, SYNTHESIZE_SIZE = 6, 2
"""Inputs of the two graphs."""


class HostBatch:
    """A batch without a GPU; notes which inputs came from the host."""

    def __init__(self, call: Call, shapes: Shapes, uploads: list[set[str]]):
        self._call, self._uploads = call, uploads
        self.given = {name: torch.zeros(shape) for name, shape in shapes.items()}
        self.staging = {name: torch.full(shape, torch.nan) for name, shape in shapes.items()}

    def run(self) -> Tensors:
        self._uploads.append({name for name, value in self.staging.items() if not value.isnan().all()})
        for value in self.staging.values():
            value.fill_(torch.nan)
        return self._call(self.given)


class World:
    """Tiny networks on such a device."""

    def __init__(self, call_of: Callable[[Part], Call] | None = None) -> None:
        networks = random_networks(recurrent=True)
        self.reference = eager(networks)
        self.uploads: list[set[str]] = []
        self.device_copies = DeviceCopies()
        encoder, generator, recurrent = networks.image_encoder, networks.generator, networks.recurrent_encoder
        parts = parts_of(encoder, generator, SIZES, recurrent, networks.face_parser)
        graphs = {name: self._graph(part, (call_of or _call_of)(part)) for name, part in parts.items()}
        self.runtime = DeviceRuntime("device", SIZES, graphs)

    def _graph(self, part: Part, call: Call) -> DeviceGraph:
        return DeviceGraph(call, part.inputs, self.device_copies, lambda c, shapes: HostBatch(c, shapes, self.uploads))

    def uploaded(self, size: int) -> list[set[str]]:
        """What each call of the graph with `size` inputs took from the host."""
        known = {INVERT_SIZE: {"inputs", "hidden"}, SYNTHESIZE_SIZE: {"codes", "noise"}}[size]
        return [names for names in self.uploads if names & known]


def _call_of(part: Part) -> Call:
    def call(given: Tensors) -> Tensors:
        answer = part.module(*(given[name] for name in part.inputs))
        answers = (answer,) if isinstance(answer, Tensor) else answer
        return dict(zip(part.outputs, answers, strict=True))

    return call


def test_a_stream_uploads_its_frame_alone_and_shows_the_same_bits() -> None:
    world = World()
    shown = play(world.runtime, 0, 8)
    assert np.array_equal(shown, play(world.reference, 0, 8))
    first, *later = world.uploaded(INVERT_SIZE)
    assert first == {"inputs", "hidden", "cell"}, "the first frame stands for the one before it, once"
    assert len(later) >= 7 and all(names <= {"inputs"} for names in later)
    assert all(names == {"codes", "noise"} for names in world.uploaded(SYNTHESIZE_SIZE))


def test_sessions_in_one_batch_upload_their_frames_alone() -> None:
    world = World()
    alone = [play(world.reference, session, 6) for session in range(3)]
    batched = BatchedRuntime(world.runtime)
    hold_first(batched, 3)
    together = play_together(batched, 3, 6, in_step=True)
    batched.close()
    assert np.abs(np.subtract(alone, together, dtype=np.int16)).max() <= GREY_LEVELS
    assert max(batched.batches) > 1, "no calls met, so nothing was proved"
    first, *later = world.uploaded(INVERT_SIZE)
    assert not any(names & set(PICTURES) for names in (first, *later))
    assert later[-1] <= {"inputs"}, "by then all have states"


def steps(runtime: Runtime, count: int, copy: Callable[[Array], Array] = lambda array: array) -> list[Array]:
    """Pictures of a stream of random frames, whose state goes through `copy` on its way."""
    state, pictures = RecurrentState.initial(SIZES), []
    for number in range(count):
        frame = random_pictures(1, number)
        codes, noise, state = runtime.invert(frame, state)
        pair = runtime.synthesize(np.concatenate([codes, codes * 1.1]), np.concatenate([noise, noise]))
        pictures.append(pair)
        before, inverted, edited = map(copy, (frame, pair[:1], pair[1:]))
        state = RecurrentState(copy(state.hidden), copy(state.cell)).after(before, inverted, edited, codes[:, -3:])
    return pictures


def random_pictures(count: int, seed: int) -> Array:
    side = SIZES.image_size
    return np.random.default_rng(seed).uniform(-1, 1, (count, 3, side, side)).astype(np.float32)


def test_a_state_from_elsewhere_is_uploaded_and_goes_on_alike() -> None:
    world = World()
    expected = steps(world.runtime, 4)
    world.uploads.clear()
    assert np.array_equal(steps(world.runtime, 4, copy=np.copy), expected)
    everything = {"inputs", "hidden", "cell", *PICTURES}
    assert world.uploaded(INVERT_SIZE)[1:] == [everything] * 3


def test_a_frame_filled_anew_into_the_same_array_is_seen() -> None:
    world, buffer = World(), random_pictures(1, 0)
    initial = RecurrentState.initial(SIZES)
    world.runtime.invert(buffer, initial)
    buffer[:] = random_pictures(1, 1)
    codes, _, _ = world.runtime.invert(buffer, initial)
    assert np.array_equal(codes, world.reference.invert(random_pictures(1, 1), initial)[0])


def test_an_engine_that_takes_over_is_given_the_state() -> None:
    world = World()
    expected = steps(world.reference, 4)
    switching = UpgradingRuntime(world.reference, lambda: world.runtime)
    switching.thread.join(PATIENCE_SECONDS)
    assert isinstance(switching, BatchCallRuntime) and np.array_equal(steps(switching, 4), expected)
    (answer,) = switching.synthesize_each([(np.zeros((1, 10, 32), np.float32), np.zeros((1, 16, 8, 8), np.float32))])
    assert answer.shape == (1, 3, 64, 64) and world.uploads


def test_what_no_state_holds_any_more_is_freed() -> None:
    world = World()
    pictures = steps(world.runtime, 5)
    gc.collect()
    assert len(world.device_copies) == len(pictures)
    pictures.clear()
    gc.collect()
    assert len(world.device_copies) == 0


def test_generated_pictures_are_parsed_where_they_lie_and_real_ones_are_uploaded() -> None:
    world = World()
    frame = random_pictures(1, 0)
    codes, noise, _ = world.runtime.invert(frame, RecurrentState.initial(SIZES))
    pictures = world.runtime.synthesize(codes.repeat(2, 0), noise.repeat(2, 0))
    world.uploads.clear()
    answers = [world.runtime.parse(given) for given in (pictures[1:], frame)]
    frame[:] = random_pictures(1, 1)
    answers += [world.runtime.parse(frame), *world.runtime.parse_each([frame, pictures])]
    assert world.uploads == [set(), {"pictures"}, {"pictures"}, {"pictures"}]
    given = [pictures[1:], random_pictures(1, 0), frame, frame, pictures]
    for answer, own in zip(answers, given, strict=True):
        np.testing.assert_allclose(answer, world.reference.parse(own), atol=1e-5)


def test_what_the_device_has_a_copy_of_cannot_be_written_to() -> None:
    world = World()
    codes, noise, state = world.runtime.invert(random_pictures(1, 0), RecurrentState.initial(SIZES))
    pictures = world.runtime.synthesize(codes, noise)
    for array in (pictures, pictures[:1], state.hidden, state.cell):
        with pytest.raises(ValueError, match="read-only"):
            array[:] = 0
    codes[:] = 0


def test_sessions_that_memory_does_not_hold_together_run_in_halves(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[int] = []

    def small(part: Part) -> Call:
        def call(given: Tensors) -> Tensors:
            rows = len(next(iter(given.values())))
            seen.append(rows)
            if rows > 2:
                raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
            return _call_of(part)(given)

        return call

    world = World(small)
    calls = [(random_pictures(1, seed), RecurrentState.initial(SIZES)) for seed in range(4)]
    for _ in range(2):
        answers = world.runtime.invert_each(calls)
        for (codes, noise, _), call in zip(answers, calls, strict=True):
            own_codes, own_noise, _ = world.reference.invert(*call)
            np.testing.assert_allclose(codes, own_codes, atol=1e-5)
            np.testing.assert_allclose(noise, own_noise, atol=1e-5)
    assert seen == [4, 2, 2, 2, 2] and "no memory for a batch of 4" in caplog.text


def test_runtimes_without_a_device_are_joined_on_the_host() -> None:
    world = World()
    assert isinstance(world.reference, GraphRuntime) and make_batch_call_runtime(world.runtime) is world.runtime
    calls = [(random_pictures(rows, rows), RecurrentState.initial(SIZES, rows)) for rows in (1, 2)]
    on_host, on_device = make_batch_call_runtime(world.reference).invert_each(calls), world.runtime.invert_each(calls)
    for ours, theirs in zip(on_host, on_device, strict=True):
        np.testing.assert_array_equal(ours[0], theirs[0])
        np.testing.assert_array_equal(ours[2].cell, theirs[2].cell)


def found(device_copies: DeviceCopies, views: Mapping[str, Array]) -> dict[str, Sequence[float] | None]:
    copies = {name: device_copies.find(view) for name, view in views.items()}
    return {name: None if copy is None else copy[:, 0].tolist() for name, copy in copies.items()}


def test_rows_of_an_array_are_found_and_nothing_else() -> None:
    device_copies, owner = DeviceCopies(), np.arange(12, dtype=np.float32).reshape(4, 3).copy()
    device_copies.keep(owner, torch.from_numpy(owner.copy()))
    views = {
        "all": owner,
        "some": owner[1:3],
        "some of some": owner[1:][1:],
        "every other": owner[::2],
        "backwards": owner[::-1],
        "columns": owner[:, 1:],
        "one row, no batch": owner[1],
        "another shape": owner.reshape(3, 4),
        "a copy": owner.copy(),
    }
    assert found(device_copies, views) == dict.fromkeys(views) | {
        "all": [0, 3, 6, 9],
        "some": [3, 6],
        "some of some": [6, 9],
    }


def test_a_single_row_with_an_axis_of_no_stride_is_found() -> None:
    copies, row = DeviceCopies(), np.ones((3, 4), np.float32)[None]
    copies.keep(row, copy := torch.ones(1, 3, 4))
    found = copies.find(row)
    assert row.strides[0] == 0 and found is not None and torch.equal(found, copy)
