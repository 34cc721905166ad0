"""What was measured so far, kept in the output folder, so that an interrupted run goes on where it was."""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rigid.atomic_files import replacing, write_json
from rigid.evaluation.fvd import Features
from rigid.evaluation.strips import VIDEOS, Rows
from rigid.files.clips import Clip

RESULTS_VERSION = 1
"""The number is raised whenever a measure changes its meaning; results of another version are measured anew."""

Options = Mapping[str, object]
"""Everything that a result depends on, ready for JSON."""


@dataclass(frozen=True)
class Result:
    """A clip under a method, as it is kept."""

    means: dict[str, float]
    strengths: dict[str, float]
    frames: dict[str, dict[int, float]]
    counts: dict[str, int]
    """`frames` of the clip that were read, and the `face_frames` among them."""
    rows: Rows
    features: dict[str, Features]


class ResultStore:
    """One `.json` and one `.npz` a clip and method, below `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, clip: str, method: str, options: Options) -> Result | None:
        """What was kept of the pair under the same options; None where it has to be measured."""
        path = self._path(clip, method)
        try:
            kept = json.loads(path.read_text("utf-8"))
            if kept["hash"] != hash_of(options):
                return None
            with np.load(path.with_suffix(".npz")) as arrays:
                rows = Rows(*(arrays[name] for name in VIDEOS))
                features = {name: arrays[f"i3d_{name}"] for name in VIDEOS if f"i3d_{name}" in arrays}
        except (OSError, ValueError, KeyError, TypeError, EOFError):
            return None  # missing, or not what this program wrote
        frames = {name: {int(i): to_number(v) for i, v in values.items()} for name, values in kept["frames"].items()}
        means, strengths = ({k: to_number(v) for k, v in kept[part].items()} for part in ("means", "strengths"))
        return Result(means, strengths, frames, kept["counts"], rows, features)

    def save(self, clip: str, method: str, options: Options, result: Result) -> None:
        """Keep the pair; the `.json`, which makes it count, comes last."""
        path = self._path(clip, method)
        path.parent.mkdir(parents=True, exist_ok=True)
        arrays = {name: getattr(result.rows, name) for name in VIDEOS}
        arrays |= {f"i3d_{name}": value for name, value in result.features.items()}
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)
        with replacing(path.with_suffix(".npz")) as part:
            part.write_bytes(buffer.getvalue())
        kept = {"hash": hash_of(options), "options": options, "counts": result.counts}
        measured = {"means": result.means, "strengths": result.strengths, "frames": result.frames}
        write_json(path, without_nan(kept | measured))

    def _path(self, clip: str, method: str) -> Path:
        return self._folder / f"{clip}--{method}.json"


def hash_of(options: Options) -> str:
    """Names the options: two that differ anywhere differ in it."""
    text = json.dumps({"version": RESULTS_VERSION, **options}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def file_stamp(clip: Clip) -> str:
    """Tells a file from the one that was measured under its name before."""
    status = clip.path.stat()
    return f"{status.st_size} bytes, {status.st_mtime_ns}"


def without_nan(value: Any) -> Any:
    """`value`, ready for JSON, with None in place of every NaN and infinity."""
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): without_nan(item) for key, item in value.items()}
    return [without_nan(item) for item in value] if isinstance(value, list | tuple) else value


def to_number(value: float | None) -> float:
    """`value` as it was before `without_nan`."""
    return math.nan if value is None else float(value)


def check_out(folder: Path) -> None:
    """ValueError, one sentence, when results cannot be written to `folder`."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; --out takes a folder.")
