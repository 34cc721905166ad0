"""Stand-ins for parts that are slow or need files."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np

from rigid.arrays import Array
from rigid.models.contract import CLASSES, SHRINK, RecurrentState, Sizes

TINY = Sizes(image_size=64, n_codes=6, code_size=48, n_shared_codes=2, noise_shape=(4, 8, 8), hidden_shape=(2, 4, 4))
"""Sizes small enough for a test to run in microseconds."""


class FakeRuntime:
    """A `Runtime` without networks: a code is a thumbnail of the crop, the picture is the mean code's thumbnail.

    So an unedited crop comes back as a coarse mosaic of itself, and adding to the codes brightens the picture.
    `hidden` and `cell` count the frames inverted. Each call takes `delay_seconds`.
    """

    def __init__(self, sizes: Sizes = TINY, delay_seconds: float = 0.0):
        self._sizes = sizes
        self._side = max(1, math.isqrt(sizes.code_size // 3))
        self.delay_seconds = delay_seconds
        self.batches: list[int] = []
        """Batch size of every `synthesize` so far."""
        self.parsed: list[int] = []
        """Batch size of every `parse` so far."""
        self.classes: Array | None = None
        """(n_classes, S/4, S/4), what `parse` says of every picture; None: a place is skin as far as it is bright."""
        self.inverted = 0
        """How many `invert` calls so far."""
        self.closed = False

    @property
    def name(self) -> str:
        return "fake"

    @property
    def sizes(self) -> Sizes:
        return self._sizes

    def invert(self, inputs: Array, state: RecurrentState) -> tuple[Array, Array, RecurrentState]:
        self._take_time()
        self.inverted += 1
        batch = inputs.shape[0]
        rows = self._cells(self._side, self._sizes.image_size)
        thumbnail = inputs[:, :, rows[:, None], rows[None, :]].reshape(batch, -1)
        code = np.zeros((batch, self._sizes.code_size), np.float32)
        code[:, : thumbnail.shape[1]] = thumbnail
        codes = np.repeat(code[:, None], self._sizes.n_codes, 1)
        noise = np.zeros((batch, *self._sizes.noise_shape), np.float32)
        return codes, noise, replace(state, hidden=state.hidden + 1, cell=state.cell + 1)

    def synthesize(self, codes: Array, noise: Array) -> Array:
        self._take_time()
        self.batches.append(codes.shape[0])
        mean = codes.mean(1)[:, : 3 * self._side**2].reshape(-1, 3, self._side, self._side)
        pixels = np.arange(self._sizes.image_size) * self._side // self._sizes.image_size
        picture = mean[:, :, pixels[:, None], pixels[None, :]] + noise.mean((1, 2, 3))[:, None, None, None]
        clipped: Array = np.clip(picture, -1, 1).astype(np.float32)
        return clipped

    def synthesize_face(self, codes: Array, noise: Array, corners: Array) -> Array:
        step, window = self._sizes.place_size, self._sizes.face_window
        assert window is not None
        pictures, parts = self.synthesize(codes, noise), []
        for picture, (top, left) in zip(pictures, step * corners.astype(int), strict=True):
            parts.append(picture[:, top : top + step * window[0], left : left + step * window[1]])
        return np.stack(parts)

    def parse(self, pictures: Array) -> Array:
        self._take_time()
        self.parsed.append(len(pictures))
        if self.classes is not None:
            return self.classes[None].repeat(len(pictures), 0)
        side = self._sizes.image_size // SHRINK
        bright = pictures.reshape(-1, 3, side, SHRINK, side, SHRINK).mean((1, 3, 5)) / 2 + 0.5
        classes = np.zeros((len(pictures), self._sizes.n_classes, side, side), np.float32)
        classes[:, CLASSES.index("skin")], classes[:, CLASSES.index("background")] = bright, 1 - bright
        return classes

    def close(self) -> None:
        self.closed = True

    def _take_time(self) -> None:
        # Even a sleep of nothing hands the processor to whoever waits for it.
        if self.delay_seconds:
            time.sleep(self.delay_seconds)

    @staticmethod
    def _cells(count: int, size: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
        """The centre pixels of `count` equal cells along `size` pixels."""
        return (np.arange(count) * size + size // 2) // count
