"""What is generated, held steady along the motion of the real face, so that it neither shimmers nor lags.

A recursive filter in motion-compensated coordinates. With f the flow from the frame before to this one, measured
between the *real* aligned faces I, every generated picture P becomes

    P'_t = P_t + a · (W(P'_{t-1}, f) - P_t),  a = STEADY_SHARE where I_t = W(I_{t-1}, f), falling to 0 where it is not.

Where the real pixels only moved, nothing but movement is left of what the generator makes anew each frame; where
they changed (a mouth that opens, a blink, a cut), the newest picture counts. That the real video says what may change
is the idea of blind temporal consistency (Bonneel et al., 2015; Lai et al., 2018).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np

from rigid.arrays import Array, Pixels
from rigid.composite.compositor import Faces
from rigid.composite.paste import repeat_for_colours, warp
from rigid.fields import blur, mismatch, ramp, resize

FLOW_SIZE = 128
"""Side of the pictures between which the flow is estimated."""
STEADY_SHARE = 0.6
"""The share of the picture before, where the real pixels only moved. On nine training clips the warp error of inverted
faces, over the source's, fell from 4.7 to 1.2 inside the crop and MSE by 6%; with 0.7 it fell below 1: blur."""
DRAWN_SHARE = 0.85
"""The same of E where it is drawn without the real face's noise map, as bangs are, and of the strands of dyed hair."""
MOVED, CHANGED = 0.1, 0.3
"""What the flow may leave unexplained of the real face, in [-1, 1] values, for all of the share, and for none."""


@dataclass(frozen=True)
class _Sight:
    """What the flow is measured on: the real face at `FLOW_SIZE`."""

    small: Array
    grey: Pixels

    @classmethod
    def of(cls, real: Array) -> _Sight:
        """`real` made small."""
        small = resize(real, FLOW_SIZE)
        return cls(small, _grey_bytes(small))


@dataclass(frozen=True, eq=False)
class Steadied:
    """The faces of one frame, held steady, and what the next ones are held by."""

    faces: Faces
    edits: Mapping[str, float]
    """The edits by which O and E differ."""
    sight: _Sight
    masks: tuple[Array, ...] = ()
    """The masks of the face and, where it is edited, of the hair, (S, S), held steady as well."""


class TemporalFilter:
    """Holds generated faces steady; of the frames before it knows what it is given."""

    def __init__(self, share: float = STEADY_SHARE) -> None:
        """`share`: of the picture before, 0 to 1; 0 leaves every picture as it is."""
        self._share = share
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        # Refined once and with patches 4 pixels apart, it leaves as little of the real face unexplained as with the
        # preset's five times and 3 pixels, in half the time.
        self._dis.setVariationalRefinementIterations(1)
        self._dis.setPatchStride(4)

    def steady(
        self, faces: Faces, edits: Mapping[str, float], last: Steadied | None, masks: tuple[Array, ...] = ()
    ) -> Steadied:
        """`faces` with the generated ones held steady by the `last`; without these as they are.

        `edits`: by what O and E differ. Where they are others than before, E stays as it came: an edit is not to lag.
        `masks` (S, S): in which the face is edited and, if it is, the hair, held like E: where they tremble, beards and
        dyed strands flicker. In that of the hair, E is held by more, see `DRAWN_SHARE`.
        """
        now = Steadied(faces, dict(edits), _Sight.of(faces.real), masks)
        return now if last is None or not self._share else self._hold(now, last)

    def move_along(self, real: Array, last: Steadied) -> Steadied:
        """The `last` faces and masks, moved as the real face has since."""
        sight, faces = _Sight.of(real), last.faces
        flow = _enlarge(self._flow(sight, last.sight), len(real))
        bare = None if faces.bare is None else warp(faces.bare, flow)
        moved = Faces(real, warp(faces.inverted, flow), warp(faces.edited, flow), bare)
        return Steadied(moved, last.edits, sight, tuple(warp(mask, flow) for mask in last.masks))

    def _hold(self, given: Steadied, last: Steadied) -> Steadied:
        faces, now, masks = given.faces, given.sight, given.masks
        flow, size, before = self._flow(now, last.sight), len(faces.real), last.faces
        explained = resize(_find_explained(now, last.sight, flow), size)
        flow, weight = _enlarge(flow, size), repeat_for_colours(np.float32(self._share) * explained)
        inverted = _mix(faces.inverted, before.inverted, flow, weight)
        edited, bare = faces.edited, faces.bare
        if given.edits == last.edits and len(masks) == len(last.masks):
            held = np.float32(self._share) * explained
            masks = tuple(_mix(mask, kept, flow, held) for mask, kept in zip(masks, last.masks, strict=True))
            for hair in masks[1:]:
                share = self._share + np.float32(max(DRAWN_SHARE - self._share, 0)) * hair
                weight = repeat_for_colours(share * explained)
            edited = _mix(edited, before.edited, flow, weight)
            bare = bare if bare is None or before.bare is None else _mix(bare, before.bare, flow, weight)
        return replace(given, faces=replace(faces, inverted=inverted, edited=edited, bare=bare), masks=masks)

    def _flow(self, now: _Sight, before: _Sight) -> Array:
        """now(x) ≈ before(x + f(x)), in pixels at FLOW_SIZE."""
        flow: Array = self._dis.calc(now.grey, before.grey, None)  # type: ignore[call-overload]
        return flow


def _find_explained(now: _Sight, before: _Sight, flow: Array) -> Array:
    """1 where moving the face before gives this one, 0 where it does not, at FLOW_SIZE."""
    error = mismatch(now.small, warp(before.small, flow))
    return 1 - ramp(blur(error, 1.0), MOVED, CHANGED)


def _mix(newest: Array, last: Array, flow: Array, weight: Array) -> Array:
    mixed = warp(last, flow)
    mixed -= newest
    mixed *= weight
    mixed += newest
    return mixed


def _grey_bytes(picture: Array) -> Pixels:
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    levels: Pixels = np.rint((grey + 1) * 127.5).clip(0, 255).astype(np.uint8)
    return levels


def _enlarge(flow: Array, size: int) -> Array:
    """A flow at FLOW_SIZE as one for crops of `size`."""
    return resize(flow, size) * np.float32(size / FLOW_SIZE)
