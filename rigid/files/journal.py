"""What of a film is encoded already, beside where it will be: an interrupted film goes on from there.

A folder `.NAME.unfinished` holds the packets and, in `state.json`, how far they go; what is behind that does not count.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

from rigid.atomic_files import shorten, write_json

_HEAD = struct.Struct("<qqqBI")
"""pts, dts and duration, whether it is a key frame, and how many bytes follow."""


@dataclass(frozen=True)
class Checkpoint:
    """How far a film is."""

    frames: int
    size: int
    """Bytes of packets that belong to those frames."""
    report: dict[str, Any]
    """What was counted so far."""


class Journal:
    """One film's record of how far it came. Nothing is on the disk before the first checkpoint."""

    def __init__(self, target: Path, key: dict[str, Any]) -> None:
        """`key` says what makes the film what it is; one that was begun with another key is begun anew."""
        self._folder = name_unfinished(target)
        self._key: dict[str, Any] = json.loads(json.dumps(key, default=str))
        self._new: list[bytes] = []
        self.begun = self._read()
        """How far an earlier run was; None where there was none."""

    def packets(self) -> Iterator[av.Packet[Any]]:
        """Read the packets of the earlier run, in decoding order."""
        if self.begun is None:
            return
        with (self._folder / "packets").open("rb") as file:
            while file.tell() < self.begun.size:
                pts, dts, duration, key, size = _HEAD.unpack(file.read(_HEAD.size))
                packet: av.Packet[Any] = av.Packet(file.read(size))
                packet.pts, packet.dts, packet.duration, packet.is_keyframe = pts, dts, duration, bool(key)
                yield packet

    def stream_state(self) -> bytes:
        """What `FaceStream.save` gave where the earlier run stopped."""
        assert self.begun is not None
        return self._stream(self.begun.frames).read_bytes()

    def add(self, packets: Iterable[av.Packet[Any]]) -> None:
        """Keep packets for the next checkpoint."""
        for packet in packets:
            data = bytes(packet)
            times = packet.pts or 0, packet.dts or 0, packet.duration or 0
            self._new.append(_HEAD.pack(*times, packet.is_keyframe, len(data)) + data)

    def checkpoint(self, frames: int, stream_state: bytes, report: dict[str, Any]) -> None:
        """Put on the disk that `frames` are done, with all packets so far."""
        self._folder.mkdir(exist_ok=True)
        start = self.begun.size if self.begun is not None else 0
        with (self._folder / "packets").open("r+b" if start else "wb") as file:
            file.seek(start)
            file.truncate()
            file.write(b"".join(self._new))
            size = file.tell()
            file.flush()
            os.fsync(file.fileno())
        self._new.clear()
        self._stream(frames).write_bytes(stream_state)
        before, self.begun = self.begun, Checkpoint(frames, size, report)
        state = {"key": self._key, "frames": frames, "size": size, "report": report}
        write_json(self._folder / "state.json", state)
        if before is not None:
            self._stream(before.frames).unlink(missing_ok=True)

    def discard(self) -> None:
        """Remove it: the film is done."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _stream(self, frames: int) -> Path:
        return self._folder / f"stream-{frames}"

    def _read(self) -> Checkpoint | None:
        try:
            state = json.loads((self._folder / "state.json").read_text("utf-8"))
            found = Checkpoint(int(state["frames"]), int(state["size"]), dict(state["report"]))
            whole = (self._folder / "packets").stat().st_size >= found.size and self._stream(found.frames).is_file()
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return found if whole and state.get("key") == self._key else None


def name_unfinished(target: Path) -> Path:
    """Name where a film that is to be `target` is kept until it is done."""
    return target.with_name(f".{shorten(target.name, 200)}.unfinished")
