"""The state of a session's stream, kept for another session that goes on from it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any

from server.frames.stream_protocol import Stream
from server.frames.worker import Lane

logger = logging.getLogger(__name__)

SAVE_SECONDS = 2.0
"""How long an ending session waits for its turn at the inference thread."""


class StreamSaver:
    """Saves a stream on the worker's threads, between the stages of its frames, and closes it at its end."""

    def __init__(self, stream: Stream, lane: Lane[Any], session: str) -> None:
        """`session`: the id that the log names."""
        self.saved: bytes | None = None
        """As of the last checkpoint, and once the stream was released the last."""
        self._stream = stream
        self._lane = lane
        self._session = session
        self._frames = 0
        self._loop = asyncio.get_running_loop()
        self._released = asyncio.Event()

    def checkpoint(self, frames: int) -> None:
        """Have `saved` brought up to date, unless it is that of so many frames already."""
        if frames != self._frames:
            self._frames = frames
            self._lane.interject(self._save)

    def release(self) -> None:
        """Take no more frames, and save and close the stream once none of it is in hand. Safe to call again."""
        self._lane.close(self._save_and_close)

    async def wait(self) -> None:
        """Wait until the stream was released; not for ever, as the worker may be stuck."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._released.wait(), SAVE_SECONDS)

    # ---- on the worker's threads, while no stage is at work

    def _save(self) -> None:
        try:
            state = self._stream.save()
        except Exception:  # the video must not stop because a copy of its state cannot be made
            logger.exception("The state of session %s could not be saved", self._session)
        else:
            self._call(self._note, state)

    def _save_and_close(self) -> None:
        self._save()
        self._stream.close()
        self._call(self._released.set)

    def _call(self, function: Callable[..., object], *arguments: object) -> None:
        # The loop is closed only when the server goes down.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *arguments)

    def _note(self, state: bytes) -> None:
        self.saved = state
