"""The inference thread: turns, the newest item, the end."""

from __future__ import annotations

import threading
import time

import pytest

from server.worker import InferenceWorker, Lane, threads_for


class Gate:
    """Holds the worker until opened, so that items pile up."""

    def __init__(self, worker: InferenceWorker) -> None:
        self._open = threading.Event()
        self._reached = threading.Event()
        worker.start(self._hold)
        self._reached.wait(5)

    def _hold(self) -> None:
        self._reached.set()
        self._open.wait(5)

    def open(self) -> None:
        self._open.set()


def test_the_newest_item_wins_and_the_one_it_displaces_is_told() -> None:
    worker, seen = InferenceWorker(), list[int]()
    gate, lane = Gate(worker), worker.lane(seen.append)
    assert [lane.offer(number) for number in range(4)] == [False, True, True, True]
    gate.open()
    worker.stop()
    assert seen == [3]


def test_a_busy_lane_does_not_hold_up_another() -> None:
    worker, order = InferenceWorker(), list[str]()
    done = threading.Event()
    greedy: Lane[int]

    def insatiable(number: int) -> None:
        order.append("greedy")
        greedy.offer(number + 1)
        if len(order) >= 12:
            done.set()

    def modest(number: int) -> None:
        order.append("modest")
        if number:
            lane.offer(number - 1)

    greedy, lane = worker.lane(insatiable), worker.lane(modest)
    gate = Gate(worker)
    greedy.offer(0)
    lane.offer(4)
    gate.open()
    assert done.wait(5)
    greedy.close(lambda: None)
    worker.stop()
    assert order[:10] == ["greedy", "modest"] * 5


def test_after_the_last_call_nothing_runs() -> None:
    worker, seen = InferenceWorker(), list[object]()
    gate, lane = Gate(worker), worker.lane(seen.append)
    lane.offer(1)
    lane.close(lambda: seen.append("last"))
    lane.close(lambda: seen.append("again"))
    assert not lane.offer(2)
    gate.open()
    worker.stop()
    assert seen == ["last"]


def test_a_fault_does_not_end_the_thread(caplog: pytest.LogCaptureFixture) -> None:
    worker, seen = InferenceWorker(), list[int]()

    def fails(number: int) -> None:
        raise ZeroDivisionError

    worker.start()
    worker.lane(fails).offer(1)
    worker.lane(seen.append).offer(2)
    worker.stop()
    assert seen == [2]
    assert "could not be processed" in caplog.text


def test_stopping_twice_and_before_the_start_is_safe() -> None:
    before = threading.active_count()
    worker = InferenceWorker()
    worker.stop()
    worker.start()
    worker.stop()
    worker.stop()
    assert threading.active_count() == before


def test_stopping_waits_for_the_item_in_hand() -> None:
    worker, seen = InferenceWorker(), list[int]()

    def slow(number: int) -> None:
        time.sleep(0.05)
        seen.append(number)

    worker.start()
    worker.lane(slow).offer(1)
    worker.stop()
    assert seen == [1]


def test_several_threads_run_several_lanes_at_once() -> None:
    worker = InferenceWorker(threads=3)
    together = threading.Barrier(3)
    met = list[int]()

    def meet(number: int) -> None:
        together.wait(5)
        met.append(number)

    worker.start()
    for number in range(3):
        worker.lane(meet).offer(number)
    worker.stop()
    assert sorted(met) == [0, 1, 2]


def test_a_lane_is_never_in_two_threads_and_keeps_its_order() -> None:
    worker = InferenceWorker(threads=4)
    inside = threading.Lock()
    seen, overlaps = list[int](), list[int]()
    done = threading.Event()
    lane: Lane[int]

    def process(number: int) -> None:
        if not inside.acquire(blocking=False):
            overlaps.append(number)
            return
        if number < 50:
            # handed in while this one is in hand
            lane.offer(number + 1)
        else:
            done.set()
        time.sleep(0.0005)
        seen.append(number)
        inside.release()

    lane = worker.lane(process)
    worker.start()
    lane.offer(0)
    assert done.wait(5)
    worker.stop()
    assert seen == list(range(51)) and not overlaps


def test_with_several_threads_the_last_call_waits_for_the_item_in_hand() -> None:
    worker, order = InferenceWorker(threads=4), list[str]()
    entered = threading.Event()

    def slow(number: int) -> None:
        entered.set()
        time.sleep(0.05)
        order.append("item")

    lane = worker.lane(slow)
    worker.start()
    lane.offer(1)
    assert entered.wait(5)
    lane.close(lambda: order.append("last"))
    worker.stop()
    assert order == ["item", "last"]


def test_with_several_threads_nothing_runs_before_the_first_call_is_done() -> None:
    worker, order = InferenceWorker(threads=4), list[object]()

    def first() -> None:
        time.sleep(0.05)
        order.append("first")

    lane = worker.lane(order.append)
    lane.offer(1)
    worker.start(first)
    worker.stop()
    assert order == ["first", 1]


def test_there_are_more_threads_than_cores_but_not_without_bound() -> None:
    assert threads_for(2) == 6 and threads_for(1) > 1 and threads_for(512) == 32
