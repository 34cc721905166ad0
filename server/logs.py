"""What the server writes to its log: no secrets, no addresses of clients, and no flood of one and the same."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable

EVERY_SECONDS = 60.0
KINDS = 1024
"""Kinds of errors that are remembered; beyond them all are forgotten."""
LEVELS = ("critical", "error", "warning", "info", "debug")
CHATTY = ("aioice", "aiortc", "httpx")
"""They write clients' addresses, or whole URLs, for everything they do."""


def set_up(level: str) -> None:
    """Write to the error stream from `level` on, one of `LEVELS`."""
    handler = logging.StreamHandler()
    handler.addFilter(RepeatFilter())
    # where somebody else handles the log already, what they see is theirs
    logging.basicConfig(level=level.upper(), handlers=[handler])
    logging.getLogger("uvicorn.access").addFilter(discreet)
    if level != "debug":
        for name in CHATTY:
            logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))


class RepeatFilter(logging.Filter):
    """Lets a warning or an error of one kind pass once a minute, and then says how many there were meanwhile.

    Of one kind are those of one logger with the same text before its values are put in, and the same exception.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._kinds: dict[tuple[object, ...], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return True
        raised = record.exc_info[0] if record.exc_info else None
        kind = (record.name, record.levelno, raised, re.sub(r"\d+", "0", str(record.msg)))
        now = self._clock()
        passed_at, more = self._kinds.get(kind, (-EVERY_SECONDS, 0))
        if now - passed_at < EVERY_SECONDS:
            self._kinds[kind] = (passed_at, more + 1)
            return False
        if len(self._kinds) >= KINDS:
            self._kinds.clear()
        self._kinds[kind] = (now, 0)
        if more:
            record.msg, record.args = f"{record.getMessage()} (and {more} more like it before)", ()
        return True


def discreet(record: logging.LogRecord) -> bool:
    """Take the client's address, the query and WHIP's and WHEP's secrets out of a line of uvicorn's access log."""
    if isinstance(record.args, tuple) and len(record.args) == 5:
        _client, method, path, version, status = record.args
        record.args = ("-", method, without_secrets(str(path)), version, status)
    return True


def without_secrets(path: str) -> str:
    """A request's path without its query, and with a dash for what only one client is to know."""
    parts = path.partition("?")[0].split("/")
    if parts[1:2] == ["whip"] and len(parts) > 2:
        parts[2] = "-"
    elif parts[1:2] == ["whep"] and len(parts) > 3:
        parts[3] = "-"
    return "/".join(parts)
