"""The inference thread: turns, the newest item, the end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import pytest

from server.frames.worker import InferenceWorker, Lane, in_hand_for, threads_for
from tests.patience import PATIENCE_SECONDS, eventually


class Gate:
    """Holds the worker until opened, so that items pile up."""

    def __init__(self, worker: InferenceWorker) -> None:
        self._open = threading.Event()
        self._reached = threading.Event()
        worker.start(self._hold)
        self._reached.wait(PATIENCE_SECONDS)

    def _hold(self) -> None:
        self._reached.set()
        self._open.wait(PATIENCE_SECONDS)

    def open(self) -> None:
        self._open.set()


def await_others(worker: InferenceWorker) -> None:
    """Wait, in an item's stage, until another thread has run all that had its turn before."""
    passed = threading.Event()
    worker.lane(lambda _: passed.set()).offer(1)
    assert passed.wait(PATIENCE_SECONDS)


class AwaitStop:
    """What a thread of a worker calls to go on only once the worker is stopped, which is done after `entered`."""

    def __init__(self, worker: InferenceWorker) -> None:
        self.entered = threading.Event()
        self._changed = worker.changed

    def __call__(self) -> None:
        with self._changed:
            self.entered.set()
            assert self._changed.wait(PATIENCE_SECONDS)


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
    assert done.wait(PATIENCE_SECONDS)
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
    worker = InferenceWorker()
    worker.stop()
    worker.start()
    worker.stop()
    worker.stop()
    assert not any(thread.name.startswith("inference") for thread in threading.enumerate())


def test_stopping_waits_for_the_item_in_hand() -> None:
    worker, seen = InferenceWorker(), list[int]()
    await_stop = AwaitStop(worker)

    def slow(number: int) -> None:
        await_stop()
        seen.append(number)

    worker.start()
    worker.lane(slow).offer(1)
    assert await_stop.entered.wait(PATIENCE_SECONDS)
    worker.stop()
    assert seen == [1]


def test_several_threads_run_several_lanes_at_once() -> None:
    worker = InferenceWorker(threads=3)
    together = threading.Barrier(3)
    met = list[int]()

    def meet(number: int) -> None:
        together.wait(PATIENCE_SECONDS)
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
        await_others(worker)
        seen.append(number)
        inside.release()

    lane = worker.lane(process)
    worker.start()
    lane.offer(0)
    assert done.wait(PATIENCE_SECONDS)
    worker.stop()
    assert seen == list(range(51)) and not overlaps


def test_with_several_threads_the_last_call_waits_for_the_item_in_hand() -> None:
    worker, order = InferenceWorker(threads=4), list[str]()
    entered, closed = threading.Event(), threading.Event()

    def slow(number: int) -> None:
        entered.set()
        assert closed.wait(PATIENCE_SECONDS)
        await_others(worker)
        order.append("item")

    lane = worker.lane(slow)
    worker.start()
    lane.offer(1)
    assert entered.wait(PATIENCE_SECONDS)
    lane.close(lambda: order.append("last"))
    closed.set()
    worker.stop()
    assert order == ["item", "last"]


def test_with_several_threads_nothing_runs_before_the_first_call_is_done() -> None:
    worker, order = InferenceWorker(threads=4), list[object]()
    await_stop = AwaitStop(worker)

    def first() -> None:
        await_stop()
        order.append("first")

    lane = worker.lane(order.append)
    lane.offer(1)
    worker.start(first)
    assert await_stop.entered.wait(PATIENCE_SECONDS)
    worker.stop()
    assert order == ["first", 1]


def test_there_are_more_threads_than_cores_but_not_without_bound() -> None:
    assert threads_for(2) == 6 and threads_for(1) > 1 and threads_for(512) == 32


def test_a_second_frame_is_in_hand_only_where_a_core_is_spare() -> None:
    assert in_hand_for(1) == in_hand_for(2) == 1 and in_hand_for(4) == 2


def test_with_one_item_in_hand_the_next_one_waits_for_the_last_stage() -> None:
    worker, order = InferenceWorker(threads=4, in_hand=1), list[str]()
    done = threading.Event()

    def first(item: int) -> int:
        order.append(f"first {item}")
        if item < 5:
            lane.offer(item + 1)
        return item

    def last(item: int) -> None:
        await_others(worker)
        order.append(f"last {item}")
        if item == 5:
            done.set()

    lane = worker.lane(first, last)
    worker.start()
    lane.offer(0)
    assert done.wait(PATIENCE_SECONDS)
    worker.stop()
    assert order == [f"{stage} {item}" for item in range(6) for stage in ("first", "last")]


def test_stages_of_consecutive_items_overlap_and_keep_their_order() -> None:
    worker, seen = InferenceWorker(threads=4), list[int]()
    overlapped = threading.Barrier(2)
    inside = [threading.Lock(), threading.Lock(), threading.Lock()]
    done = threading.Event()

    def stage(number: int, item: int) -> int:
        assert inside[number].acquire(blocking=False), "a stage has one item at a time"
        if number == 0 and item < 19:
            lane.offer(item + 1)
        # The first stage of the next item and the second of this one wait for each other.
        if (number == 1 and item < 19) or (number == 0 and item > 0):
            overlapped.wait(PATIENCE_SECONDS)
        inside[number].release()
        return item

    def last(item: int) -> None:
        seen.append(stage(2, item))
        if item == 19:
            done.set()

    lane = worker.lane(lambda item: stage(0, item), lambda item: stage(1, item), last)
    worker.start()
    lane.offer(0)
    assert done.wait(PATIENCE_SECONDS)
    worker.stop()
    assert seen == list(range(20))


def test_no_more_than_two_items_of_a_lane_are_in_hand() -> None:
    worker, in_hand = InferenceWorker(threads=6), list[int]()
    count, most = [0], [0]
    guard = threading.Lock()

    def begin(item: int) -> int:
        with guard:
            count[0] += 1
            most[0] = max(most[0], count[0])
        lane.offer(item + 1)
        return item

    def middle(item: int) -> int:
        await_others(worker)
        return item

    def end(item: int) -> None:
        in_hand.append(item)
        with guard:
            count[0] -= 1

    lane = worker.lane(begin, middle, middle, end)
    worker.start()
    lane.offer(0)
    eventually(lambda: len(in_hand) > 9, "items that went through")
    lane.close(lambda: None)
    worker.stop()
    assert most[0] == 2 and in_hand == sorted(in_hand)


def test_an_item_that_a_stage_drops_or_breaks_on_goes_no_further() -> None:
    worker, seen = InferenceWorker(threads=2), list[int]()

    def choose(item: int) -> int | None:
        if item == 1:
            raise ZeroDivisionError
        return None if item == 2 else item

    worker.start()
    for item in range(4):
        worker.lane(choose, seen.append).offer(item)
    worker.stop()
    assert sorted(seen) == [0, 3]


def test_a_closed_lane_hands_nothing_on() -> None:
    worker, order = InferenceWorker(threads=2), list[str]()
    entered, go_on = threading.Event(), threading.Event()

    def slow(item: int) -> int:
        entered.set()
        go_on.wait(PATIENCE_SECONDS)
        return item

    lane = worker.lane(slow, lambda item: order.append("item"))
    worker.start()
    lane.offer(1)
    assert entered.wait(PATIENCE_SECONDS)
    lane.close(lambda: order.append("last"))
    go_on.set()
    worker.stop()
    assert order == ["last"]


def test_a_lane_closed_while_it_waits_for_a_turn_ends_after_its_stages_at_work() -> None:
    worker, order = InferenceWorker(threads=2), list[str]()
    entered, go_on, held = threading.Event(), threading.Event(), threading.Event()

    def hold(item: int) -> None:
        held.set()
        go_on.wait(PATIENCE_SECONDS)

    def second(item: int) -> None:
        entered.set()
        go_on.wait(PATIENCE_SECONDS)
        order.append("item")

    lane = worker.lane(lambda item: item, second)
    worker.start()
    lane.offer(1)
    assert entered.wait(PATIENCE_SECONDS)
    worker.lane(hold).offer(1)
    assert held.wait(PATIENCE_SECONDS)
    # Both threads are at work: the lane gets a place among the turns, and is closed there.
    lane.offer(2)
    lane.close(lambda: order.append("last"))
    go_on.set()
    worker.stop()
    assert order == ["item", "last"]


def test_what_is_interjected_runs_while_no_stage_is_at_work() -> None:
    worker = InferenceWorker(threads=4, in_hand=2)
    at_work, met, seen = set[str](), list[set[str]](), list[int]()
    lock = threading.Lock()

    def stage(name: str) -> Callable[[int], int]:
        def run(number: int) -> int:
            with lock:
                at_work.add(name)
            await_others(worker)
            with lock:
                at_work.discard(name)
            return number

        return run

    done = threading.Event()
    lane = worker.lane(stage("locate"), stage("generate"), stage("blend"), seen.append)
    worker.start()

    def passed(count: int) -> bool:
        return len(seen) >= count

    def aside() -> None:
        met.append(set(at_work))

    for number in range(1, 41):
        lane.offer(number)
        lane.interject(aside)
        eventually(partial(passed, number), "the item's way")
    lane.close(done.set)
    assert done.wait(PATIENCE_SECONDS)
    lane.interject(aside)
    worker.stop()
    assert len(seen) == 40 and met and all(one == set() for one in met)
