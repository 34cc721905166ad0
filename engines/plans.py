"""TensorRT's built engines on disk: one for each network, TensorRT version, GPU, precision and range of batches."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from dataclasses import asdict, dataclass
from pathlib import Path

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PlanKey:
    """What an engine was built for; any other is built anew, never loaded."""

    network: str
    """SHA-256 of the ONNX file."""
    version: str
    """TensorRT's."""
    gpu: str
    precision: str
    most_batch: int

    @property
    def name(self) -> str:
        """Short and unique."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]


class PlanStore:
    """A folder of built engines and a timing cache. Broken files are set aside, never loaded twice."""

    def __init__(self, folder: Path):
        self.folder = folder

    def read(self, key: PlanKey) -> bytes | None:
        """The engine built for `key`; None where there is none, or it does not say so itself."""
        plan, record = self._plan(key), self._record(key)
        try:
            known = json.loads(record.read_text("utf-8"))
            data = plan.read_bytes()
        except (OSError, ValueError):
            return None
        if known == asdict(key) | {"sha256": hashlib.sha256(data).hexdigest()}:
            return data
        self.set_aside(key, "it is not the file that was written")
        return None

    def write(self, key: PlanKey, data: bytes) -> None:
        """Keep an engine."""
        _replace(self._plan(key), data)
        record = asdict(key) | {"sha256": hashlib.sha256(data).hexdigest()}
        _replace(self._record(key), json.dumps(record, indent=1).encode())

    def set_aside(self, key: PlanKey, why: str) -> None:
        """Rename a broken engine to `*.broken`, so that it is built anew and can still be looked at."""
        logger.warning("engine tensorrt: %s is set aside and built anew: %s", self._plan(key).name, why)
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

    def _plan(self, key: PlanKey) -> Path:
        return self.folder / f"{key.name}.plan"

    def _record(self, key: PlanKey) -> Path:
        return self.folder / f"{key.name}.json"

    def _timing(self, version: str, gpu: str) -> Path:
        return self.folder / f"timing-{hashlib.sha256(f'{version} {gpu}'.encode()).hexdigest()[:12]}.cache"


def file_hash(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _replace(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_bytes(data)
    part.replace(path)
