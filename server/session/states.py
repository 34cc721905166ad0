"""The states of a session, and what is seen of it that decides between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """The states a session can be in."""

    NEW = "new"
    """Its offer is being answered."""
    CONNECTING = "connecting"
    """It is answered; nothing has been edited yet."""
    LIVE = "live"
    DEGRADED_INPUT = "degraded-input"
    """It runs, but what comes in is poor; the reason says how."""
    DEGRADED_INFERENCE = "degraded-inference"
    """It runs, but what goes out is poor; the reason says how."""
    PAUSED = "paused"
    """Its client is there but sends no video."""
    CLOSED = "closed"


RUNNING = frozenset({State.LIVE, State.DEGRADED_INPUT, State.DEGRADED_INFERENCE, State.PAUSED})
FOLLOWING = {
    State.NEW: frozenset({State.CONNECTING, State.CLOSED}),
    State.CONNECTING: RUNNING | {State.CLOSED},
    **{state: RUNNING | {State.CLOSED} for state in RUNNING},
    State.CLOSED: frozenset[State](),
}

PAUSE_SECONDS = 3.0
LEAST_FPS = 8.0
"""Fewer pictures than these a second look like stills."""
FAILING_SHARE = 0.5
AGREEING_LOOKS = 2
"""How many looks in a row must agree, so that a session on the edge does not change its state each second."""

MESSAGES = {
    "": "",
    "no_video": "No video comes from the client.",
    "undecodable": "Video comes, but it cannot be decoded.",
    "black_picture": "The camera's picture is black.",
    "frozen_picture": "The camera's picture does not move.",
    "huge_picture": "The camera's pictures are too large to be decoded; choose a lower resolution.",
    "tiny_picture": "The camera's pictures are too small to edit.",
    "few_pictures": f"Fewer than {LEAST_FPS:g} pictures a second come from the client.",
    "failing": "Pictures pass unedited because editing them fails.",
    "slow": f"Fewer than {LEAST_FPS:g} pictures a second can be edited.",
}


ENDINGS = {
    "deleted": "it was closed over the API",
    "left": "its client closed it",
    "idle": "no video came for too long",
    "never_connected": "no video connection came about in time",
    "silent": "nothing came from its client any more",
    "time_limit": "it reached the server's time limit",
    "replaced": "its client went on with it in another one",
    "server_shutdown": "the server was shut down",
    "video_ended": "its client sent no more video",
    "moved": "its worker is being emptied",
    "connection_failed": "its connection was lost",
    "connection_closed": "its client closed the connection",
}
"""In words, for every client; a name that is not here says it itself."""
UNWANTED = frozenset({"server_shutdown", "moved", "connection_failed", "connection_closed", "silent"})
"""Ends that nobody asked for: a server that starts again, a network that went away. The client may come back."""


def ending(reason: str) -> str:
    """Why a session ended, in words."""
    return ENDINGS.get(reason, reason.replace("_", " "))


def farewell(reason: str) -> dict[str, object]:
    """What a client is told when its session ends: why, in a word and a sentence, and whether to come back."""
    words = ending(reason)
    return {"reason": reason, "message": f"{words[:1].upper()}{words[1:]}.", "come_back": reason in UNWANTED}


@dataclass(frozen=True)
class Health:
    """What one look at a session sees; times in seconds."""

    since_packet: float
    """Since the last RTP packet of its video, or since it connected."""
    since_picture: float
    """Since the last decoded picture, or since it connected."""
    fps_in: float
    fps_out: float
    failing: float
    """Share of the last pictures that could not be edited."""
    picture: str
    """What is wrong with the newest: black_picture, frozen_picture, tiny_picture, huge_picture or nothing."""

    def judge(self) -> tuple[State, str]:
        """The state it should be in, and the reason; the worst first."""
        if self.since_picture >= PAUSE_SECONDS:
            if self.since_packet >= PAUSE_SECONDS:
                return State.PAUSED, "no_video"
            return State.DEGRADED_INPUT, "huge_picture" if self.picture == "huge_picture" else "undecodable"
        if self.failing >= FAILING_SHARE:
            return State.DEGRADED_INFERENCE, "failing"
        if self.picture:
            return State.DEGRADED_INPUT, self.picture
        if self.fps_in < LEAST_FPS:
            return State.DEGRADED_INPUT, "few_pictures"
        if self.fps_out < min(LEAST_FPS, 0.8 * self.fps_in):
            return State.DEGRADED_INFERENCE, "slow"
        return State.LIVE, ""


class Life:
    """The state machine of one session; `changed` is called after each change."""

    def __init__(self, clock: Callable[[], float], changed: Callable[[], None]) -> None:
        self.state = State.NEW
        self.reason = ""
        self.since = clock()
        self._clock = clock
        self._changed = changed
        self._seen: tuple[State, str] = (State.NEW, "")
        self._agreed = 0

    @property
    def message(self) -> str:
        """The reason as a sentence; empty where there is none."""
        return MESSAGES.get(self.reason, f"It ended: {ending(self.reason)}.")

    def enter(self, state: State, reason: str = "") -> None:
        """Change to `state`; RuntimeError where it cannot follow on the present one."""
        if (state, reason) == (self.state, self.reason):
            return
        if state not in FOLLOWING[self.state]:
            raise RuntimeError(f"A session cannot be {state} after it was {self.state}.")
        self.state, self.reason, self.since = state, reason, self._clock()
        self._changed()

    def look(self, health: Health) -> None:
        """Change to what several looks in a row agree on; a pause is one at once."""
        seen = health.judge()
        self._agreed = self._agreed + 1 if seen == self._seen else 1
        self._seen = seen
        if seen[0] == State.PAUSED or self._agreed >= AGREEING_LOOKS:
            self.enter(*seen)
