"""What whoever sits before the camera can mend, told from a picture and the place of its face."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable

import numpy as np
from av import VideoFrame

from rigid.stream.frame_record import Sighting

CUT_OFF, COVERED, SMALL, DARK = "face_cut_off", "face_covered", "too_small", "too_dark"
SEVERAL = "several_faces"
ADVICE = (CUT_OFF, COVERED, SEVERAL, DARK, SMALL)

BEYOND = 0.04
"""Of its own size; a face that lies further beyond an edge of the picture is cut off."""
COVERED_SHARE = 0.15
"""Of the face."""
LEAST_HEIGHT = 72
"""Pixels from brows to chin: a smaller face is enlarged more than twice for the networks, and stays soft."""
DARK_MEAN = 52.0
"""Of limited-range luma, where black is 16 and white 235."""
LUMA_STEP = 4
ADVICE_WINDOW = 20
ADVICE_SHARE = 0.6


def advice_for(frame: VideoFrame, face: Sighting | None) -> frozenset[str]:
    """What of `ADVICE` can be told of a picture, yuv420p, before it is edited; `face`: None without one."""
    if face is None:
        return frozenset({DARK}) if _mean_luma(frame, (0, 0, frame.width, frame.height)) < DARK_MEAN else frozenset()
    left, top, right, bottom = face.box
    width, height = right - left, bottom - top
    across, down = BEYOND * width, BEYOND * height
    told = {
        CUT_OFF: left < -across or top < -down or right > frame.width + across or bottom > frame.height + down,
        SEVERAL: face.faces > 1,
        DARK: _mean_luma(frame, face.box) < DARK_MEAN,
        SMALL: height < LEAST_HEIGHT,
    }
    return frozenset(code for code, holds in told.items() if holds)


def _mean_luma(frame: VideoFrame, box: tuple[float, float, float, float]) -> float:
    plane = frame.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    left, top, right, bottom = (max(0, round(edge)) for edge in box)
    inside = rows[top : min(bottom, frame.height) : LUMA_STEP, left : min(right, frame.width) : LUMA_STEP]
    return float(inside.mean()) if inside.size else 255.0


class Advice:
    """What holds of most of the last pictures, so that a hand that passes by is not remarked upon."""

    def __init__(self) -> None:
        self._last: deque[frozenset[str]] = deque(maxlen=ADVICE_WINDOW)

    def add(self, told: Iterable[str]) -> None:
        """Note what is told of one more picture."""
        self._last.append(frozenset(told))

    @property
    def now(self) -> list[str]:
        """The advice that holds now, in the order of `ADVICE`."""
        counts = Counter(code for told in self._last for code in told)
        return [code for code in ADVICE if counts[code] >= ADVICE_SHARE * ADVICE_WINDOW]
