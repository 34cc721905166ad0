"""Films in other colours than a screen's: HDR and wide gamut seen as BT.709, and an edit of that carried back.

Light is linear, (..., 3) float32 in the primaries of BT.709, where 1 is the diffuse white of BT.2408: 203 cd/m².
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from pathlib import Path

import av
import av.filter
import numpy as np
from numpy.typing import NDArray

from rigid.arrays import Array, Pixels

PQ, HLG = 16, 18
"""AVCOL_TRC_SMPTE2084 and AVCOL_TRC_ARIB_STD_B67: the transfers of HDR (BT.2100)."""
WHITE = 203.0
"""cd/m² of diffuse white (BT.2408)."""
PEAK = 1000.0 / WHITE
"""The brightest light that is told from brighter ones: HLG's nominal peak."""
KNEE = 0.6
"""Light below is shown as it is, light above is rolled off so that the peak is a screen's white."""
SCREEN_GAMMA = 2.4
"""BT.1886."""
TO_BT709: dict[int, NDArray[np.float64]] = {
    9: np.array([[1.660491, -0.587641, -0.072850], [-0.124550, 1.132900, -0.008349], [-0.018151, -0.100579, 1.118730]]),
    12: np.array([[1.224940, -0.224940, 0.0], [-0.042057, 1.042057, 0.0], [-0.019638, -0.078636, 1.098273]]),
}
"""Matrices to BT.709 by AVColorPrimaries: BT.2020 and Display P3, linear (BT.2087, SMPTE EG 432-1)."""
LUMA_BT2020 = np.array([0.2627, 0.6780, 0.0593], np.float32)
TABLE_STEPS = 33
"""Steps a side of the table by which whole frames are converted."""
_ROOM = (1 - KNEE, (PEAK - KNEE) / (1 - KNEE))


@dataclass(frozen=True)
class FilmColours:
    """What a film's R'G'B' signal means."""

    transfer: int
    """AVColorTransferCharacteristic."""
    primaries: int
    """AVColorPrimaries."""

    @property
    def is_hdr(self) -> bool:
        """Whether it holds light brighter than a screen's white."""
        return self.transfer in (PQ, HLG)

    @property
    def is_plain(self) -> bool:
        """Whether networks may see the signal as it is."""
        return not self.is_hdr and self.primaries not in TO_BT709

    def to_screen(self, signal: Array) -> Array:
        """The signal (..., 3) in [0, 1] as BT.709 for a screen, (..., 3) float32 in [0, 1]."""
        light = np.maximum(_turn(self._light(signal), self._matrix), 0)
        shown = _roll_off(light) if self.is_hdr else np.minimum(light, 1)
        return np.asarray(shown ** np.float32(1 / SCREEN_GAMMA), np.float32)

    def from_screen(self, shown: Pixels) -> Array:
        """The signal, (..., 3) float32 in [0, 1], of BT.709 codes (..., 3) uint8: the inverse of `to_screen`."""
        light = self._decoded[shown]
        return self._signal(np.maximum(_turn(light, np.linalg.inv(self._matrix).astype(np.float64)), 0))

    @cached_property
    def _decoded(self) -> Array:
        """The light of each of the 256 codes."""
        linear = np.asarray((np.arange(256) / 255) ** SCREEN_GAMMA, np.float32)
        return _roll_on(linear) if self.is_hdr else linear

    @property
    def _matrix(self) -> NDArray[np.float64]:
        return TO_BT709.get(self.primaries, np.eye(3))

    def _light(self, signal: Array) -> Array:
        if self.transfer == PQ:
            return _pq_light(signal)
        if self.transfer == HLG:
            scene = _hlg_scene(signal)
            return np.asarray(PEAK * scene * _luma(scene) ** np.float32(0.2), np.float32)
        return np.asarray(signal ** np.float32(SCREEN_GAMMA), np.float32)

    def _signal(self, light: Array) -> Array:
        if self.transfer == PQ:
            return _pq_signal(light)
        if self.transfer == HLG:
            shown = light / np.float32(PEAK)
            return _hlg_signal(
                np.asarray(shown * np.maximum(_luma(shown), 1e-6) ** np.float32(1 / 1.2 - 1), np.float32)
            )
        return np.asarray(np.minimum(light, 1) ** np.float32(1 / SCREEN_GAMMA), np.float32)


class ScreenView:
    """Shows frames of a film as BT.709, whole frames at a time, by a table in libavfilter."""

    def __init__(self, colours: FilmColours) -> None:
        self._table = _table_of(colours)
        self._graph: av.filter.Graph | None = None
        self._shape: tuple[int, int, str] | None = None

    def show(self, frame: av.VideoFrame) -> av.VideoFrame:
        """A planar R'G'B' frame of at most 16 bits, full range, in the film's colours, as one in BT.709."""
        shape = (frame.width, frame.height, frame.format.name)
        if self._graph is None or shape != self._shape:
            self._graph, self._shape = _graph(frame, self._table), shape
        self._graph.push(frame)
        made = self._graph.pull()
        assert isinstance(made, av.VideoFrame)
        return made


def _graph(frame: av.VideoFrame, table: Path) -> av.filter.Graph:
    graph = av.filter.Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 1000))
    look = graph.add("lut3d", file=str(table), interp="tetrahedral")
    sink = graph.add("buffersink")
    source.link_to(look)
    look.link_to(sink)
    graph.configure()
    return graph


@lru_cache(maxsize=8)
def _table_of(colours: FilmColours) -> Path:
    """`to_screen` as a table in a file (.cube), as the filter wants it; it goes with the process."""
    steps = np.linspace(0, 1, TABLE_STEPS, dtype=np.float32)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")
    values = colours.to_screen(np.stack([red, green, blue], -1)).reshape(-1, 3)
    lines = "\n".join(f"{r:.6f} {g:.6f} {b:.6f}" for r, g, b in values)
    path = Path(_folder().name) / f"{colours.transfer}-{colours.primaries}-{os.getpid()}.cube"
    path.write_text(f"LUT_3D_SIZE {TABLE_STEPS}\n{lines}\n", "ascii")
    return path


@lru_cache(maxsize=1)
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="rigid-live-colours-", ignore_cleanup_errors=True)


def _roll_off(light: Array) -> Array:
    """Light to a screen's, [0, 1]: as it is below the knee, Reinhard's extended curve above."""
    room, most = _ROOM
    over = np.clip((light - KNEE) / room, 0, most)
    return np.asarray(np.where(light < KNEE, light, KNEE + room * over * (1 + over / most**2) / (1 + over)), np.float32)


def _roll_on(shown: Array) -> Array:
    """The inverse of `_rolled_off`."""
    room, most = _ROOM
    part = np.clip((shown - KNEE) / room, 0, 1)
    over = most**2 / 2 * (np.sqrt((1 - part) ** 2 + 4 * part / most**2) - (1 - part))
    return np.asarray(np.where(shown < KNEE, shown, KNEE + room * over), np.float32)


def _turn(light: Array, matrix: NDArray[np.float64]) -> Array:
    return np.asarray(light @ matrix.T.astype(np.float32), np.float32)


def _luma(scene: Array) -> Array:
    return np.asarray((scene @ LUMA_BT2020)[..., None], np.float32)


# The transfers of BT.2100, tables 4 and 5.
_M1, _M2, _C1, _C2, _C3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
_A, _B, _C = 0.17883277, 0.28466892, 0.55991073


def _pq_light(signal: Array) -> Array:
    powered = np.clip(signal, 0, 1).astype(np.float64) ** (1 / _M2)
    light = (np.maximum(powered - _C1, 0) / (_C2 - _C3 * powered)) ** (1 / _M1)
    return np.asarray(light * 10_000 / WHITE, np.float32)


def _pq_signal(light: Array) -> Array:
    powered = np.clip(light.astype(np.float64) * WHITE / 10_000, 0, 1) ** _M1
    return np.asarray(((_C1 + _C2 * powered) / (1 + _C3 * powered)) ** _M2, np.float32)


def _hlg_scene(signal: Array) -> Array:
    high = (np.exp((np.maximum(signal, 0.5) - _C) / _A) + _B) / 12
    return np.asarray(np.where(signal <= 0.5, np.square(signal) / 3, high), np.float32)


def _hlg_signal(scene: Array) -> Array:
    scene = np.clip(scene, 0, 1)
    high = _A * np.log(np.maximum(12 * scene - _B, 1e-6)) + _C
    return np.asarray(np.where(scene <= 1 / 12, np.sqrt(3 * scene), high), np.float32)


Carry = Callable[[Pixels, Pixels], Array]
"""Makes of what was shown and what became of it, both (..., 3) uint8, the change of the film's signal, float32."""


def change_of(colours: FilmColours) -> Carry:
    """How an edit of what the networks saw changes the signal of a film in `colours`."""
    if colours.is_plain:
        return lambda before, after: (after.astype(np.float32) - before.astype(np.float32)) / np.float32(255)
    return lambda before, after: colours.from_screen(after) - colours.from_screen(before)
