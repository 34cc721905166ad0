"""Contact sheets: generated faces with an edit at several strengths, to be looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from rigid.arrays import Array, Pixels
from rigid.atomic_files import replacing
from rigid.discovery.samples import Studio

STRENGTHS = (-1.0, -0.5, 0.0, 0.5, 1.0)
TITLE, GAP = 110, 6
"""Width of a line's name and between its faces, pixels."""


def contact_sheet(
    studio: Studio,
    codes: Array,
    offset: Callable[[float], Array],
    strengths: Sequence[float] = STRENGTHS,
    size: int = 192,
) -> Pixels:
    """A row for each face of `codes` (N, n_codes, 512), a column for each strength.

    `offset`: strength → what it adds to the codes, (n_codes, 512). RGB bytes (N·size, n_strengths·size, 3).
    """
    edited = np.concatenate([[face + offset(strength) for strength in strengths] for face in codes])
    small = [cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA) for picture in studio.photograph(edited)]
    rows = np.array(small, np.uint8).reshape(len(codes), len(strengths), size, size, 3)
    return np.ascontiguousarray(rows.transpose(0, 2, 1, 3, 4)).reshape(len(codes) * size, -1, 3)


def overview(sheets: Mapping[str, Pixels], faces: int, cell: int = 80) -> Pixels:
    """Contact sheets of `faces` rows each, a line an attribute: every face at all strengths, beside the name.

    RGB bytes (n_sheets·cell, …, 3); sheets must have the same number of columns.
    """
    return np.concatenate([_line(name, sheet, faces, cell) for name, sheet in sheets.items()])


def _line(name: str, sheet: Pixels, faces: int, cell: int) -> Pixels:
    side = sheet.shape[0] // faces
    columns = sheet.shape[1] // side
    small = cv2.resize(sheet, (columns * cell, faces * cell), interpolation=cv2.INTER_AREA)
    title = np.full((cell, TITLE, 3), 255, np.uint8)
    cv2.putText(title, name, (4, cell // 2 + 5), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
    gap = np.full((cell, GAP, 3), 255, np.uint8)
    parts = [part for row in np.split(small, faces) for part in (gap, row)]
    return np.asarray(np.hstack([title, *parts]), np.uint8)


def read_sheet(path: Path) -> Pixels:
    """The RGB bytes of a picture file."""
    stored = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert stored is not None, path
    return np.ascontiguousarray(stored[..., ::-1], np.uint8)


def write_sheet(path: Path, sheet: Pixels, quality: int = 90) -> None:
    """Write RGB bytes as the picture file `path`; `quality`: of a JPEG, 1 to 100."""
    path.parent.mkdir(parents=True, exist_ok=True)
    _, encoded = cv2.imencode(path.suffix, sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    with replacing(path) as part:
        part.write_bytes(encoded.tobytes())
