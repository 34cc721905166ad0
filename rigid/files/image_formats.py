"""The kinds of still image that are read and written, by the ends of their names, and what each can hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pillow_heif
from PIL import Image

pillow_heif.register_heif_opener()
# `rigid.files.image_reading` says what a file may have, in a sentence of our own.
Image.MAX_IMAGE_PIXELS = None


@dataclass(frozen=True)
class ImageFormat:
    """One kind of file as it is written."""

    name: str
    """The format as Pillow calls it."""
    alpha: bool = True
    moving: bool = False
    """Whether it can hold an animation."""
    pages: bool = False
    """Whether it can hold several pictures that are no animation."""
    described: bool = True
    """Whether it holds a colour profile, EXIF and XMP."""
    longest: int | None = None
    """Pixels that a side may have at most."""


_JPEG = ImageFormat("JPEG", alpha=False, longest=65_500)
_PNG = ImageFormat("PNG", moving=True)
_HEIF = ImageFormat("HEIF", pages=True, longest=32_768)
_TIFF = ImageFormat("TIFF", pages=True)
_JPEG2000 = ImageFormat("JPEG2000", described=False)
IMAGE_FORMATS = {
    ".png": _PNG,
    ".apng": _PNG,
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".jpe": _JPEG,
    ".jfif": _JPEG,
    ".webp": ImageFormat("WEBP", moving=True, longest=16_383),
    ".avif": ImageFormat("AVIF", moving=True, longest=32_768),
    ".heic": _HEIF,
    ".heif": _HEIF,
    ".hif": _HEIF,
    ".tif": _TIFF,
    ".tiff": _TIFF,
    ".gif": ImageFormat("GIF", moving=True, described=False, longest=65_535),
    ".bmp": ImageFormat("BMP", alpha=False, described=False),
    ".jp2": _JPEG2000,
    ".j2k": _JPEG2000,
    ".tga": ImageFormat("TGA", described=False, longest=65_535),
    ".ppm": ImageFormat("PPM", alpha=False, described=False),
    ".qoi": ImageFormat("QOI", described=False),
}
"""What is written, by the end of the output's name, in lower case."""
READ_ONLY = (".dib", ".psd", ".pcx", ".pgm", ".pbm", ".pnm", ".pfm", ".sgi", ".rgb", ".dds", ".ico", ".icns", ".mpo")
"""Ends of names of images that are read and become .png."""
IMAGE_SUFFIXES = (*IMAGE_FORMATS, *READ_ONLY)


def is_image(path: Path) -> bool:
    """Whether the name says that `path` is a still image."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def check_size(target: Path, width: int, height: int) -> None:
    """ValueError, one sentence, where a picture of that size cannot be written as `target`'s name says."""
    form = IMAGE_FORMATS[target.suffix.lower()]
    if form.longest is not None and max(width, height) > form.longest:
        raise ValueError(
            f"{target.name} would have {width} x {height} pixels, and a {target.suffix.lower()} file has at most "
            f"{form.longest:,} on a side; choose .png or .tif."
        )
