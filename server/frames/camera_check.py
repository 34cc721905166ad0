"""Whether a camera shows anything: black and frozen pictures are told from the grey of a few pixels."""

from __future__ import annotations

import numpy as np
from av import VideoFrame
from numpy.typing import NDArray

GREY_STEP = 16
BLACK_MEAN, BLACK_SPREAD = 24.0, 3.0
"""Of limited-range luma, where black is 16."""
FROZEN_SECONDS = 5.0
FROZEN_DIFFERENCE = 2
"""Grey levels; a sensor's noise and an encoder's rounding move some pixel by more."""


class CameraCheck:
    """Looks at one session's pictures in turn."""

    def __init__(self) -> None:
        self._reference: NDArray[np.int16] | None = None
        self._still_since = 0.0

    def look(self, frame: VideoFrame, now: float) -> str:
        """Returns black_picture, frozen_picture or, for a usual one, nothing. `frame`: yuv420p; `now`: seconds."""
        grey = _grey(frame)
        reference, self._reference = self._reference, grey
        if reference is None or reference.shape != grey.shape or _apart(reference, grey):
            self._still_since = now
        else:
            # kept, so that a slow change adds up to one
            self._reference = reference
        if grey.mean() <= BLACK_MEAN and grey.std() <= BLACK_SPREAD:
            return "black_picture"
        return "frozen_picture" if now - self._still_since >= FROZEN_SECONDS else ""


def _grey(frame: VideoFrame) -> NDArray[np.int16]:
    plane = frame.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    grey: NDArray[np.int16] = rows[: frame.height : GREY_STEP, : frame.width : GREY_STEP].astype(np.int16)
    return grey


def _apart(one: NDArray[np.int16], other: NDArray[np.int16]) -> bool:
    return bool(np.abs(one - other).max() > FROZEN_DIFFERENCE)
