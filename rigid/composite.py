"""How the edit gets onto the real face: by pasting the edited face, or by transferring only the change.

With I the real aligned face, O the inverted, E the edited one, M the inner-face mask, f the flow from E to O
and W(·, f) the backward warp by it:

- `paper` (Eq. 7): M · E + (1 - M) · I.
- `transfer`: M · (W(I, f) + E - W(O, f)) + (1 - M) · I. Written with D = W(I - O, f), what the generator got
  wrong about the real face, its inner part is E + D: the edited face with the real details put back. Where
  they would not fit (a mouth that I has closed and O open, a place that the flow does not explain) only the
  smooth part of D is kept, which is pasting E with its colours matched. Edits of the hair: see `rigid.hair`.
- `transfer-landmarks`: the same with f from the landmarks of E and O instead of their optical flow.
- `learned`: M · (E + kept · D + residual) + (1 - M) · I, where a net says `kept` and `residual` (`ChangeNet`).

Crops are float32 (S, S, 3) RGB in [-1, 1], masks float32 (S, S) in [0, 1], flows float32 (S, S, 2) in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from rigid.blend import (
    Composite,
    Crop,
    Flow,
    Mask,
    Masker,
    OvalMasker,
    feather,
    moved_mask,
    spread,
    union,
    warp,
)
from rigid.fields import blurred, mismatch, paired, planes, ramp, resized
from rigid.geometry import Points
from rigid.hair import with_hair
from rigid.motion import LandmarkFinder, landmark_flow
from rigid.reach import FACE_ONLY, Reach
from rigid.reshape import motion_field, reshaped
from rigid.trust import NOTHING_ANEW, Anew, trusted

CompositeKind = Literal["transfer", "transfer-landmarks", "learned", "paper"]
COMPOSITES: tuple[CompositeKind, ...] = ("transfer", "transfer-landmarks", "learned", "paper")

FLOW_SIZE = 128
"""Side of the pictures between which the flow is estimated."""
FLOW_SIGMA = 1.0
"""Spatial smoothing of the flow, pixels at FLOW_SIZE (2 px at 256)."""
MAX_FLOW = 0.08
"""Largest credible motion between the inverted and the edited face, in crop sides."""
SIDEWAYS = (0.01, 0.02)
"""Motion to the side, beside the face's middle and against it, in crop sides, from which the flow is less, and no
longer credible: hair that is drawn beside a jaw is best explained by skin dragged out there. Round the faces of the
validation clips, eleven edits that draw no hair move 99% of the pixels sideways by 0.012 (median) and 0.022 at most."""
OWN_SUPPORT, UNSUPPORTED = 0.03, 0.01
"""How much better the warped face must match, in [-1, 1] values, for its flow to count by itself, and at all."""
STEADY, LOOSE = 0.35, 1.0
"""Weight of the newest flow where it hardly changed, and where it changed by `LOOSE_CHANGE` or more."""
STRANDS = 0.04
"""How far a fringe hangs below the forehead, softly, crop sides."""
LOOSE_CHANGE = 1.5
"""Pixels at FLOW_SIZE."""


@dataclass(frozen=True)
class TransferState:
    """What one frame's transfer hands to the next, at FLOW_SIZE; None before the first."""

    flow: Flow | None = None
    shares: NDArray[np.float32] | None = None
    """(n, n, 2) at half of it: see `rigid.trust.Trust`."""


class Motion(Protocol):
    """Estimates how the edited face has moved against the inverted one."""

    def __call__(self, edited: Crop, inverted: Crop) -> Flow:
        """f with `edited`(x) ≈ `inverted`(x + f(x)), (FLOW_SIZE, FLOW_SIZE, 2) in pixels at FLOW_SIZE."""


class ChangeFinder(Protocol):
    """What `ChangeNet` does, on arrays; `rigid.compositing.ChangeModel` is one."""

    def __call__(self, pictures: Crop) -> tuple[Mask, Crop]:
        """W(I, f), W(O, f), E and I, (n, n, 12) → kept (n/2, n/2) and residual (n/2, n/2, 3)."""


class OpticalMotion:
    """Motion by DIS (Kroeger, 2016) at low resolution, smooth in space, zero where the two faces do not differ.

    Holds OpenCV's work buffers only.
    """

    def __init__(self) -> None:
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        # On a known smile-like warp: 0.27 px of 256 off, in 0.8 ms; scale 0 gets 0.21 px in three times that.
        self._dis.setFinestScale(1)
        # Once leaves less of the change unexplained than twice, or five times as the preset has it.
        self._dis.setVariationalRefinementIterations(1)

    def __call__(self, edited: Crop, inverted: Crop) -> Flow:
        edited, inverted = resized(edited, FLOW_SIZE), resized(inverted, FLOW_SIZE)
        flow: Flow = self._dis.calc(grey_bytes(edited), grey_bytes(inverted), None)  # type: ignore[call-overload]
        limit = MAX_FLOW * FLOW_SIZE
        return _supported(flow.clip(-limit, limit), edited, inverted)


class LandmarkMotion:
    """Motion by the landmarks of both faces; optical flow where one of them shows no face."""

    def __init__(self, find: LandmarkFinder):
        self._find = find
        self._otherwise = OpticalMotion()

    def __call__(self, edited: Crop, inverted: Crop) -> Flow:
        points = [self._find(_to_bytes(crop)) for crop in (edited, inverted)]
        if points[0] is None or points[1] is None:
            return self._otherwise(edited, inverted)
        return landmark_flow(points[0], points[1], edited.shape[0], FLOW_SIZE)


def _to_bytes(crop: Crop) -> NDArray[np.uint8]:
    levels: NDArray[np.uint8] = np.rint((crop + 1) * 127.5).clip(0, 255).astype(np.uint8)
    return levels


def grey_bytes(picture: Crop) -> NDArray[np.uint8]:
    return _to_bytes(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))  # type: ignore[arg-type]


def paper_composite(inputs: Crop, inverted: Crop, edited: Crop, mask: Mask, flow: Flow | None = None) -> Composite:
    """Eq. 7: E inside the feathered union of the two faces' masks.

    `mask`: hard-edged inner face of `inputs`. `flow`: from E to O; moves the mask to the edited face, without
    it the union is `mask` itself.
    """
    del inverted  # Eq. 7 does without the inverted face; both composites are called alike.
    return Composite(edited, _blend_mask(mask, flow))


def transfer_composite(
    inputs: Crop,
    inverted: Crop,
    edited: Crop,
    mask: Mask,
    state: TransferState,
    anew: Anew = NOTHING_ANEW,
    motion: Motion | None = None,
) -> tuple[Composite, TransferState]:
    """The change from O to E carried onto I; exactly I where E equals O.

    `mask`: hard-edged inner face of `inputs`; `anew`: what of it the edit draws anew. `motion` estimates f, optical
    flow by default.
    """
    if np.array_equal(inverted, edited):
        return unchanged(inputs, mask), TransferState()
    size = inputs.shape[0]
    small_flow = _steadied((motion or OpticalMotion())(edited, inverted), state.flow)
    trust = trusted(inputs, inverted, edited, small_flow, mask, anew)
    shares = trust.shares if state.shares is None else 0.5 * (state.shares + trust.shares)
    flow = grown_flow(small_flow, size)
    # E + smooth D + kept · (D - smooth D) - coarse · (C - smooth C), with C = E - W(O, f), put together by
    # picture, smooth parts first; kept · W(I, f) is missing, which `paste` takes from the frame.
    kept, coarse = planes(shares)
    smooth = spread(1 - kept) * trust.smooth_error
    generated = resized(smooth + spread(coarse) * trust.smooth_change, size)
    kept, coarse = resized(kept, size), resized(coarse, size)
    generated += spread(1 - coarse) * edited
    generated += spread(coarse - kept) * warp(inverted, flow)
    return Composite(generated, _blend_mask(mask, flow), kept, flow), TransferState(small_flow, shares)


def learned_composite(
    inputs: Crop, inverted: Crop, edited: Crop, mask: Mask, state: TransferState, net: ChangeFinder, motion: Motion
) -> tuple[Composite, TransferState]:
    """E, the real details as far as `net` keeps them, and what it adds; exactly I where E equals O.

    `mask`: hard-edged inner face of `inputs`.
    """
    if np.array_equal(inverted, edited):
        return unchanged(inputs, mask), TransferState()
    size = inputs.shape[0]
    small_flow = _steadied(motion(edited, inverted), state.flow)
    flow = grown_flow(small_flow, size)
    warped = warp(inverted, flow)
    seen = (warp(inputs, flow), warped, edited, inputs)
    share, residual = net(np.concatenate([resized(picture, FLOW_SIZE) for picture in seen], 2))
    shares = np.dstack((share, np.zeros_like(share)))
    shares = shares if state.shares is None else 0.5 * (state.shares + shares)
    kept = resized(np.ascontiguousarray(shares[..., 0]), size)
    generated = edited - kept[..., None] * warped + resized(residual, size)
    return Composite(generated, _blend_mask(mask, flow), kept, flow), TransferState(small_flow, shares)


def grown_flow(flow: Flow, size: int) -> Flow:
    """A flow at FLOW_SIZE as one for crops of `size`."""
    return resized(flow, size) * np.float32(size / FLOW_SIZE)


def unchanged(inputs: Crop, mask: Mask) -> Composite:
    """The composite of a face without an edit: the input's own pixels."""
    size = inputs.shape[0]
    nothing = np.zeros((size, size, 3), np.float32)
    return Composite(nothing, _blend_mask(mask, None), np.ones((size, size), np.float32), nothing[..., :2].copy())


def _blend_mask(mask: Mask, flow: Flow | None) -> Mask:
    return feather(mask if flow is None else union(mask, moved_mask(mask, flow)))


def _steadied(flow: Flow, last: Flow | None) -> Flow:
    """The newest flow at FLOW_SIZE, smoothed over time where it hardly changed."""
    if last is None:
        return flow
    difference = flow - last
    moved = blurred(cv2.magnitude(*planes(difference)), 2.0)  # type: ignore[arg-type]
    difference *= paired(STEADY + np.float32(LOOSE - STEADY) * ramp(moved, 0.3, LOOSE_CHANGE))
    difference += last
    return difference


def _supported(flow: Flow, edited: Crop, inverted: Crop) -> Flow:
    """`flow` (n, n, 2) as it is where warping by it explains the change, drawn from such places elsewhere.

    On plain skin any motion fits and DIS returns noise; there the flow is the mean of what surrounds it,
    weighted by how much the warp improved the match, and nothing where nothing was improved.
    """
    improved = mismatch(edited, inverted) - mismatch(edited, warp(inverted, flow))
    support = blurred(np.maximum(improved, 0) * _credible(flow), FLOW_SIGMA)
    wide = resized(flow * paired(support), FLOW_SIZE // 4), resized(support, FLOW_SIZE // 4)
    around = blurred(wide[0], 1.2) / paired(blurred(wide[1], 1.2) + UNSUPPORTED)
    far = resized(around, FLOW_SIZE)
    own = blurred(flow, FLOW_SIGMA)
    own -= far
    own *= paired(support / (support + np.float32(OWN_SUPPORT)))
    own += far
    return own


def _credible(flow: Flow) -> Mask:
    """How far `flow` (n, n, 2) may be a face's, (n, n): beside its middle not far sideways, unless all of it goes."""
    size, sideways = flow.shape[0], flow[..., 0]
    middle = slice(size // 3, -(size // 3))
    beside = np.abs(sideways - np.median(sideways[middle, middle]))
    start, end = SIDEWAYS
    credible = 1 - ramp(beside, start * size, end * size)
    credible[:, middle] = 1  # the corners of a mouth may go far
    return credible


def _below_fringe(mask: Mask, forehead: Mask) -> Mask:
    """The face of `mask` but for the `forehead` and the ends of strands that hang below it, (S, S)."""
    size = len(mask)
    fringe = np.minimum(2 * blurred(forehead, STRANDS * size), 1)
    below: Mask = blurred(mask, 2.0 / 256 * size) * (1 - fringe)
    return below


class Compositor:
    """One viewer's composite: masks, motion and their state from frame to frame."""

    def __init__(
        self,
        kind: CompositeKind = "transfer",
        masker: Masker | None = None,
        finder: LandmarkFinder | None = None,
        net: ChangeFinder | None = None,
    ):
        """`kind`: one of `COMPOSITES`; `masker`: where the inner face is, by default the landmarks' oval.

        `finder` and `net` are what `transfer-landmarks` and `learned` need, ValueError without them; the finder is
        closed with this.
        """
        if kind not in COMPOSITES:
            raise ValueError(f"There is no composite {kind!r}; choose one of: {', '.join(COMPOSITES)}.")
        if (kind == "transfer-landmarks" and finder is None) or (kind == "learned" and net is None):
            raise ValueError(f"The composite {kind} needs what it works with; use rigid.compositing.open_compositor.")
        self.kind = kind
        self._masker = masker or OvalMasker()
        self._net, self._finder = net, finder
        self._motion: Motion = OpticalMotion() if finder is None else LandmarkMotion(finder)
        self.state = TransferState()

    def __call__(
        self,
        inputs: Crop,
        inverted: Crop,
        edited: Crop,
        landmarks: Points,
        reach: Reach = FACE_ONLY,
        bare: Crop | None = None,
    ) -> Composite:
        """The edited crop of one frame, to be pasted.

        `inputs`, `inverted`, `edited`: I, O and E; `landmarks` (478, 2) of I in crop pixels; `reach`: how far the edit
        goes. With `reach.motion` whatever the composite gives is moved, and what lies round it. `bare`: E without what
        is meant for the hair, for the face of a transfer; E itself unless given.
        """
        composite = self._composed(inputs, inverted, edited, landmarks, reach, edited if bare is None else bare)
        if reach.motion is None:
            return composite
        size = inputs.shape[0]
        return reshaped(composite, motion_field(landmarks, reach.motion * np.float32(size), size))

    def _composed(
        self, inputs: Crop, inverted: Crop, edited: Crop, landmarks: Points, reach: Reach, bare: Crop
    ) -> Composite:
        mask = self._masker(inputs, landmarks)
        if self.kind == "paper":
            flow = _steadied(self._motion(edited, inverted), self.state.flow)
            self.state = TransferState(flow)
            return paper_composite(inputs, inverted, edited, mask, grown_flow(flow, inputs.shape[0]))
        if self._net is not None:
            composite, self.state = learned_composite(
                inputs, inverted, edited, mask, self.state, self._net, self._motion
            )
            return composite
        if reach.face or reach.forehead:
            anew = Anew.of(reach, landmarks, inputs.shape[0])
            bare = bare if reach.face else inverted
            if anew.forehead is not None:
                bare = edited + spread(_below_fringe(mask, anew.forehead)) * (bare - edited)
            composite, self.state = transfer_composite(inputs, inverted, bare, mask, self.state, anew, self._motion)
        else:
            composite, self.state = unchanged(inputs, mask), TransferState()
        return with_hair(composite, inputs, inverted, edited, landmarks, reach) if reach.hair else composite

    def reset(self) -> None:
        """Forget the last frame, as when another face comes."""
        self.state = TransferState()

    def close(self) -> None:
        """Free what finds landmarks; safe to call twice."""
        if self._finder is not None:
            self._finder.close()
