"""Which worker gets a session, which keeps its copies, and how many there should be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from server.cluster.messages import Placement, Report, Share
from server.cluster.names import go_together, worker_of
from server.cluster.roster import CALM_ROUNDS, Roster, WorkerBounds
from server.cluster.worker_place import WorkerPlace

VERSION = "1.2.3"


def roster_of(*reports: Report, **settings: Any) -> Roster:
    roster = Roster(VERSION, **settings)
    for report in reports:
        roster.places[report.name] = WorkerPlace()
        hear(roster, report)
    return roster


def hear(roster: Roster, report: Report) -> None:
    roster.note_report(report)


def worker(name: str, sessions: int = 0, places: int = 4, **more: Any) -> Report:
    base = Report(name, VERSION, f"node of {name}", "10.0.0.1", 1, ready=True, sessions=sessions, places=places)
    return replace(base, **more)


def test_sessions_go_to_the_freest_and_those_on_their_way_count() -> None:
    roster = roster_of(worker("a", 2), worker("b"), worker("c", 1))
    assert [roster.place("").worker for _ in range(6)] == ["b", "b", "c", "a", "b", "c"]
    assert roster.place("", ["a"]).worker == "b"


def test_a_session_counts_once_from_its_placing_on() -> None:
    now = [10.0]
    roster = roster_of(worker("a"), worker("b"), clock=lambda: now[0])
    first = roster.place("")
    assert first.worker == "a" and roster.places["a"].free == 3
    hear(roster, worker("a"))
    assert roster.places["a"].free == 3, "it is still on its way"
    hear(roster, worker("a", 1, seen=frozenset({first.number})))
    assert roster.places["a"].free == 3, "now the worker counts it"
    hear(roster, worker("a", 0, seen=frozenset({first.number})))
    assert roster.places["a"].free == 4, "it has ended"
    second = roster.place("")
    roster.note_refusal(second)
    assert roster.places[second.worker].free == 4
    third = roster.place("")
    now[0] = 100.0
    hear(roster, worker(third.worker))
    assert roster.places[third.worker].free == 4, "nobody will say any more what became of it"
    roster.note_refusal(Placement("unknown", 5))


def test_room_is_what_is_measured_not_what_is_allowed() -> None:
    slow = worker("slow", 2, 8, limit_fps=12.0, min_fps=4.0, fps=12.0)
    roster = roster_of(slow, worker("quick", 5, 8, min_fps=4.0))
    assert [roster.places[name].free for name in ("slow", "quick")] == [1, 3]
    assert roster.place("").worker == "quick"


def test_of_equally_free_workers_the_least_busy_is_first() -> None:
    roster = roster_of(worker("a", fps=20.0), worker("b", fps=5.0))
    assert roster.place("").worker == "b"


def test_no_session_goes_where_none_may() -> None:
    roster = roster_of(
        worker("warming", ready=False),
        worker("draining", draining=True),
        worker("lost"),
        worker("old", version="1.1.9"),
    )
    roster.places["lost"].lost = True
    roster.places["silent"] = WorkerPlace()
    refused = roster.place("")
    assert (refused.worker, refused.status, refused.code) == ("", 503, "not_ready")
    states = {one["name"]: one["state"] for one in roster.describe()}
    assert states == {
        "warming": "starting", "draining": "draining", "lost": "lost", "old": "refused", "silent": "starting",
    }  # fmt: skip
    assert roster.problems() == {
        "old": "Worker old on 10.0.0.1 runs rigid-live 1.1.9, this cluster 1.2.3: "
        "it gets no sessions until that node has the same."
    }


def test_a_full_cluster_and_a_full_key_are_said_so() -> None:
    roster = roster_of(worker("a", 4), worker("b", 3, owners={"key": 2}), max_per_key=2)
    full_key = roster.place("key")
    assert (full_key.worker, full_key.status, full_key.code) == ("", 429, "key_full")
    assert roster.place("other").worker == "b"
    full = roster.place("other")
    assert (full.worker, full.status, full.code) == ("", 503, "server_full")
    assert full.message == "This cluster is full: its 2 workers carry 8 sessions."


def test_a_worker_that_does_not_start_says_why() -> None:
    roster = roster_of(worker("a", ready=False, problem="no model"), worker("b"))
    roster.places["c"] = WorkerPlace(fault="its code is another one")
    assert roster.problems() == {
        "a": "Worker a on 10.0.0.1 did not start: no model",
        "c": "Worker c did not start: its code is another one",
    }
    assert [one["state"] for one in roster.describe()] == ["refused", "ready", "refused"]
    assert roster.place("").worker == "b"


def test_copies_go_to_another_node_where_there_is_one() -> None:
    here = [worker(name, node="here") for name in ("a", "b")]
    roster = roster_of(*here, worker("c", node="there"))
    assert [roster.buddy(name) for name in ("a", "b", "c")] == ["c", "c", "a"]
    roster.places["c"].lost = True
    assert [roster.buddy(name) for name in ("a", "b")] == ["b", "a"]
    roster.places["b"].lost = True
    assert roster.buddy("a") == ""


def test_workers_on_nodes_that_are_gone_are_given_up_first() -> None:
    roster = roster_of(worker("a"), worker("b", 3))
    roster.note_nodes({"node of a"})
    assert roster.places["b"].lost and roster.to_end() == "b"
    hear(roster, worker("b", 3, node="node of a"))
    assert not roster.places["b"].lost and roster.to_end() == "a"


def test_one_more_worker_is_wanted_when_little_is_free_and_only_one_at_a_time() -> None:
    bounds = WorkerBounds(1, 3)
    roster = roster_of(worker("a", 2))
    assert roster.count_wanted(bounds) == 1
    hear(roster, worker("a", 4))
    assert roster.count_wanted(bounds) == 2
    roster.places["b"] = WorkerPlace()
    assert roster.count_wanted(bounds) == 2, "the one that starts is waited for"
    hear(roster, worker("b", 4))
    assert roster.count_wanted(bounds) == 3
    roster.places["c"] = WorkerPlace()
    hear(roster, worker("c", 4))
    assert roster.count_wanted(bounds) == 3, "there may be no more"


def test_a_worker_that_never_will_be_ready_stands_in_no_others_way_and_goes_first() -> None:
    roster = roster_of(worker("a", 4), worker("old", version="1.1.9"))
    assert roster.count_wanted(WorkerBounds(1, 3)) == 3
    assert roster.count_wanted(WorkerBounds(1, 2)) == 2, "there may be no more"
    assert roster.to_end() == "old"


def test_while_all_workers_end_no_session_is_placed() -> None:
    roster = roster_of(worker("a"), worker("b"))
    for place in roster.places.values():
        place.draining = True
    refused = roster.place("")
    assert (refused.status, refused.code, refused.message) == (503, "draining", "This cluster is about to end.")


def test_who_lacks_what_a_client_brought_is_known_of_those_that_carry_sessions() -> None:
    roster = roster_of(
        worker("a", attributes=frozenset({"grin"})),
        worker("b"),
        worker("c", attributes=frozenset({"grin", "wink"})),
        worker("warming", ready=False),
    )
    lacking = {(one.attribute, one.worker): one.owner for one in roster.lacking()}
    assert lacking.keys() == {("grin", "b"), ("wink", "a"), ("wink", "b")}
    assert lacking["grin", "b"] in ("a", "c") and lacking["wink", "b"] == "c"
    assert not list(roster_of(worker("a"), worker("b")).lacking())


def test_a_worker_goes_only_after_it_was_of_no_use_for_a_while() -> None:
    roster = roster_of(worker("a", 1), worker("b"), worker("c"))
    assert [roster.count_wanted(WorkerBounds(1, 3)) for _ in range(CALM_ROUNDS)] == [3] * (CALM_ROUNDS - 1) + [2]
    assert roster.to_end() == "b"
    assert roster.count_wanted(WorkerBounds(3, 3)) == 3
    hear(roster, worker("a", 4))
    assert roster.count_wanted(WorkerBounds(1, 3)) == 2
    busy = roster_of(worker("a", 3), worker("b", 2))
    assert {busy.count_wanted(WorkerBounds(1, 3)) for _ in range(2 * CALM_ROUNDS)} == {2}


def test_without_any_usable_worker_those_that_start_are_waited_for() -> None:
    roster = Roster(VERSION)
    assert roster.count_wanted(WorkerBounds(2, 3)) == 2
    roster.places.update(a=WorkerPlace(), b=WorkerPlace(), c=WorkerPlace())
    assert roster.count_wanted(WorkerBounds(2, 3)) == 3


@pytest.mark.parametrize(("text", "bounds"), [("3", WorkerBounds(3, 3)), ("2-8", WorkerBounds(2, 8))])
def test_numbers_of_workers_are_read(text: str, bounds: WorkerBounds) -> None:
    assert WorkerBounds.parse(text) == bounds


@pytest.mark.parametrize("text", ["", "x", "0", "4-2", "-3", "1-x"])
def test_what_is_no_number_of_workers_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="give N or A-B|cannot be"):
        WorkerBounds.parse(text)


def test_shares_that_fit_a_node_are_counted() -> None:
    assert Share(2).fitting({"CPU": 7.0, "GPU": 1.0}) == 3
    assert Share(2, 1).fitting({"CPU": 7.0, "GPU": 2.0}) == 2
    assert Share(2, 1).fitting({"CPU": 7.0}) == 0
    with pytest.raises(ValueError, match="cannot be"):
        Share(0)


@pytest.mark.parametrize(
    ("identity", "name"), [("w1a2b3.Xy-_9", "w1a2b3"), ("Xy-_9", ""), ("..", ""), ("W!.x", ""), ("", "")]
)
def test_a_sessions_id_names_its_worker(identity: str, name: str) -> None:
    assert worker_of(identity) == name


def test_versions_that_differ_in_the_last_number_go_together() -> None:
    assert go_together("1.2.3", "1.2.9") and not go_together("1.2.3", "1.3.0") and not go_together("0.1.0", "unknown")


def test_sessions_on_their_way_count_for_their_key() -> None:
    roster = roster_of(worker("a", 1, owners={"ann": 1}), worker("b"), max_per_key=2)
    first = roster.place("ann")
    assert first.worker and roster.place("ann").code == "key_full"
    assert roster.place("bob").worker
    roster.note_refusal(first)
    assert roster.place("ann").worker
