"""Contact sheets: every clip before and after an edit, with its mouth, eyes and hair line closer, page by page."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from rigid.arrays import Pixels
from rigid.evaluation.cells import Cell
from rigid.evaluation.face_regions import Zoom, zooms
from rigid.geometry import resample

FACE_SIDE = 200
"""The side of a face, pixels."""
ZOOM = (132, 99)
"""Width and height of a zoom."""
CAPTION, GAP = 20, 8
COLUMNS = 3
PER_PAGE = 9
WIDTH = 2 * FACE_SIDE
HEIGHT = FACE_SIDE + 2 * ZOOM[1]


def draw_cell(cell: Cell) -> Pixels:
    """Before and after side by side, below them the zooms, before above after, (HEIGHT, WIDTH, 3)."""
    faces = [
        cv2.resize(face, (FACE_SIDE, FACE_SIDE), interpolation=cv2.INTER_AREA) for face in (cell.before, cell.after)
    ]
    boxes = zooms(cell.landmarks).values()
    rows = [np.hstack([_zoom(face, box) for box in boxes]) for face in (cell.before, cell.after)]
    return np.asarray(np.vstack([np.hstack(faces), *(_pad(row) for row in rows)]), np.uint8)


def draw_pages(title: str, cells: Sequence[tuple[str, Pixels]]) -> list[Pixels]:
    """Pages of up to `PER_PAGE` cells, `COLUMNS` side by side, each below its caption, all below the title."""
    starts = range(0, len(cells), PER_PAGE)
    return [_page(f"{title} ({n + 1} of {len(starts)})", cells[i : i + PER_PAGE]) for n, i in enumerate(starts)]


def _page(title: str, cells: Sequence[tuple[str, Pixels]]) -> Pixels:
    blank = np.full((CAPTION + HEIGHT, WIDTH, 3), 255, np.uint8)
    captioned = [np.asarray(np.vstack([_line(caption, WIDTH), cell]), np.uint8) for caption, cell in cells]
    filled = [*captioned, *[blank] * (-len(cells) % COLUMNS)]
    rows = [_row(filled[i : i + COLUMNS]) for i in range(0, len(filled), COLUMNS)]
    return np.asarray(np.vstack([_line(title, rows[0].shape[1]), *rows]), np.uint8)


def _row(cells: Sequence[Pixels]) -> Pixels:
    gap = np.full((CAPTION + HEIGHT, GAP, 3), 255, np.uint8)
    row = np.hstack([part for cell in cells for part in (cell, gap)][:-1])
    return np.pad(row, ((0, GAP), (0, 0), (0, 0)), constant_values=255)


def _zoom(face: Pixels, box: Zoom) -> Pixels:
    (x, y), width, height = box
    scale = ZOOM[0] / width
    move = np.array([[scale, 0, -scale * (x - width / 2)], [0, scale, -scale * (y - height / 2)]])
    return resample(face, move, ZOOM, cv2.BORDER_CONSTANT)


def _pad(row: Pixels) -> Pixels:
    return np.pad(row, ((0, 0), (0, WIDTH - row.shape[1]), (0, 0)), constant_values=255)


def _line(text: str, width: int) -> Pixels:
    line = np.full((CAPTION, width, 3), 255, np.uint8)
    cv2.putText(line, text, (3, CAPTION - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
    return line
