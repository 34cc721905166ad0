"""Landmark smoothing that steadies a still face and lets go of a moving one."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rigid.arrays import Array

STILL_CUTOFF = 1.0
"""Hz: how hard a still face is smoothed; lower is steadier."""
SPEED_GAIN = 30.0
"""Hz gained per face length a second: at speed a point trails by at most 1 / (2π · `SPEED_GAIN`) lengths."""
SPEED_CUTOFF = 5.0
"""Hz: low-pass of the speed estimate; higher lets go sooner when a movement starts."""
NOISE_SPEED = 0.05
"""Face lengths a second taken for jitter of the landmarks."""
RESET_JUMP = 0.6
"""A face that moves this many lengths between two frames is another face."""
RESET_GAP = 0.5
"""Seconds without a face after which the filter starts anew."""


def face_length(landmarks: Array) -> float:
    """√(width · height) of the landmarks' box, the unit in which movements are measured; at least one pixel."""
    width, height = np.ptp(landmarks, axis=0)
    return max(1.0, math.sqrt(float(width) * float(height)))


class LandmarkSmoother:
    """A One-Euro filter (Casiez, 2012) over all landmarks, in frame time and face lengths.

    A point's cut-off frequency rises with its speed, so the lag of a steady movement is bounded by
    1 / (2π · `SPEED_GAIN`) face lengths (0.5 %), whatever the frame rate and the size of the face.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the face; the next landmarks pass unchanged."""
        self._smooth: NDArray[np.float64] | None = None
        self._raw: NDArray[np.float64] | None = None
        self._velocity: NDArray[np.float64] | None = None
        self._time = 0.0

    def continues(self, landmarks: Array, time: float) -> bool:
        """Whether `landmarks` (N, 2) at `time` seconds can be the face seen last."""
        if self._raw is None or not 0 <= time - self._time <= RESET_GAP:
            return False
        jump = np.linalg.norm(landmarks.mean(0) - self._raw.mean(0))
        return bool(jump <= RESET_JUMP * face_length(landmarks))

    def smooth(self, landmarks: Array, time: float) -> Array:
        """Smoothed `landmarks` (N, 2), float32 pixels, of a frame taken at `time` seconds."""
        points = landmarks.astype(np.float64)
        if not self.continues(landmarks, time):
            self._smooth, self._velocity = points, np.zeros_like(points)
        elif time > self._time:
            self._advance(points, time - self._time, face_length(landmarks))
        self._raw, self._time = points, time
        assert self._smooth is not None
        return self._smooth.astype(np.float32)

    def _advance(self, points: NDArray[np.float64], step: float, length: float) -> None:
        assert self._smooth is not None and self._raw is not None and self._velocity is not None
        velocity = (points - self._raw) / (step * length)
        self._velocity = self._velocity + _blend(SPEED_CUTOFF, step) * (velocity - self._velocity)
        speed = np.maximum(np.linalg.norm(self._velocity, axis=1, keepdims=True) - NOISE_SPEED, 0.0)
        cutoff = STILL_CUTOFF + SPEED_GAIN * speed
        self._smooth = self._smooth + _blend(cutoff, step) * (points - self._smooth)


def _blend(cutoff: NDArray[np.float64] | float, step: float) -> NDArray[np.float64]:
    """The weight of the new sample in a first-order low-pass of `cutoff` Hz, `step` seconds after the last."""
    radians = 2 * math.pi * np.asarray(cutoff) * step
    weight: NDArray[np.float64] = radians / (1 + radians)
    return weight
