"""Contact sheets: generated faces with an edit at several strengths, to be looked at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from rigid.attributes.labels import Bytes
from rigid.attributes.samples import Studio

Array = NDArray[np.float32]
STRENGTHS = (-1.0, -0.5, 0.0, 0.5, 1.0)


def contact_sheet(
    studio: Studio,
    codes: Array,
    offset: Callable[[float], Array],
    strengths: Sequence[float] = STRENGTHS,
    size: int = 192,
) -> Bytes:
    """A row for each face of `codes` (N, n_codes, 512), a column for each strength.

    `offset`: strength → what it adds to the codes, (n_codes, 512). RGB bytes (N·size, n_strengths·size, 3).
    """
    edited = np.concatenate([[face + offset(strength) for strength in strengths] for face in codes])
    small = [cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA) for picture in studio.photograph(edited)]
    rows = np.array(small, np.uint8).reshape(len(codes), len(strengths), size, size, 3)
    return np.ascontiguousarray(rows.transpose(0, 2, 1, 3, 4)).reshape(len(codes) * size, -1, 3)


def write_sheet(path: Path, sheet: Bytes) -> None:
    """Write RGB bytes as the picture file `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _, encoded = cv2.imencode(path.suffix, sheet[..., ::-1])
    path.write_bytes(encoded.tobytes())
