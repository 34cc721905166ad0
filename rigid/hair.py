"""An edit of the hair on the real hair: where the real hair is, by its colours, and what is added to it.

The generator's hair seldom ends where the real one does, and an edit of its colour pales skin and walls as well. So E's
change says of which colours the hair is and how they change, and the real pixels say where it is.

Crops are float32 (S, S, 3) RGB in [-1, 1], masks float32 (S, S) in [0, 1].
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from rigid.blend import Composite, Crop, Mask, hair_mask, oval_mask, polygon_mask, spread, union, with_forehead
from rigid.fields import blurred, largest, mismatch, paired, ramp, resized
from rigid.geometry import Points
from rigid.reach import Reach

SMALL = 64
"""Side of the pictures that are looked at."""
CHANGED = (0.4, 0.8)
"""Change beyond the face, in shares of the largest there, from which a place counts as the generator's hair."""
UNCHANGED = (0.2, 0.6)
"""The same, up to which and below which a place beyond the hair's region counts as background."""
LARGEST = 95
"""Percentile of the change in the hair that counts as its largest."""
LEAST_CHANGE = 0.12
"""What the largest change in the hair is taken to be at least, [-1, 1] values: any edit stirs up a little."""
BINS = 16
"""Of a colour histogram, along each axis of Lab."""
BIN_SIZES = np.array([100 / BINS, 8, 8], np.float32)
"""L goes from 0 to 100; a and b, from -64 to 64 here, hardly go beyond."""
NEIGHBOURS = np.array([[math.exp(-((i - j) ** 2) / 2) for j in range(BINS)] for i in range(BINS)], np.float32)
"""How much a colour counts for those beside it, along one axis."""
HAIR_LIKE = (0.3, 0.7)
"""Share of hair among all that has a colour, from which that colour begins to be hair, and is hair."""
SKIN_RISE = -0.12
"""The skin looked at ends this share of the face's height below the top of its oval: fringes hang into the forehead."""
NEAR_SIGMA, NEAR = 3.0, 3.0
"""Extent of the surroundings of the generator's hair in which the real one is looked for, pixels at `SMALL`, and by how
much they count."""
EDGE_SIGMA, EDGE_VARIANCE = 2.0, 1e-3
"""Extent of what shares one line from brightness to matte, pixels at `SMALL`, and the brightness' variance, [-1, 1]
values, below which the matte does not follow it."""
LEAST_MATTE = np.float32(0.03)
"""Less of a matte is none: what is far from the hair is not to be touched at all."""
EVEN_SIGMA = 4.0
"""Extent over which the change is evened out, pixels at `SMALL`."""
STRANDS_SIGMA, STRANDS = 1.0, 0.8
"""What is finer than this, pixels at `SMALL`, are strands, and how much of E's the real hair gets."""
REACHED = (0.25, 0.5)
"""Change beyond the face, in shares of the largest in the hair, from which E shows there, and fully so."""
SIDE = 4
"""Width of the strips along the crop's sides that show the background, pixels at `SMALL`."""


@dataclass(frozen=True)
class Dye:
    """What an edit does to the real hair."""

    matte: Mask
    """How much of each pixel is hair that the edit changes."""
    change: Crop
    """What is added to it."""


def with_hair(
    composite: Composite, inputs: Crop, inverted: Crop, edited: Crop, landmarks: Points, reach: Reach
) -> Composite:
    """`composite`, I's face edited, with its hair edited as far as `reach` says; `landmarks` as for `dyed`.

    Hair that covers the forehead is E's, as is what hangs down beside it; any other is the real one, dyed.
    """
    covering = reach.hair * reach.forehead
    hair = np.float32(covering) * hair_mask(landmarks, len(inputs)) if covering else None
    shown = np.float32(max(reach.face, reach.forehead)) * composite.mask
    if hair is not None:
        shown = union(shown, hair * reached(inverted, edited, hair))
    if covering == 1:
        return replace(composite, mask=shown)
    return _over(replace(composite, mask=shown), dyed(inputs, inverted, edited, landmarks), reach.hair - covering)


def _over(composite: Composite, dye: Dye, share: float) -> Composite:
    """`share` of the `dye`, 0 to 1, over what `composite` shows."""
    assert composite.kept is not None and composite.flow is not None
    matte: Mask = np.float32(share) * dye.matte
    shown = union(composite.mask, matte)
    matte /= np.maximum(shown, np.float32(1e-6))
    generated = composite.generated + spread(matte) * (dye.change - composite.generated)
    kept = composite.kept + matte * (1 - composite.kept)
    return Composite(generated, shown, kept, composite.flow * paired(1 - matte))


def dyed(inputs: Crop, inverted: Crop, edited: Crop, landmarks: Points) -> Dye:
    """The change from O to E for the real hair of I; `landmarks` (478, 2) of I in crop pixels."""
    size = len(inputs)
    real, before, after = (resized(picture, SMALL) for picture in (inputs, inverted, edited))
    generated = _Seeds.of(mismatch(after, before), landmarks * (SMALL / size))
    slope, level = _led(_by_colour(real, generated), brightness(real))
    matte = resized(slope, size) * brightness(inputs) + resized(level, size)
    matte = np.clip((matte - LEAST_MATTE) / (1 - LEAST_MATTE), 0, 1)
    strands = np.float32(STRANDS) * (brightness(edited) - resized(blurred(brightness(after), STRANDS_SIGMA), size))
    return Dye(matte, resized(_even(after - before, generated.hair), size) + spread(strands))


def reached(inverted: Crop, edited: Crop, hair: Mask) -> Mask:
    """How far the edit, at each place, is part of what it does to the `hair`, and more than any edit stirs up, (S, S).

    A slight shift of colour that the background has as well, as seen along the crop's sides, does not count.
    """
    change = resized(edited, SMALL) - resized(inverted, SMALL)
    sides = np.concatenate([change[:, :SIDE], change[:, -SIDE:]], 1).reshape(-1, 3)
    shift = np.median(sides, 0).clip(-LEAST_CHANGE, LEAST_CHANGE)
    size = blurred(largest(np.abs(change - shift)), 1.5)
    most = max(float(np.percentile(size * resized(hair, SMALL), LARGEST)), 2 * LEAST_CHANGE)
    return resized(blurred(ramp(size, REACHED[0] * most, REACHED[1] * most), 1.0), len(edited))


def brightness(picture: Crop) -> Mask:
    """Of a crop (S, S, 3), (S, S) in [-1, 1]."""
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)  # type: ignore[return-value]


@dataclass(frozen=True)
class _Seeds:
    """Places of whose kind little doubt is, (SMALL, SMALL) each."""

    hair: Mask
    """The generator's."""
    background: Mask
    skin: Mask
    region: Mask
    """Where hair may be."""

    @classmethod
    def of(cls, change: Mask, landmarks: Points) -> _Seeds:
        """By how much E differs from O, `change`, and the real face's `landmarks`, both at `SMALL`."""
        change = blurred(change, 1.0)
        region, face = hair_mask(landmarks, SMALL), oval_mask(landmarks, SMALL)
        outside = 1 - np.minimum(4 * blurred(face, 1.0), 1)
        beyond = (change * region)[outside > 0.5]
        most = max(float(np.percentile(beyond, LARGEST)) if beyond.size else 0.0, LEAST_CHANGE)
        hair = region * ramp(change, CHANGED[0] * most, CHANGED[1] * most) * outside
        background = (1 - region) * (1 - ramp(change, UNCHANGED[0] * most, UNCHANGED[1] * most))
        return cls(hair, background, polygon_mask(with_forehead(landmarks, SKIN_RISE), SMALL), region)


def _by_colour(real: Crop, seeds: _Seeds) -> Mask:
    """How likely each place of `real` (SMALL, SMALL, 3), near the generator's hair, is of the real one."""
    lab = cv2.cvtColor((real + 1) / 2, cv2.COLOR_RGB2Lab)
    bins = ((lab + np.array([0, 64, 64], np.float32)) / BIN_SIZES).clip(0, BINS - 1).astype(np.intp)
    places = np.ravel_multi_index(tuple(np.moveaxis(bins, 2, 0)), (BINS, BINS, BINS))
    hair, background, skin = _histograms(places, (seeds.hair, seeds.background, seeds.skin))
    likely = hair / (hair + np.maximum(background, skin) + np.float32(1e-5))
    near = seeds.region * np.minimum(NEAR * blurred(seeds.hair, NEAR_SIGMA), 1)
    matte: Mask = ramp(likely[places], *HAIR_LIKE) * near
    return matte


def _histograms(places: NDArray[np.intp], weights: tuple[Mask, ...]) -> NDArray[np.float32]:
    """The smoothed frequencies of colours, one row for each of `weights`; `places`: each pixel's colour."""
    counts = [np.bincount(places.ravel(), weight.ravel(), BINS**3) / max(weight.sum(), 1) for weight in weights]
    cubes = np.stack(counts).astype(np.float32)
    for _ in range(3):  # smooths along the first axis and puts it last
        cubes = (NEIGHBOURS @ cubes.reshape(len(weights), BINS, -1)).transpose(0, 2, 1)
    return cubes.reshape(len(weights), -1)


def _led(matte: Mask, guide: Mask) -> tuple[Mask, Mask]:
    """The smooth part of `matte` as slope · `guide` + level, all (SMALL, SMALL); `guide`: the real pixels' brightness.

    A guided filter (He, Sun and Tang, 2010): round each place the matte is a line over the brightness, so that the
    matte of dark hair before a light wall ends at its own outline.
    """
    mean, mean_matte = blurred(guide, EDGE_SIGMA), blurred(matte, EDGE_SIGMA)
    together = blurred(matte * guide, EDGE_SIGMA) - mean_matte * mean
    variance = blurred(guide * guide, EDGE_SIGMA) - mean * mean
    slope: Mask = np.divide(together, variance + np.float32(EDGE_VARIANCE))
    return blurred(slope, EDGE_SIGMA), blurred(mean_matte - slope * mean, EDGE_SIGMA)


def _even(change: Crop, hair: Mask) -> Crop:
    """`change` (SMALL, SMALL, 3) evened out over the `hair`, which its surroundings go on with."""
    weight = hair + np.float32(1e-3)
    even: Crop = blurred(change * spread(weight), EVEN_SIGMA) / spread(blurred(weight, EVEN_SIGMA))
    return even
