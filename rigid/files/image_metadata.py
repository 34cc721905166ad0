"""What a still image says beside its pixels: EXIF, XMP, IPTC, comments and resolution."""

from __future__ import annotations

import re
from dataclasses import dataclass

from PIL import ExifTags, Image

_IFD = ExifTags.IFD
_STRUCTURE = frozenset(
    (
        *range(254, 260),
        *(262, 263, 266, 273, 274, 277, 278, 279, 284, 297, 301, 317, 320, 321, 322, 323, 324, 325, 330, 332, 338),
        *(339, 340, 341, 347, 512, 513, 514, 529, 530, 531, 532, 700, 33723, 34377, 34675, 52545),
    )
)
"""Tags of TIFF 6.0 about how the pixels lie in the file; orientation (274) is one, as pixels are turned
upright, and a C2PA manifest (52545), which is of the file as it was."""
_XMP_ORIENTATION = re.compile(
    rb"""\s*tiff:Orientation\s*=\s*["'][0-9]["']|<tiff:Orientation>[0-9]</tiff:Orientation>"""
)
_XMP_KEYS = ("xmp", "XML:com.adobe.xmp")
_IPTC_MARKER = "APP13"


@dataclass(frozen=True)
class Metadata:
    """The metadata of one file, without what the pixels' own form says; empty where the file says nothing."""

    exif: bytes = b""
    xmp: bytes = b""
    iptc: bytes = b""
    """A JPEG's APP13 segments, ready to be written."""
    comment: bytes = b""
    resolution: tuple[float, float] | None = None
    """Dots an inch, across and down."""
    damaged: bool = False
    """Whether there is EXIF that cannot be read."""


def read_metadata(image: Image.Image) -> Metadata:
    """What an opened, not yet turned image says; thumbnails are left out, as they show it unedited."""
    exif, damaged = _exif(image)
    comment = image.info.get("comment", b"")
    dots = image.info.get("dpi")
    return Metadata(
        exif,
        _xmp(image),
        _iptc(image),
        comment.encode("utf-8", "surrogateescape") if isinstance(comment, str) else bytes(comment),
        (float(dots[0]), float(dots[1])) if dots and all(0 < float(one) < 1e6 for one in dots) else None,
        damaged,
    )


def _exif(image: Image.Image) -> tuple[bytes, bool]:
    # what a damaged block raises depends on where it is damaged
    try:
        found = image.getexif()
        kept = Image.Exif()
        for tag, value in found.items():
            if tag not in _STRUCTURE and tag not in (_IFD.Exif, _IFD.GPSInfo):
                kept[tag] = value
        for part in (_IFD.Exif, _IFD.GPSInfo):
            inner = found.get_ifd(part)
            if inner:
                kept[part] = dict(inner)
        return (kept.tobytes() if len(kept) else b""), False
    except Exception:
        return b"", True


def _xmp(image: Image.Image) -> bytes:
    for key in _XMP_KEYS:
        value = image.info.get(key)
        if value:
            raw = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else bytes(value)
            return _XMP_ORIENTATION.sub(b"", raw)
    return b""


def _iptc(image: Image.Image) -> bytes:
    segments = [data for name, data in getattr(image, "applist", []) if name == _IPTC_MARKER]
    return b"".join(b"\xff\xed" + (len(data) + 2).to_bytes(2, "big") + data for data in segments)
