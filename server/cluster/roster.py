"""Which worker takes the next session, which keeps whose checkpoints, and how many there should be. Plain Python."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, field

from server.cluster.messages import Placement, Report
from server.cluster.names import go_together
from server.cluster.worker_place import PendingSession, WorkerPlace

SPARE = 0.2
"""Share of all places that should be free."""
OPENING_SECONDS = 60.0
CALM_ROUNDS = 30
"""Looks in a row that must find too many workers before one is taken away."""


@dataclass(frozen=True)
class WorkerBounds:
    """How many workers there may be."""

    least: int
    most: int

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.most:
            raise ValueError(f"{self.least}-{self.most} workers cannot be; give A-B with 1 <= A <= B.")

    @classmethod
    def parse(cls, text: str) -> WorkerBounds:
        """Read `N` or `A-B`; ValueError otherwise."""
        least, _, most = text.partition("-")
        if not least.isdigit() or not (most or least).isdigit():
            raise ValueError(f"{text!r} is no number of workers; give N or A-B, for example 2-8.")
        return cls(int(least), int(most or least))


@dataclass(frozen=True)
class MissingAttribute:
    """An attribute that came from a client, who has it, and who has not."""

    attribute: str
    owner: str
    worker: str


@dataclass
class Roster:
    """All workers of a cluster whose nodes should run `version`."""

    version: str
    max_per_key: int | None = None
    clock: Callable[[], float] = time.monotonic
    places: dict[str, WorkerPlace] = field(default_factory=dict)
    _calm: int = 0

    def note_report(self, report: Report) -> None:
        """Note how a worker is now."""
        place = self.places[report.name]
        place.report, place.lost = report, False
        # An ingress that died does not say any more what became of its sessions.
        oldest = self.clock() - OPENING_SECONDS
        place.placed = {
            number: sent for number, sent in place.placed.items() if number not in report.seen and sent.at > oldest
        }

    def note_nodes(self, alive: Set[str]) -> None:
        """Give up workers whose nodes are gone; they are heard of again once Ray has started them elsewhere."""
        for place in self.places.values():
            if place.report is not None and place.report.node not in alive:
                place.lost = True

    def usable(self) -> Iterator[tuple[str, WorkerPlace]]:
        """Go through the workers that sessions may go to."""
        return ((name, place) for name, place in self.places.items() if place.usable(self.version))

    def place(self, owner: str, tried: Sequence[str] = ()) -> Placement:
        """Choose where a session of that API key goes: to the most free of all, and of equal ones to the least busy.

        `tried`: those that did not take it.
        """
        usable = list(self.usable())
        if not usable:
            return self._none_usable()
        if owner and self.max_per_key is not None and self._sessions_of(owner) >= self.max_per_key:
            message = f"All {self.max_per_key} sessions of this key are taken."
            return Placement("", 0, 429, "key_full", message, "Close one of them.")
        roomy = [one for one in usable if one[1].free > 0 and one[0] not in tried]
        if not roomy:
            taken = sum(place.taken for _, place in usable)
            workers = "1 worker carries" if len(usable) == 1 else f"{len(usable)} workers carry"
            message = f"This cluster is full: its {workers} {taken} sessions."
            return Placement(code="server_full", message=message, hint="Try again later.")
        name, place = min(roomy, key=_by_room)
        number = secrets.randbits(63)
        place.placed[number] = PendingSession(self.clock(), owner)
        return Placement(name, number)

    def _none_usable(self) -> Placement:
        hint = "Try again in a moment."
        if self.places and all(place.draining for place in self.places.values()):
            return Placement(code="draining", message="This cluster is about to end.", hint=hint)
        return Placement(code="not_ready", message="No worker of this cluster can take sessions yet.", hint=hint)

    def note_refusal(self, placement: Placement) -> None:
        """Note that a session did not come about where `place` sent it."""
        place = self.places.get(placement.worker)
        if place is not None:
            place.placed.pop(placement.number, None)

    def _sessions_of(self, owner: str) -> int:
        """Count the sessions of a key, those on their way too: many may ask at once."""
        places = self.places.values()
        carried = sum(place.report.owners.get(owner, 0) for place in places if place.report)
        return carried + sum(sent.owner == owner for place in places for sent in place.placed.values())

    def buddy(self, name: str) -> str:
        """Who keeps a worker's checkpoints: the next one on another node, else the next; empty for nobody."""
        mine = self.places[name].report
        names = sorted(self.places)
        at = names.index(name)
        after = [one for one in names[at + 1 :] + names[:at] if self.places[one].usable(self.version)]
        elsewhere = [one for one in after if mine is None or self.places[one].node != mine.node]
        return (elsewhere or after or [""])[0]

    def lacking(self) -> Iterator[MissingAttribute]:
        """What one worker has from a client, and another has not."""
        have = {name: place.report.attributes for name, place in self.usable() if place.report}
        owners = {attribute: name for name, attributes in have.items() for attribute in attributes}
        return (
            MissingAttribute(attribute, owner, name)
            for attribute, owner in sorted(owners.items())
            for name, attributes in have.items()
            if attribute not in attributes
        )

    def count_wanted(self, bounds: WorkerBounds) -> int:
        """Count how many workers there should be for `SPARE` of all places to be free; fewer only after a while."""
        staying = [place for place in self.places.values() if not place.draining]
        usable = [place for _, place in self.usable()]
        if not usable:
            return min(max(len(staying), bounds.least), bounds.most)
        most = max(place.report.places for place in usable if place.report)
        free, all_places = sum(place.free for place in usable), most * len(usable)
        # A place that is being made counts: what was asked for once is not asked for again.
        coming = sum(self._state(place) in ("starting", "lost") for place in staying)
        if free + coming * most < SPARE * all_places:
            self._calm = 0
            return min(len(staying) + 1, bounds.most)
        spare_without_one = free - most >= max(1.0, 2 * SPARE * (all_places - most))
        self._calm = self._calm + 1 if spare_without_one and not coming else 0
        fewer = len(staying) - 1 if self._calm >= CALM_ROUNDS else len(staying)
        return min(max(fewer, bounds.least), bounds.most)

    def to_end(self) -> str:
        """Which worker goes first where there are too many: a useless one, else the one with the fewest sessions."""
        staying = [(name, place) for name, place in self.places.items() if not place.draining]
        return min(staying, key=lambda one: (self._state(one[1]) == "ready", one[1].sessions))[0]

    def problems(self) -> dict[str, str]:
        """Tell by worker, in one sentence each, why it takes no sessions and will not by itself."""
        return {name: said for name, place in self.places.items() if (said := self._problem(name, place))}

    def _problem(self, name: str, place: WorkerPlace) -> str:
        report = place.report
        if report is None:
            return f"Worker {name} did not start: {place.fault}" if place.fault else ""
        if not go_together(report.version, self.version):
            return (
                f"Worker {name} on {report.address} runs rigid-live {report.version}, this cluster {self.version}: "
                "it gets no sessions until that node has the same."
            )
        return f"Worker {name} on {report.address} did not start: {report.problem}" if report.problem else ""

    def describe(self) -> list[dict[str, object]]:
        """Describe every worker, for people and programs."""
        return [self._describe(name, place) for name, place in sorted(self.places.items())]

    def _describe(self, name: str, place: WorkerPlace) -> dict[str, object]:
        report = place.report
        return {
            "name": name,
            "state": self._state(place),
            "problem": self._problem(name, place),
            "address": report.address if report else "",
            "version": report.version if report else "",
            "sessions": place.sessions,
            "free": place.free if place.usable(self.version) else 0,
            "fps": round(report.fps, 1) if report else 0.0,
        }

    def _state(self, place: WorkerPlace) -> str:
        if place.lost:
            return "lost"
        if place.draining or (place.report is not None and place.report.draining):
            return "draining"
        if place.usable(self.version):
            return "ready"
        refused = place.fault or (place.report is not None and (place.report.ready or place.report.problem))
        return "refused" if refused else "starting"


def _by_room(one: tuple[str, WorkerPlace]) -> tuple[int, float, str]:
    name, place = one
    return -place.free, place.report.fps if place.report else 0.0, name
