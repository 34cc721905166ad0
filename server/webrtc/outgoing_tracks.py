"""The two tracks a session sends: edited pictures, and the microphone in step with them."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, VideoFrame

from aiortc_fixes import AUDIO_PREFETCH_SECONDS

Clock = Callable[[], float]

MAX_SOUNDS = 500
"""Ten seconds of 20 ms frames; more is never held back."""
FIRST_PICTURE_SECONDS = 2.0
"""Sound waits this long for a first picture to measure."""
DUE_POLL_SECONDS = 0.02


class OutputTrack(MediaStreamTrack):
    """Sends each picture pushed once, with the picture's own time; the last to come where the sender is slower."""

    kind = "video"

    def __init__(self, on_sent: Callable[[float], None], clock: Clock = time.monotonic) -> None:
        super().__init__()
        self._on_sent = on_sent
        self._clock = clock
        self._newest: tuple[VideoFrame, float] | None = None
        self._changed = asyncio.Event()

    def push(self, frame: VideoFrame, arrived: float) -> bool:
        """Offer a picture that arrived at time `arrived`; True when one gave way to the other, which came later."""
        displaced = self._newest is not None
        if self._newest is None or arrived >= self._newest[1]:
            self._newest = (frame, arrived)
        self._changed.set()
        return displaced

    async def recv(self) -> VideoFrame:
        """The newest picture not sent yet, once there is one; MediaStreamError after `stop`."""
        while self._newest is None:
            if self.readyState != "live":
                raise MediaStreamError
            self._changed.clear()
            await self._changed.wait()
        (frame, arrived), self._newest = self._newest, None
        self._on_sent(self._clock() - arrived)
        return frame

    def stop(self) -> None:
        super().stop()
        self._newest = None
        self._changed.set()


class DelayedAudioTrack(MediaStreamTrack):
    """Gives sound back as late as the pictures come.

    `video_delay(now)`: seconds a picture takes through the server, None while unknown. What aiortc's own audio
    buffer holds back counts towards it.
    """

    kind = "audio"

    def __init__(self, video_delay: Callable[[float], float | None], clock: Clock = time.monotonic) -> None:
        super().__init__()
        self._video_delay = video_delay
        self._clock = clock
        self._frames: deque[tuple[AudioFrame, float]] = deque(maxlen=MAX_SOUNDS)
        self._changed = asyncio.Event()

    def push(self, frame: AudioFrame, arrived: float) -> None:
        """Hold a sound that arrived at time `arrived`; the oldest goes where too many are held."""
        self._frames.append((frame, arrived))
        self._changed.set()

    async def recv(self) -> AudioFrame:
        """The next sound once it is due; MediaStreamError after `stop`."""
        while self.readyState == "live":
            if not self._frames:
                self._changed.clear()
                await self._changed.wait()
                continue
            remaining = self._due(self._frames[0][1]) - self._clock()
            if remaining <= 0:
                return self._frames.popleft()[0]
            await asyncio.sleep(min(remaining, DUE_POLL_SECONDS))
        raise MediaStreamError

    def _due(self, arrived: float) -> float:
        delay = self._video_delay(self._clock())
        if delay is None:
            return arrived + FIRST_PICTURE_SECONDS
        return arrived + max(0.0, delay - AUDIO_PREFETCH_SECONDS)

    def stop(self) -> None:
        super().stop()
        self._frames.clear()
        self._changed.set()
