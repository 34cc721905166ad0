"""Films that the server keeps of what sessions send, where it was told to and somebody asks."""

from __future__ import annotations

import logging
import os
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from rigid.files.credentials import Credentials
from server.errors import ApiError
from server.recording.disk_space import UNBOUNDED, DiskSpace
from server.recording.mp4_writer import FilmLimits
from server.recording.recording import Recording
from server.recording.unfinished_films import list_unfinished

logger = logging.getLogger(__name__)

FILMS_REMEMBERED = 256
NO_RECORDING = "There is no recording of this session."


class Recordings:
    """Knows where films go and how long they may be, and remembers the last one of each session, after its end too."""

    def __init__(
        self,
        folder: Path,
        limits: FilmLimits,
        credentials: Credentials | None,
        dropped: Callable[[], None],
        room: DiskSpace = UNBOUNDED,
    ) -> None:
        """`folder` must be there."""
        self._room = room
        self._folder = folder
        self._limits = limits
        self._credentials = credentials
        self._dropped = dropped
        self._recordings: OrderedDict[str, Recording] = OrderedDict()

    def start(self, identity: str, owner: str, *, sound: bool) -> Recording:
        """Begin a film of the session `identity`, with its `sound`.

        ApiError 409 where one is being made, 507 where the disk or the folder has no room for it.
        """
        running = self._recordings.get(identity)
        if running is not None and not running.finished.done():
            raise ApiError(409, "recording", "This session is being recorded already.", "DELETE …/recording ends that.")
        going_on = sum(not one.finished.done() for one in self._recordings.values())
        self._room.check(self._folder, self._limits.bytes, going_on)
        now = datetime.now(UTC)
        path = self._folder / f"{now:%Y%m%d-%H%M%S-%f}-{identity}.mp4"
        made = Recording(
            path, owner, self._limits, self._credentials, self._dropped, sound=sound, has_room=self._has_room
        )
        self._recordings[identity] = made
        self._recordings.move_to_end(identity)
        while len(self._recordings) > FILMS_REMEMBERED:
            self._recordings.popitem(last=False)
        return made

    def _has_room(self) -> bool:
        return self._room.has_free(self._folder)

    def recover(self) -> None:
        """Finish, or remove, what servers left that ended in the middle of a film; blocks, call it on a thread."""
        for draft in list_unfinished(self._folder):
            try:
                done = draft.recover(self._credentials)
            except Exception:  # a damaged file must not keep a server from starting
                logger.exception("The recording %s that was left could not be finished", draft.target.name)
                continue
            if done is not None:
                what = "finished, up to where it was written" if done else "removed: it held no picture"
                logger.warning("The recording %s that was left by another server was %s", draft.target.name, what)

    def find(self, identity: str, owner: str) -> Recording:
        """The last film of a session; ApiError 404 where there is none, or another key's."""
        recording = self._recordings.get(identity)
        if recording is None or recording.owner != owner:
            raise ApiError(404, "no_recording", NO_RECORDING, "POST …/recording begins one.")
        return recording


def usable_folder(folder: Path) -> Path:
    """Make `folder` where it is not there, and return it; ValueError where nothing can be written to it."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ValueError(f"{folder} cannot hold recordings: {error.strerror}.") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ValueError(f"{folder} cannot hold recordings: it may not be written to.")
    return folder
