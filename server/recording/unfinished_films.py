"""Films on their way: hidden files that become whole ones, also those of a server that ended in the middle."""

from __future__ import annotations

import glob
import json
import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from rigid.atomic_files import replacing
from rigid.files.credentials import Credentials
from rigid.files.provenance import sign_file
from server.recording.mp4_fragments import cut_to_whole

logger = logging.getLogger(__name__)

NAME = re.compile(r"\.(?P<stem>.+)\.\d+\.plain")
MEDIA_TYPE = "video/mp4"


class UnfinishedFilm:
    """The hidden file of the film that will be `target`, and beside it, as JSON, the edits in it so far.

    Whoever writes the file holds a lock, which ends with the process: one without it is nobody's any more. The lock is
    a file of its own, as Windows lets nobody rename or remove a file that is open.
    """

    def __init__(self, target: Path, path: Path | None = None) -> None:
        self.target = target
        self.path = path or target.with_name(f".{target.stem}.{os.getpid()}.plain{target.suffix}")
        self._notes = self.path.with_suffix(".json")
        self._lock_file = self.path.with_suffix(".lock")

    @contextmanager
    def _locked(self, *, wait: bool) -> Iterator[None]:
        """Have the lock; Timeout where somebody else has it and `wait` is False."""
        # The lock would make a folder that is gone.
        self.path.parent.stat()
        lock = FileLock(self._lock_file)
        lock.acquire(blocking=wait)
        try:
            yield
        finally:
            lock.release()
            # It may be somebody else's by now, who then removes it.
            with suppress(PermissionError):
                self._lock_file.unlink(missing_ok=True)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Lock the file while it is written; what is left of it afterwards is removed."""
        # Nobody else on this machine needs to see it; the encoder keeps the mode of a file that is there.
        with self._locked(wait=True):
            os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
            try:
                yield
            finally:
                self.remove()

    def note(self, edits: Mapping[str, float]) -> None:
        """Keep the strongest of each edit so far, for a film that is finished by another server."""
        with replacing(self._notes) as part:
            part.write_text(json.dumps(edits), "utf-8")

    def complete(self, credentials: Credentials | None, edits: Mapping[str, float]) -> int:
        """Make it the film, signed where anything is edited; its bytes."""
        edited = {name: strength for name, strength in edits.items() if strength}
        if not edited or credentials is None or not self._sign(credentials, edited):
            os.replace(self.path, self.target)
        return self.target.stat().st_size

    def _sign(self, credentials: Credentials, edits: dict[str, float]) -> bool:
        try:
            with replacing(self.target) as part:
                sign_file(self.path, part, MEDIA_TYPE, credentials, edits)
                part.chmod(0o600)
        except Exception:  # whatever the library makes of a full disk: a film without a signature is better than none
            logger.exception("The recording %s is not signed", self.target.name)
            return False
        return True

    def recover(self, credentials: Credentials | None) -> bool | None:
        """Finish what nobody writes any more: whether there is a film; None where somebody still writes it."""
        try:
            with self._locked(wait=False):
                # Another server may have finished it meanwhile.
                whole = cut_to_whole(self.path) if self.path.exists() else None
                if whole:
                    self.complete(credentials, self._read_notes())
                self.remove()
                return whole
        except Timeout:
            return None

    def _read_notes(self) -> dict[str, float]:
        with suppress(OSError, ValueError):
            noted: dict[str, float] = json.loads(self._notes.read_text("utf-8"))
            return noted
        return {}

    def remove(self) -> None:
        """Nothing of it is kept; safe where it is the film by now."""
        stem = glob.escape(self.path.stem.removesuffix(".plain"))
        for left in (self.path, self._notes, *self.path.parent.glob(f"{stem}.*part.*")):
            left.unlink(missing_ok=True)


def list_unfinished(folder: Path) -> list[UnfinishedFilm]:
    """List the unfinished films in a folder, somebody's or nobody's."""
    found = []
    for path in sorted(folder.glob(".*.mp4")):
        match = NAME.fullmatch(path.stem)
        if match is not None:
            found.append(UnfinishedFilm(folder / f"{match['stem']}{path.suffix}", path))
    return found
