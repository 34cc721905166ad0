"""How long tests wait for what comes about at once on a quiet machine: so long that it does on a busy one, too."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable

import pytest

PATIENCE_SECONDS = 60.0
"""What does not come about within these never will; nothing that passes waits for it."""
LATE_SECONDS = 0.05
"""So late a look may be; where it is later, others had the processor."""
HANGING_SECONDS = 600.0
"""What takes longer hangs, however busy the machine is: a look itself, or another program, whose turns none counts."""
ALL = bool(os.environ.get("RIGID_LIVE_LONG_TESTS"))
"""Whether what takes minutes is run, too."""
LONG = pytest.mark.skipif(not ALL, reason="minutes long: RIGID_LIVE_LONG_TESTS=1")
"""Left out of ordinary runs, where others see the same in less time."""


class Patience:
    """Seconds that may pass, of which those do not count in which a busy machine gave this process no turn."""

    def __init__(self, seconds: float, pause: float) -> None:
        """`pause`: seconds that it waits from one look to the next."""
        self._left, self._looked, self._turn = seconds, time.monotonic(), pause + LATE_SECONDS

    def is_over(self) -> bool:
        """Whether they have passed; to be asked at each turn."""
        now = time.monotonic()
        self._left -= min(now - self._looked, self._turn)
        self._looked = now
        return self._left < 0


def eventually(holds: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until `holds`, or fail naming `what`."""
    patience = Patience(seconds, 0.002)
    while not holds():
        assert not patience.is_over(), f"{what}: not within {seconds:g} s"
        time.sleep(0.002)


async def until(
    holds: Callable[[], bool | Awaitable[bool]], seconds: float = PATIENCE_SECONDS, pause: float = 0.01
) -> None:
    """Let others go on until `holds`, asked anew after each `pause` in seconds, or fail."""
    patience = Patience(seconds, pause)
    async with asyncio.timeout(max(seconds, HANGING_SECONDS)):
        while not (await held if isinstance(held := holds(), Awaitable) else held):
            if patience.is_over():
                raise TimeoutError(f"not within {seconds:g} s")
            await asyncio.sleep(pause)
