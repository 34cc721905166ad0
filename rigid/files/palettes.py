"""Pictures of at most 256 colours, as GIF wants them: what an edit left alone keeps its very colours."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rigid.arrays import Pixels, Region

MOST_COLOURS = 256
FEWEST_COLOURS = 16
"""Colours that an edited part gets at least, where there is room for so many."""


def with_palette(colours: Pixels, alpha: Pixels | None, touched: Region | None) -> Image.Image:
    """RGB (H, W, 3) uint8 as an image of mode P, its transparent pixels (`alpha` (H, W) below 128) in one index.

    The colours outside `touched` (H, W) are kept to the bit where they leave room; the rest is dithered.
    """
    hidden = None if alpha is None else alpha < 128
    room = MOST_COLOURS - (hidden is not None)
    seen = np.ones(colours.shape[:2], bool) if hidden is None else ~hidden
    packed = _pack(colours)
    every = np.unique(packed[seen])
    fixed = every if touched is None else np.unique(packed[seen & ~touched])
    if len(every) <= room:
        palette, indices = every, np.searchsorted(every, packed).clip(max=max(0, len(every) - 1))
    elif touched is not None and len(fixed) <= room - FEWEST_COLOURS:
        palette, indices = _join(colours, packed, touched, fixed, room)
    else:
        quantised = Image.fromarray(colours).quantize(room)
        palette, indices = (
            _pack(np.array(quantised.getpalette("RGB"), np.uint8).reshape(1, -1, 3))[0],
            np.asarray(quantised),
        )
    image = Image.fromarray(indices.astype(np.uint8))
    table = _unpack(palette)
    if hidden is not None:
        image = Image.fromarray(np.where(hidden, len(table), indices).astype(np.uint8))
        table = np.vstack([table, np.zeros((1, 3), np.uint8)])
        image.info["transparency"] = len(table) - 1
    image.putpalette(table.tobytes(), "RGB")
    return image


def _join(
    colours: Pixels, packed: NDArray[np.uint32], touched: Region, fixed: NDArray[np.uint32], room: int
) -> tuple[NDArray[np.uint32], NDArray[np.integer[Any]]]:
    """The colours that must stay and the best of the others, and where each pixel finds its own."""
    rows, columns = np.flatnonzero(touched.any(1)), np.flatnonzero(touched.any(0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    part = Image.fromarray(np.ascontiguousarray(colours[box]))
    new = Image.fromarray(colours[touched][None]).quantize(room - len(fixed)).getpalette("RGB")
    palette = np.concatenate([fixed, _pack(np.array(new, np.uint8).reshape(1, -1, 3))[0]]).astype(np.uint32)
    table = Image.new("P", (1, 1))
    table.putpalette(_unpack(palette).tobytes(), "RGB")
    dithered = np.asarray(part.quantize(palette=table, dither=Image.Dither.FLOYDSTEINBERG))
    indices = np.searchsorted(fixed, packed).clip(max=max(0, len(fixed) - 1))
    indices[box] = np.where(touched[box], dithered, indices[box])
    return palette, indices


def _pack(colours: Pixels) -> NDArray[np.uint32]:
    red, green, blue = (colours[..., channel].astype(np.uint32) for channel in range(3))
    packed: NDArray[np.uint32] = (red << 16 | green << 8 | blue).astype(np.uint32)
    return packed


def _unpack(packed: NDArray[np.uint32]) -> Pixels:
    return np.stack([packed >> 16 & 255, packed >> 8 & 255, packed & 255], -1).astype(np.uint8)
