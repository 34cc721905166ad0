"""Pictures of any of Pillow's modes as RGB of 8 bits, in the profile of the file where it has one."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageCms

from rigid.arrays import Pixels
from rigid.files.image_colours import INTENT, ProfileError, colour_space, convert_to_srgb, to_srgb


def to_rgb_and_alpha(image: Image.Image, profile: bytes | None) -> tuple[Pixels, Pixels | None, bytes | None, str]:
    """RGB, alpha, the profile they are in, and a note, of an image of any mode."""
    alpha = None
    if image.has_transparency_data:
        image = image.convert("LA" if image.mode in ("1", "L", "LA", "La") else "RGBA")
        alpha = np.asarray(image.getchannel("A"), np.uint8)
    image, note = _eight_bits(image)
    space = ""
    if profile is not None:
        try:
            space = colour_space(profile)
        except ProfileError as error:
            profile, note = None, f"{error} It was left out."
    if image.mode in ("RGB", "RGBA", "RGBX", "P", "PA"):
        if profile is not None and space != "RGB":
            profile, note = None, f"The colour profile is for {space} and the picture is RGB; it was left out."
        return _rgb(image), alpha, _usable(profile), note
    if profile is not None:
        grey = image.convert("L") if image.mode in ("LA", "La", "1") else image
        try:
            converted = convert_to_srgb(grey, profile)
            return _rgb(converted), alpha, None, note or f"The picture is {space} with a profile; it became sRGB."
        except ProfileError as error:
            note = f"{error} It was left out."
    if image.mode == "LAB":
        image, note = _lab_to_srgb(image), "The picture is Lab; it became sRGB."
    elif image.mode in ("CMYK", "YCbCr", "HSV"):
        note = note or f"The picture is {image.mode} without a profile; it became sRGB."
    return _rgb(image), alpha, None, note


def _usable(profile: bytes | None) -> bytes | None:
    if profile is not None:
        to_srgb(np.zeros((1, 1, 3), np.uint8), profile)
    return profile


def _rgb(image: Image.Image) -> Pixels:
    return np.array(image.convert("RGB"), np.uint8)


def _lab_to_srgb(image: Image.Image) -> Image.Image:
    made = ImageCms.profileToProfile(
        image, ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), INTENT, "RGB"
    )
    assert made is not None
    return made


def _eight_bits(image: Image.Image) -> tuple[Image.Image, str]:
    """Grey of more bits as 8: Pillow itself cuts off what is over 255."""
    if not image.mode.startswith(("I", "F")):
        return image, ""
    values = np.asarray(image, np.float64)
    values = np.nan_to_num(values, posinf=0, neginf=0)
    if image.mode.startswith("I"):
        full = 65535.0 if values.max(initial=0) > 255 or image.mode != "I" else 255.0
    else:
        # a scale is not said: to 1, to 255, or to what is largest
        largest = float(values.max(initial=0))
        full = next((scale for scale in (1.0, 255.0) if largest <= scale), largest)
    grey = np.rint(np.clip(values / full, 0, 1) * 255).astype(np.uint8)
    return Image.fromarray(grey), "The picture has more than 8 bits a channel; it was rounded to 8."
