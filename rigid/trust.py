"""How far a transfer trusts the real pixels, and how far the change: what the edit draws anew is shown as drawn.

With I the real, O the inverted and E the edited face, f the flow from E to O, as in `rigid.composite`. Crops are
float32 (S, S, 3) RGB in [-1, 1], masks float32 (S, S) in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from rigid.blend import Crop, Flow, Mask, eyes_mask, forehead_mask, lips_mask, spread, warp
from rigid.fields import blurred, largest, mismatch, ramp, resized
from rigid.geometry import Points
from rigid.reach import Reach

COARSE = (0.12, 0.3)
"""Mismatch of I and O, in [-1, 1] values, from which the change begins to lose its fine part, and has lost it."""
COVERED = (0.1, 0.25)
"""Change of a forehead that the edit covers, [-1, 1] values, from which E begins to show there, and shows alone."""
TINT_LOST = 0.6
"""Share of the colour matching, brightness apart, that generated pixels go without."""
MEAN_OF_COLOURS = np.full((1, 3), 1 / 3, np.float32)
EYES_SIGMA, EYES_GAIN = 1.2, 1.6
"""How soft the edge round eyes that are drawn anew is, pixels of 64, and what makes up for it in their middle."""


@dataclass(frozen=True, eq=False)
class Anew:
    """What the edit draws anew, each (S, S) as far as it does; None for not at all."""

    mouth: Mask | None = None
    """Lips included."""
    forehead: Mask | None = None
    eyes: Mask | None = None
    """With their lids and lashes."""

    @classmethod
    def of(cls, reach: Reach, landmarks: Points, size: int) -> Anew:
        """By how far an edit goes; `landmarks` (478, 2) in pixels of a crop of `size`."""
        parts = ((reach.mouth, lips_mask), (reach.forehead, forehead_mask), (reach.eyes, eyes_mask))
        return cls(*(np.float32(share) * find(landmarks, size) if share else None for share, find in parts))


NOTHING_ANEW = Anew()


@dataclass(frozen=True)
class Trust:
    """How the parts of a transfer are mixed, smooth fields at half of FLOW_SIZE."""

    shares: NDArray[np.float32]
    """(n, n, 2): how far the real pixels are kept, and how much of that without the change's fine part."""
    smooth_error: NDArray[np.float32]
    """(n, n, 3): the smooth part of D = W(I - O, f)."""
    smooth_change: NDArray[np.float32]
    """(n, n, 3): the smooth part of E - W(O, f)."""


def trusted(
    inputs: Crop,
    inverted: Crop,
    edited: Crop,
    flow: Flow,
    mask: Mask,
    anew: Anew,
) -> Trust:
    """Where to trust the real pixels, and where the change.

    The real pixels are kept everywhere but where three things come together: the edit changes the place, the
    flow does not explain the change (or it is the mouth), and I and O differ there in more than colour. Where
    I and O differ much in shape and the real pixels are kept, lines drawn or erased by the edit would stand
    beside the real ones: there the change is carried over without its fine part. So it is outside the face's `mask`:
    hair keeps its own strands.

    `flow` (n, n, 2): f in pixels at n; `mask`: hard-edged inner face.
    """
    half = flow.shape[0] // 2
    inputs, inverted, edited = (resized(picture, half) for picture in (inputs, inverted, edited))
    flow = resized(flow, half) * np.float32(0.5)
    error = warp(inputs - inverted, flow)
    left_over = edited - warp(inverted, flow)
    uneven = blurred(mismatch(error, blurred(error, 4.0)), 0.8)
    distrust = ramp(blurred(largest(np.abs(left_over)), 0.7), 0.2, 0.5) * ramp(uneven, 0.08, 0.25)
    if anew.mouth is not None:
        change = blurred(mismatch(edited, inverted), 1.0)
        distrust = np.maximum(distrust, _mouth_distrust(resized(anew.mouth, half), change, uneven, flow))
    eyes = None if anew.eyes is None else np.minimum(EYES_GAIN * blurred(resized(anew.eyes, half), EYES_SIGMA), 1)
    if eyes is not None:
        distrust = np.maximum(distrust, eyes)
    face = resized(mask, half)
    if anew.forehead is not None:
        above = resized(anew.forehead, half)
        face = np.maximum(face, above)
        distrust = np.maximum(distrust, above * ramp(blurred(largest(np.abs(left_over)), 0.7), *COVERED))
    kept = 1 - face * blurred(distrust, 0.8)
    coarse = kept * np.maximum(blurred(ramp(uneven, *COARSE), 1.0), 1 - blurred(face, 1.0))
    return Trust(np.dstack((kept, coarse)), _matching(error, kept, eyes), blurred(left_over, 1.5))


def _mouth_distrust(mouth: Mask, change: Mask, uneven: Mask, flow: Flow) -> Mask:
    """The mouth (n, n), as a whole, if it was changed and I's and O's differ: half of each is worse than either."""
    where = blurred(np.maximum(mouth, warp(mouth, flow)), 1.0)
    changed = ramp(blurred(where * change, 3.0), 0.01, 0.04)
    return where * changed * ramp(blurred(where * uneven, 3.0), 0.01, 0.03)


def _matching(error: NDArray[np.float32], kept: Mask, skin: Mask | None) -> NDArray[np.float32]:
    """What to add to generated pixels (n, n, 3) so that they fit in colour: the smooth part of D = `error`.

    `skin` (n, n): how far they are skin, where they are not `kept`.
    """
    # Averaging only what is kept takes a mouth's colour from the skin round it, not from another mouth.
    weight = np.maximum(kept, np.float32(0.02))
    if skin is not None:
        # the skin round an eye must not take on the white of the eye that I had open
        weight *= 1 - np.float32(0.9) * skin
    smooth = blurred(error * spread(weight), 3.0) / spread(blurred(weight, 3.0))
    # Skin's shade suits teeth, its tint does not.
    lost = 1 - kept if skin is None else np.maximum(1 - kept - skin, 0)
    shade = spread(cv2.transform(smooth, MEAN_OF_COLOURS))  # type: ignore[arg-type]
    matched: NDArray[np.float32] = smooth + spread(np.float32(TINT_LOST) * lost) * (shade - smooth)
    return matched
