"""How long tests wait for what comes about at once on a quiet machine: so long that it does on a busy one, too."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable

import pytest

PATIENCE_SECONDS = 60.0
"""What does not come about within these never will; nothing that passes waits for it."""
ALL = bool(os.environ.get("RIGID_LIVE_LONG_TESTS"))
"""Whether what takes minutes is run, too."""
LONG = pytest.mark.skipif(not ALL, reason="minutes long: RIGID_LIVE_LONG_TESTS=1")
"""Left out of ordinary runs, where others see the same in less time."""


def eventually(holds: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until `holds`, or fail naming `what`."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s"
        time.sleep(0.002)


async def until(
    holds: Callable[[], bool | Awaitable[bool]], seconds: float = PATIENCE_SECONDS, pause: float = 0.01
) -> None:
    """Let others go on until `holds`, asked anew after each `pause` in seconds, or fail."""
    async with asyncio.timeout(seconds):
        while not (await held if isinstance(held := holds(), Awaitable) else held):
            await asyncio.sleep(pause)
