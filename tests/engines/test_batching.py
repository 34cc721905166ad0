"""Sessions that share a runtime: what runs together comes out as it would alone, and no state crosses."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from engines import EngineError
from engines.batching import BatchedRuntime, BatchingOptions
from rigid.arrays import Array
from rigid.models.contract import CLASSES, RecurrentState, Runtime, Sizes
from tests.engines.available import engine_parameters, open_engine
from tests.engines.sessions import hold_first, play, play_together
from tests.fakes import TINY, FakeRuntime
from tests.networks import export_once, random_networks
from tests.patience import PATIENCE_SECONDS, eventually

pytestmark = pytest.mark.slow

PATIENT = BatchingOptions(longest_wait=PATIENCE_SECONDS)
"""Waits until all callers of the last round are there: batches do not depend on the machine's speed."""

GREEDY = 3


class Gate(FakeRuntime):
    """Holds its first call until opened, so that calls pile up; notes the rows of every call."""

    def __init__(self, sizes: Sizes = TINY) -> None:
        super().__init__(sizes)
        self.opened = threading.Event()
        self.entered = threading.Event()
        self.rows: list[int] = []
        self.running = 0
        self.threads: set[int] = set()

    def invert(self, inputs: Array, state: RecurrentState) -> tuple[Array, Array, RecurrentState]:
        self.threads.add(threading.get_ident())
        self.running += 1
        assert self.running == 1, "the engine was called from two threads at once"
        self.entered.set()
        assert self.opened.wait(PATIENCE_SECONDS)
        self.rows.append(len(inputs))
        answer = super().invert(inputs, state)
        self.running -= 1
        return answer


def faces(count: int, seed: int, sizes: Sizes = TINY) -> Array:
    side = sizes.image_size
    return np.random.default_rng(seed).uniform(-1, 1, (count, 3, side, side)).astype(np.float32)


def random_state(count: int, seed: int, sizes: Sizes = TINY, *, first: bool = False) -> RecurrentState:
    random = np.random.default_rng(seed)
    hidden, cell = random.standard_normal((2, count, *sizes.hidden_shape)).astype(np.float32)
    late = random.standard_normal((count, sizes.n_shared_codes, sizes.code_size)).astype(np.float32)
    if first:
        return RecurrentState(hidden, cell)
    before, inverted, edited = (faces(count, seed + i, sizes) for i in (100, 200, 300))
    return RecurrentState(hidden, cell).after(before, inverted, edited, late)


def pile_up(gate: Gate, batched: BatchedRuntime, calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """The answers of `calls` that all come while the engine is busy with another one, in order."""
    with ThreadPoolExecutor(len(calls) + 1) as pool:
        pool.submit(batched.invert, faces(1, 0), RecurrentState.initial(TINY))
        assert gate.entered.wait(PATIENCE_SECONDS)
        futures = []
        for number, call in enumerate(calls):
            futures.append(pool.submit(call))
            eventually(lambda: len(batched._waiting) > number, "the call waits")  # noqa: B023
        gate.opened.set()
        return [future.exception(PATIENCE_SECONDS) or future.result(PATIENCE_SECONDS) for future in futures]


def test_what_waits_together_is_one_batch_on_one_thread() -> None:
    gate = Gate()
    batched = BatchedRuntime(gate)
    given = [faces(1, seed) for seed in range(1, 5)]
    states = [random_state(1, seed) for seed in range(1, 5)]
    answers = pile_up(gate, batched, [partial(batched.invert, *pair) for pair in zip(given, states, strict=True)])
    batched.close()
    assert gate.rows == [1, 4] and batched.batches == {1: 1, 4: 1} and len(gate.threads) == 1
    for answer, inputs, state in zip(answers, given, states, strict=True):
        codes, noise, after = answer
        own_codes, own_noise, own_after = FakeRuntime().invert(inputs, state)
        assert np.array_equal(codes, own_codes) and np.array_equal(noise, own_noise)
        assert np.array_equal(after.hidden, own_after.hidden) and np.array_equal(after.cell, own_after.cell)
        for name in ("previous_input", "previous_inverted", "previous_edited", "late_codes"):
            assert getattr(after, name) is getattr(state, name), "what the engine does not change is handed back itself"


def test_faces_of_several_sessions_are_one_batch_each_with_its_own_corner() -> None:
    gate = Gate(replace(TINY, face_window=(5, 4)))
    batched = BatchedRuntime(gate)
    given = [random_faces(seed, corner) for seed, corner in ((1, (0, 0)), (2, (3, 4)), (3, (1, 2)))]
    answers = pile_up(gate, batched, [partial(batched.synthesize_face, *arrays) for arrays in given])
    with pytest.raises(ValueError, match=r"corners has the shape \(1, 3\)"):
        batched.synthesize_face(*given[0][:2], np.zeros((1, 3), np.float32))
    batched.close()
    assert batched.batches == {1: 1, 3: 1}
    for answer, arrays in zip(answers, given, strict=True):
        assert np.array_equal(answer, FakeRuntime(gate.sizes).synthesize_face(*arrays))


def test_pictures_of_several_sessions_are_parsed_as_one_batch() -> None:
    gate = Gate(replace(TINY, n_classes=len(CLASSES)))
    batched = BatchedRuntime(gate)
    given = [faces(rows, rows) for rows in (1, 2, 3)]
    answers = pile_up(gate, batched, [partial(batched.parse, pictures) for pictures in given])
    with pytest.raises(ValueError, match=r"pictures has the shape \(1, 3, 8, 8\); \(1, 3, 64, 64\) is expected"):
        batched.parse(np.zeros((1, 3, 8, 8), np.float32))
    batched.close()
    assert gate.parsed == [6]
    for answer, pictures in zip(answers, given, strict=True):
        assert np.array_equal(answer, FakeRuntime(gate.sizes).parse(pictures)) and answer.base is None


def random_faces(seed: int, corner: tuple[int, int]) -> tuple[Array, Array, Array]:
    """Codes, noise and corners of one picture."""
    codes = np.random.default_rng(seed).uniform(-1, 1, (1, TINY.n_codes, TINY.code_size)).astype(np.float32)
    return codes, np.zeros((1, *TINY.noise_shape), np.float32), np.array([corner], np.float32)


def test_answers_share_no_memory() -> None:
    gate = Gate()
    batched = BatchedRuntime(gate)
    calls = [partial(batched.invert, faces(1, seed), random_state(1, seed)) for seed in (1, 2)]
    (first, _, first_after), (second, _, second_after) = pile_up(gate, batched, calls)
    kept = second.copy(), second_after.hidden.copy()
    first[:] = np.nan
    first_after.hidden[:] = np.nan
    assert np.array_equal(second, kept[0]) and np.array_equal(second_after.hidden, kept[1])
    batched.close()


def test_batches_hold_no_more_than_they_may_and_a_large_call_runs_alone() -> None:
    gate = Gate()
    batched = BatchedRuntime(gate, BatchingOptions(most_rows=3))
    calls = [partial(batched.invert, faces(n, n), random_state(n, n)) for n in (2, 5, 1, 2, 1)]
    answers = pile_up(gate, batched, calls)
    assert gate.rows == [1, 3, 5, 3]
    assert [answer[0].shape[0] for answer in answers] == [2, 5, 1, 2, 1]
    batched.close()


def test_on_processors_a_batch_has_a_picture_a_core() -> None:
    gate = Gate()
    batched = BatchedRuntime(gate, BatchingOptions.of_machine(2, gpu=False))
    pile_up(gate, batched, [partial(batched.invert, faces(1, seed), random_state(1, seed)) for seed in range(4)])
    assert gate.rows == [1, 2, 2]
    batched.close()


def test_a_first_frame_beside_later_ones_stands_for_the_one_before_it() -> None:
    seen: list[RecurrentState] = []

    class Watched(Gate):
        def invert(self, inputs: Array, state: RecurrentState) -> tuple[Array, Array, RecurrentState]:
            seen.append(state)
            return super().invert(inputs, state)

    gate = Watched()
    batched = BatchedRuntime(gate)
    new, old, old_state = faces(1, 1), faces(1, 2), random_state(1, 2)
    calls = [lambda: batched.invert(new, random_state(1, 1, first=True)), lambda: batched.invert(old, old_state)]
    (_, _, after), _ = pile_up(gate, batched, calls)
    assert after.previous_edited is None
    together = seen[-1].previous_edited
    assert together is not None and old_state.previous_edited is not None
    assert np.array_equal(together[0], new[0]) and np.array_equal(together[1], old_state.previous_edited[0])
    batched.close()


def test_nobody_is_passed_over() -> None:
    order: list[str] = []
    stop = threading.Event()

    class Crowded(FakeRuntime):
        """Begins a round only once all others wait, so that the order is the queue's and not the threads'."""

        def invert(self, inputs: Array, state: RecurrentState) -> tuple[Array, Array, RecurrentState]:
            self.note("modest")
            return super().invert(inputs, state)

        def synthesize(self, codes: Array, noise: Array) -> Array:
            self.note("greedy")
            return super().synthesize(codes, noise)

        def note(self, name: str) -> None:
            order.append(name)
            eventually(lambda: len(batched._waiting) >= GREEDY or stop.is_set(), "the others' calls")

    batched = BatchedRuntime(Crowded(), BatchingOptions(most_rows=2))

    def greedy() -> None:
        codes = np.zeros((2, TINY.n_codes, TINY.code_size), np.float32)
        while not stop.is_set():
            batched.synthesize(codes, np.zeros((2, *TINY.noise_shape), np.float32))

    threads = [threading.Thread(target=greedy) for _ in range(GREEDY)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        batched.invert(faces(1, 1), RecurrentState.initial(TINY))
    stop.set()
    for thread in threads:
        thread.join()
    batched.close()
    turns = [i for i, name in enumerate(order) if name == "modest"]
    assert set(np.diff(turns)) == {GREEDY + 1}


def test_a_call_waits_for_others_no_longer_than_allowed() -> None:
    gate = Gate()
    batched = BatchedRuntime(gate, BatchingOptions(longest_wait=0.05))
    pile_up(gate, batched, [lambda: batched.invert(faces(1, 1), random_state(1, 1)) for _ in range(3)])
    began = time.monotonic()
    batched.invert(faces(1, 1), random_state(1, 1))
    assert 0.04 < time.monotonic() - began < PATIENCE_SECONDS, "three came before: it waits for them, but not for ever"
    assert batched._expected == 1, "the next one does not wait"
    batched.close()


class Fragile(Gate):
    """Fails where a picture is darker than anything it is meant for."""

    def invert(self, inputs: Array, state: RecurrentState) -> tuple[Array, Array, RecurrentState]:
        answer = super().invert(inputs, state)
        if inputs.min() < -5:
            raise EngineError("The engine fake failed on a frame: too dark.")
        return answer


def test_only_the_call_at_fault_gets_the_error() -> None:
    gate = Fragile()
    batched = BatchedRuntime(gate)
    given = [faces(1, 1), faces(1, 2) - 10, faces(1, 3)]
    answers = pile_up(gate, batched, [partial(batched.invert, given[i], random_state(1, i)) for i in range(3)])
    assert isinstance(answers[1], EngineError)
    for i in (0, 2):
        assert np.array_equal(answers[i][0], FakeRuntime().invert(given[i], random_state(1, i))[0])
    batched.close()


def test_a_wrong_shape_is_refused_before_it_meets_others() -> None:
    batched = BatchedRuntime(FakeRuntime())
    with pytest.raises(ValueError, match=r"inputs has the shape \(1, 3, 8, 8\); \(1, 3, 64, 64\) is expected"):
        batched.invert(np.zeros((1, 3, 8, 8), np.float32), RecurrentState.initial(TINY))
    with pytest.raises(ValueError, match="hidden has the shape"):
        batched.invert(faces(2, 1), RecurrentState.initial(TINY))
    with pytest.raises(ValueError, match="noise has the shape"):
        batched.synthesize(np.zeros((1, TINY.n_codes, TINY.code_size), np.float32), np.zeros((2, 4, 8, 8), np.float32))
    batched.close()


def test_closing_twice_ends_the_thread_and_the_engine() -> None:
    runtime, before = FakeRuntime(), set(threading.enumerate())
    batched = BatchedRuntime(runtime)
    batched.close()
    batched.close()
    assert runtime.closed and set(threading.enumerate()) <= before
    with pytest.raises(EngineError, match="closed"):
        batched.invert(faces(1, 1), RecurrentState.initial(TINY))


# ---- whole streams


@pytest.mark.parametrize("in_step", [True, False], ids=["batched", "interleaved"])
def test_sessions_show_bit_for_bit_what_each_shows_alone(in_step: bool) -> None:
    alone = [play(FakeRuntime(), session, 12) for session in range(4)]
    runtime = FakeRuntime(delay_seconds=0.001)
    batched = BatchedRuntime(runtime)
    hold_first(batched, 4)
    together = play_together(batched, 4, 12, in_step=in_step)
    batched.close()
    assert np.array_equal(alone, together)
    assert max(batched.batches) > 1, "no calls met, so nothing was proved"


@pytest.fixture(params=engine_parameters())
def engine(request: pytest.FixtureRequest) -> Runtime:
    folder = export_once(recurrent=True)
    return open_engine(request.param, random_networks(recurrent=True), folder)


def test_on_a_recurrent_engine_sessions_show_what_each_shows_alone(engine: Runtime) -> None:
    alone = np.array([play(engine, session, 6) for session in range(3)], np.int16)
    assert np.abs(alone[0] - alone[1]).mean() > 1, "sessions that show the same would prove nothing"
    with closing(BatchedRuntime(engine)) as batched:
        for in_step in (True, False):
            hold_first(batched, 3)
            together = np.array(play_together(batched, 3, 6, in_step=in_step), np.int16)
            # The order of sums may differ with the batch, and a value between two grey levels then fall over.
            assert np.abs(alone - together).max() <= 1 and (alone != together).mean() < 1e-3
    assert max(batched.batches) > 1, "no calls met, so nothing was proved"
