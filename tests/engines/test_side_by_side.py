"""Sessions that share few cores: a lone picture has all of them, several one each, and what is shown is the same."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from engines import EngineError, EngineOptions
from engines.backends.openvino_engine import OpenVinoRuntime, open_graphs
from engines.side_by_side import SideBySideRuntime
from rigid.arrays import Array
from rigid.models.contract import CLASSES, RecurrentState, Sizes
from tests.engines.sessions import play, play_together
from tests.fakes import TINY, FakeRuntime
from tests.networks import SIZES, export_once
from tests.patience import PATIENCE_SECONDS, eventually

PARSING = replace(TINY, n_classes=len(CLASSES))
CORES = 2


class Core(FakeRuntime):
    """One core, which can do all but whole pictures; where `hold` says so, it waits for the other one."""

    graphs = frozenset({"invert", "synthesize_face", "parse"})

    def __init__(self, sizes: Sizes, meeting: threading.Barrier | None) -> None:
        super().__init__(sizes)
        self.meeting = meeting

    def parse(self, pictures: Array) -> Array:
        if self.meeting is not None:
            self.meeting.wait(PATIENCE_SECONDS)
        if pictures.min() < -5:
            raise EngineError("The engine fake failed on a frame: too dark.")
        return super().parse(pictures)

    def invert(self, inputs: Array, state: RecurrentState) -> tuple[Array, Array, RecurrentState]:
        assert len(inputs) == len(state.hidden) == 1
        return super().invert(inputs, state)


class AllCores(FakeRuntime):
    """All cores; its whole pictures are held until they may go on."""

    def __init__(self, sizes: Sizes = PARSING, *, meet: bool = False) -> None:
        super().__init__(sizes)
        meeting = threading.Barrier(CORES) if meet else None
        self.cores = [Core(sizes, meeting) for _ in range(CORES)]
        self.entered, self.go_on = threading.Event(), threading.Event()

    def open_cores(self) -> list[Core]:
        return self.cores

    def synthesize(self, codes: Array, noise: Array) -> Array:
        self.entered.set()
        assert self.go_on.wait(PATIENCE_SECONDS)
        return super().synthesize(codes, noise)


@pytest.fixture
def opened() -> Any:
    made: list[SideBySideRuntime] = []

    def make(runtime: AllCores) -> SideBySideRuntime:
        made.append(SideBySideRuntime(runtime, runtime.open_cores()))
        return made[-1]

    yield make
    for one in made:
        one.close()


Open = Callable[[AllCores], SideBySideRuntime]


def faces(count: int, seed: int = 0) -> Array:
    side = TINY.image_size
    return np.random.default_rng(seed).uniform(-1, 1, (count, 3, side, side)).astype(np.float32)


def test_a_lone_picture_has_all_cores_and_two_have_one_each(opened: Open) -> None:
    runtime = AllCores(meet=True)
    shared = opened(runtime)
    assert np.array_equal(shared.parse(faces(1)), FakeRuntime(PARSING).parse(faces(1)))
    assert runtime.parsed == [1] and not any(core.parsed for core in runtime.cores)
    # each core waits until the other one has a picture, too
    assert np.array_equal(shared.parse(faces(2)), FakeRuntime(PARSING).parse(faces(2)))
    assert runtime.parsed == [1] and [core.parsed for core in runtime.cores] == [[1], [1]]


def test_pictures_of_a_batch_have_their_own_states(opened: Open) -> None:
    shared = opened(AllCores())
    state = RecurrentState(*np.random.default_rng(1).standard_normal((2, 3, *TINY.hidden_shape)).astype(np.float32))
    before = faces(3, 1)
    state = state.after(before, before, before, np.zeros((3, 2, 48), np.float32))
    codes, noise, after = shared.invert(faces(3), state)
    own_codes, own_noise, own_after = FakeRuntime().invert(faces(3), state)
    assert np.array_equal(codes, own_codes) and np.array_equal(noise, own_noise)
    assert np.array_equal(after.hidden, own_after.hidden) and np.array_equal(after.cell, own_after.cell)
    assert after.previous_edited is before, "what the engine does not change is handed back itself"


def test_what_no_core_can_do_alone_has_all_and_the_others_wait(opened: Open) -> None:
    runtime = AllCores()
    shared = opened(runtime)
    codes = np.zeros((1, TINY.n_codes, TINY.code_size), np.float32)
    with ThreadPoolExecutor(2) as pool:
        whole = pool.submit(shared.synthesize, codes, np.zeros((1, *TINY.noise_shape), np.float32))
        assert runtime.entered.wait(PATIENCE_SECONDS)
        parsed = pool.submit(shared.parse, faces(2))
        eventually(lambda: len(shared._waiting) == 2, "both pictures wait")
        assert not any(core.parsed for core in runtime.cores)
        runtime.go_on.set()
        assert whole.result(PATIENCE_SECONDS).shape == (1, 3, 64, 64)
        assert len(parsed.result(PATIENCE_SECONDS)) == 2


def test_only_the_call_at_fault_gets_the_error(opened: Open) -> None:
    shared = opened(AllCores(meet=True))
    with ThreadPoolExecutor(2) as pool:
        sound, dark = pool.submit(shared.parse, faces(2)), pool.submit(shared.parse, faces(2) - 10)
        assert isinstance(dark.exception(PATIENCE_SECONDS), EngineError)
        assert np.array_equal(sound.result(PATIENCE_SECONDS), FakeRuntime(PARSING).parse(faces(2)))


def test_closing_twice_ends_the_threads_and_the_engine() -> None:
    runtime, before = AllCores(), set(threading.enumerate())
    shared = SideBySideRuntime(runtime, runtime.open_cores())
    shared.close()
    shared.close()
    assert runtime.closed and set(threading.enumerate()) <= before
    with pytest.raises(EngineError, match="closed"):
        shared.parse(faces(1))


@pytest.mark.slow
def test_sessions_on_two_cores_show_what_each_shows_alone() -> None:
    folder = export_once(recurrent=True)
    runtime = open_graphs(folder, SIZES, EngineOptions(precision="f32", threads=CORES))
    assert isinstance(runtime, OpenVinoRuntime)
    alone = np.array([play(runtime, session, 6) for session in range(3)], np.int16)
    shared = SideBySideRuntime(runtime, runtime.open_cores())
    together = np.array(play_together(shared, 3, 6, in_step=True), np.int16)
    shared.close()
    assert np.abs(alone - together).max() <= 1 and (alone != together).mean() < 1e-3


@pytest.mark.slow
def test_on_one_core_and_on_many_nothing_runs_side_by_side() -> None:
    folder = export_once()
    for threads in (1, 8):
        runtime = open_graphs(folder, SIZES, EngineOptions(precision="f32", threads=threads))
        assert isinstance(runtime, OpenVinoRuntime) and not runtime.open_cores()
        runtime.close()
