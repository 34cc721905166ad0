"""Built engines on disk: one for each network, version of what built it, device and settings."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from dataclasses import asdict, dataclass
from pathlib import Path

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
    """A folder of built engines and a timing cache. Broken files are set aside, never loaded twice."""

    def __init__(self, folder: Path, engine: str = "tensorrt"):
        """`engine`: whose they are, for the log."""
        self.folder = folder
        self._engine = engine

    def read(self, key: EngineKey) -> bytes | None:
        """The engine built for `key`; None where there is none, or it does not say so itself."""
        plan, record = self._plan(key), self._record(key)
        try:
            known = json.loads(record.read_text("utf-8"))
            data = plan.read_bytes()
        except (OSError, ValueError):
            return None
        if not isinstance(known, dict) or {**known, "sha256": ""} != asdict(key) | {"sha256": ""}:
            return None
        if known["sha256"] == hashlib.sha256(data).hexdigest():
            return data
        self.set_aside(key, "it is not the file that was written")
        return None

    def write(self, key: EngineKey, data: bytes) -> None:
        """Keep an engine."""
        _replace(self._plan(key), data)
        record = asdict(key) | {"sha256": hashlib.sha256(data).hexdigest()}
        _replace(self._record(key), json.dumps(record, indent=1).encode())

    def set_aside(self, key: EngineKey, why: str) -> None:
        """Rename a broken engine to `*.broken`, so that it is built anew and can still be looked at."""
        logger.warning("engine %s: %s is set aside and built anew: %s", self._engine, self._plan(key).name, why)
        for path in (self._plan(key), self._record(key)):
            if path.exists():
                path.replace(path.with_name(path.name + ".broken"))

    def timing_cache(self, version: str, gpu: str) -> bytes:
        """What was measured of kernels so far; nothing at first."""
        path = self._timing(version, gpu)
        return path.read_bytes() if path.is_file() else b""

    def keep_timing_cache(self, version: str, gpu: str, data: bytes) -> None:
        """Keep it for the next build."""
        _replace(self._timing(version, gpu), data)

    def _plan(self, key: EngineKey) -> Path:
        return self.folder / f"{key.name}.plan"

    def _record(self, key: EngineKey) -> Path:
        return self.folder / f"{key.name}.json"

    def _timing(self, version: str, gpu: str) -> Path:
        return self.folder / f"timing-{hashlib.sha256(f'{version} {gpu}'.encode()).hexdigest()[:12]}.cache"


def _replace(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_bytes(data)
    part.replace(path)
