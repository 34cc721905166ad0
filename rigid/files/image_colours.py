"""Colour profiles of still images (ICC.1): the networks see sRGB, the file keeps its own."""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

from rigid.arrays import Pixels

INTENT = ImageCms.Intent.RELATIVE_COLORIMETRIC
FLAGS = ImageCms.Flags.BLACKPOINTCOMPENSATION | ImageCms.Flags.HIGHRESPRECALC


class ProfileError(ValueError):
    """A colour profile that cannot be used; its text is one sentence."""


def colour_space(profile: bytes) -> str:
    """`RGB`, `GRAY`, `CMYK` or what else the profile describes. `ProfileError`: it is none."""
    return _open(profile).profile.xcolor_space.strip()


def to_srgb(colours: Pixels, profile: bytes | None) -> Pixels:
    """`colours`, RGB (H, W, 3) uint8 in `profile`, as sRGB; the very array where there is no profile."""
    return colours if profile is None else _apply(colours, _transform(profile, True))


def convert_to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """An image of any mode in `profile` as RGB in sRGB. `ProfileError`: the two do not go together."""
    try:
        made = ImageCms.profileToProfile(image, _open(profile), _srgb(), INTENT, "RGB", flags=FLAGS)
    except (ImageCms.PyCMSError, ValueError, OSError) as error:
        raise ProfileError(f"The colour profile could not be applied ({error}).") from error
    assert made is not None
    return made


def carry_change(colours: Pixels, seen: Pixels, shown: Pixels, profile: bytes | None) -> Pixels:
    """Carry to `colours` in `profile` the change from `seen` to `shown`, both sRGB; all RGB (H, W, 3) uint8.

    Pixels that do not change stay as they are to the bit. Only the difference goes through the profile, so that
    colours beyond sRGB stay beyond it under an edit.
    """
    if profile is None:
        return shown
    where = (seen != shown).any(2)
    if not where.any():
        return colours
    rows, columns = np.flatnonzero(where.any(1)), np.flatnonzero(where.any(0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    back = _transform(profile, False)
    before, after = (_apply(np.ascontiguousarray(part[box]), back).astype(np.int16) for part in (seen, shown))
    made = colours.copy()
    changed = np.clip(colours[box] + (after - before), 0, 255).astype(np.uint8)
    made[box] = np.where(where[box][..., None], changed, colours[box])
    return made


def _apply(colours: Pixels, transform: ImageCms.ImageCmsTransform) -> Pixels:
    return np.asarray(transform.apply(Image.fromarray(colours)), np.uint8)


@lru_cache(maxsize=4)
def _transform(profile: bytes, inwards: bool) -> ImageCms.ImageCmsTransform:
    pair = (_open(profile), _srgb())
    source, target = pair if inwards else pair[::-1]
    try:
        return ImageCms.buildTransform(source, target, "RGB", "RGB", INTENT, FLAGS)
    except ImageCms.PyCMSError as error:
        raise ProfileError(f"The colour profile could not be applied ({error}).") from error


def _open(profile: bytes) -> ImageCms.ImageCmsProfile:
    try:
        return ImageCms.ImageCmsProfile(io.BytesIO(profile))
    except (ImageCms.PyCMSError, OSError) as error:
        raise ProfileError(f"The colour profile could not be read ({error}).") from error


@lru_cache(maxsize=1)
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
