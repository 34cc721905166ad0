"""One film of what a session sends, while it is written."""

from __future__ import annotations

import asyncio
import errno
import logging
import queue
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import av
from av import AudioFrame, VideoFrame

from rigid.files.credentials import Credentials
from server.recording.mp4_fragments import cut_to_whole
from server.recording.mp4_writer import FilmLimits, Mp4Writer
from server.recording.unfinished_films import UnfinishedFilm

logger = logging.getLogger(__name__)

MOST_WAITING = 30
"""Pictures that wait to be written: a second of them, of which each has up to 3 MB."""
MOST_SOUNDS = 150
"""Sounds that wait: three seconds of them, which are small."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class Picture:
    """A picture that was sent, and the strengths that it has."""

    frame: VideoFrame
    edits: Mapping[str, float]


@dataclass(frozen=True)
class Sound:
    """A sound, how many seconds the pictures' clock was seen to be ahead of its own, and when it came."""

    frame: AudioFrame
    ahead: float
    came: float


class Recording:
    """One film of one session, written on a thread of its own; all its methods are called on the event loop."""

    def __init__(
        self,
        path: Path,
        owner: str,
        limits: FilmLimits,
        credentials: Credentials | None,
        dropped: Callable[[], None],
        *,
        sound: bool = False,
        has_room: Callable[[], bool] = lambda: True,
    ) -> None:
        """`path` appears once the film is complete. `dropped` is called for each picture that finds no place.

        `sound`: whether there will be any; a film's tracks are told at its begin. `has_room`: whether the disk has
        room for more, asked for each second of film on a thread.
        """
        self.path = path
        self.owner = owner
        self.started_at = datetime.now(UTC)
        self.finished: Future[None] = Future()
        """Done once the file is there, or it is known that it will not be."""
        self._credentials = credentials
        self._count_dropped = dropped
        self.sound = sound
        self._draft = UnfinishedFilm(path)
        self._film = Mp4Writer(self._draft.path, limits, sound=sound)
        self._has_room = has_room
        self._looked_at = 0.0
        self._waiting: queue.Queue[Picture | Sound | None] = queue.Queue()
        self._room = threading.Semaphore(MOST_WAITING)
        self._room_for_sound = threading.Semaphore(MOST_SOUNDS)
        self._dropped = 0
        self._reason = ""
        self._failed = False
        self._size = 0
        self._edits: dict[str, float] = {}
        threading.Thread(target=self._run, name="recording", daemon=True).start()

    def offer(self, frame: VideoFrame, edits: Mapping[str, float]) -> None:
        """Add a picture that was sent, with the strengths it has; left out where writing is a second behind."""
        if self._reason:
            return
        if not self._room.acquire(blocking=False):
            self._dropped += 1
            self._count_dropped()
            return
        self._waiting.put(Picture(frame, edits))

    def hear(self, frame: AudioFrame, ahead: float, came: float) -> None:
        """Add a sound as `Film.hear` takes it; silence in its place where writing is behind."""
        if self.sound and not self._reason and self._room_for_sound.acquire(blocking=False):
            self._waiting.put(Sound(frame, ahead, came))

    def stop(self, reason: str) -> None:
        """Let it end with the pictures it has; safe to call again."""
        if not self._reason:
            self._reason = reason
            self._waiting.put(None)

    @property
    def state(self) -> str:
        """`recording`, `finishing`, `done`, or `failed`: there is no file."""
        if self.finished.done():
            return "failed" if self._failed else "done"
        return "finishing" if self._reason else "recording"

    def describe(self) -> dict[str, object]:
        """Describe the recording, ready for JSON."""
        return {
            "state": self.state,
            "file": self.path.name,
            "started_at": self.started_at.isoformat(timespec="seconds"),
            "seconds": round(self._film.seconds, 2),
            "frames": self._film.frames,
            "frames_dropped": self._dropped,
            "sound": self.sound,
            "bytes": self._size or self._film.bytes,
            "ended": self._reason,
        }

    async def wait(self) -> None:
        """Wait until the film is complete, or known that there will be none; who waits may give up at any time."""
        await asyncio.shield(asyncio.wrap_future(self.finished))

    # ---- on the recording's thread

    def _run(self) -> None:
        try:
            self._write()
        except Exception:  # whatever the disk or the encoder has against it, the session goes on
            logger.exception("The recording %s could not be written", self.path.name)
            self._reason, self._failed = "failed", True
        self.finished.set_result(None)

    def _write(self) -> None:
        with self._draft.hold():
            try:
                self._take_all()
                self._film.close()
            except (OSError, av.FFmpegError) as error:
                # What is written already is worth keeping.
                logger.error("The recording %s ended early: %s", self.path.name, error)
                full = isinstance(error, OSError) and error.errno in FULL
                self._reason = "disk_full" if full else "failed"
                self._film.abandon()
                self._failed = not cut_to_whole(self._draft.path)
            else:
                if not self._film.frames:
                    self._reason, self._failed = "no_picture", True
            if not self._failed:
                self._size = self._draft.complete(self._credentials, self._edits)

    def _take_all(self) -> None:
        while (item := self._waiting.get()) is not None:
            end = self._see(item) if isinstance(item, Picture) else self._listen(item)
            if end:
                self._reason = self._reason or end
                return

    def _see(self, picture: Picture) -> str:
        self._room.release()
        if self._film.seconds >= self._looked_at + 1:
            self._looked_at = self._film.seconds
            if not self._has_room():
                return "disk_full"
        end = self._film.write(picture.frame)
        if not end:
            self._note(picture.edits)
        return end

    def _note(self, edits: Mapping[str, float]) -> None:
        strongest = {name: max(value, self._edits.get(name, 0.0), key=abs) for name, value in edits.items() if value}
        if strongest.items() - self._edits.items():
            self._edits |= strongest
            self._draft.note(self._edits)

    def _listen(self, sound: Sound) -> str:
        self._room_for_sound.release()
        return self._film.hear(sound.frame, sound.ahead, sound.came)
