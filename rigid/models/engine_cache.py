"""Built engines on disk: one for each network, version of what built it, device and settings."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EngineKey:
    """What an engine was built for; any other is built anew, never loaded."""

    network: str
    """SHA-256 of the network."""
    version: str
    """Of what built it."""
    device: str
    settings: str
    """Precision, batches and whatever else it was built with."""
    slot: str = ""
    """Where it is not empty, an engine takes the place of the one for an older network or version in this slot."""

    @property
    def name(self) -> str:
        """Short; unique, but for what takes each other's place."""
        parts = asdict(self)
        if self.slot:
            del parts["network"], parts["version"]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


class EngineCache:
    """A folder of built engines, and of what a library learns beside them. Broken files are never loaded twice."""

    def __init__(self, folder: Path, engine: str):
        """`engine`: whose they are, for the log."""
        self.folder = folder
        self._engine = engine

    def read(self, key: EngineKey) -> bytes | None:
        """The engine built for `key`; None where there is none, or it does not say so itself."""
        known = self._read_record(key)
        if known is None:
            return None
        try:
            data = self._plan(key, known["sha256"]).read_bytes()
        except OSError:
            return None
        if known["sha256"] == hashlib.sha256(data).hexdigest():
            return data
        self.set_aside(key, "it is not the file that was written")
        return None

    def write(self, key: EngineKey, data: bytes, target: str = "") -> None:
        """Keep an engine; `target`: what it can run on, where that is wider than the key's device.

        Its record names it, so that whoever reads meanwhile, or keeps another one for the same key, has one or the
        other: no library builds the same bytes twice.
        """
        record = asdict(key) | {"sha256": hashlib.sha256(data).hexdigest()} | ({"target": target} if target else {})
        plan = self._plan(key, record["sha256"])
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / ".lock"):
            _replace(plan, data)
            _replace(self._record(key), json.dumps(record, indent=1).encode())
            for older in set(self.folder.glob(f"{key.name}*.plan")) - {plan}:
                # on Windows one that is being read stays until the next is kept
                with contextlib.suppress(PermissionError):
                    older.unlink(missing_ok=True)

    def read_target(self, key: EngineKey) -> str | None:
        """What the engine for `key` was kept as a target of; None where there is no such engine."""
        known = self._read_record(key)
        if known is None or not self._plan(key, known["sha256"]).is_file():
            return None
        return known.get("target", "")

    def list_targets(self) -> list[str]:
        """The targets of all engines that have one, each once."""
        records = [_read_json(path) for path in self.folder.glob("*.json")]
        return sorted({record["target"] for record in records if record is not None and "target" in record})

    def set_aside(self, key: EngineKey, why: str) -> None:
        """Rename a broken engine to `*.broken`, so that it is built anew and can still be looked at."""
        logger.warning("engine %s: %s is set aside and built anew: %s", self._engine, key.name, why)
        for path in (*self.folder.glob(f"{key.name}*.plan"), self._record(key)):
            if path.exists():
                path.replace(path.with_name(path.name + ".broken"))

    def read_learnt(self, *of: str) -> bytes:
        """What a library learnt `of` something so far, as of a version and a GPU; nothing at first."""
        path = self._learnt(*of)
        return path.read_bytes() if path.is_file() else b""

    def keep_learnt(self, data: bytes, *of: str) -> None:
        """Keep it for the next time."""
        _replace(self._learnt(*of), data)

    def _read_record(self, key: EngineKey) -> dict[str, str] | None:
        """What is recorded of the engine for `key`; None where it is none, or is of another key."""
        known = _read_json(self._record(key))
        if known is None or set(known) - {"target"} != {*asdict(key), "sha256"}:
            return None
        return known if known.items() >= asdict(key).items() else None

    def _plan(self, key: EngineKey, sha256: str) -> Path:
        return self.folder / f"{key.name}-{sha256[:16]}.plan"

    def _record(self, key: EngineKey) -> Path:
        return self.folder / f"{key.name}.json"

    def _learnt(self, *of: str) -> Path:
        return self.folder / f"{hashlib.sha256(' '.join(of).encode()).hexdigest()[:16]}.learnt"


def _read_json(path: Path) -> dict[str, str] | None:
    """The texts by name in a file of JSON; None where it is missing or holds anything else."""
    try:
        known = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    is_text = isinstance(known, dict) and all(isinstance(value, str) for value in known.values())
    return known if is_text else None


def _replace(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
