"""What of an opened image cannot be kept, and the settings that it was written with."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import IO, Any

from PIL import Image, JpegImagePlugin
from PIL.ImageFile import ImageFile as PillowFile


def list_losses(image: Image.Image, kind: str, count: int) -> Iterator[str]:
    """What is in the file and cannot be carried on."""
    if kind == "MPO" and count > 1:
        yield f"{count - 1} further picture(s) in the file, such as a gain map or a depth, were left out."
    if kind == "PNG" and _png_depth(image) == 16 and not image.mode.startswith("I"):
        yield "The picture has more than 8 bits a channel; it was rounded to 8."
    if kind == "TIFF" and image.mode in ("RGB", "RGBA") and max(getattr(image, "tag_v2", {}).get(258, (8,))) > 8:
        yield "The picture has more than 8 bits a channel; it was rounded to 8."
    if int(image.info.get("bit_depth", 8)) > 8:
        yield "The picture has more than 8 bits a channel; it was rounded to 8."
    if image.info.get("depth_images") or image.info.get("aux"):
        yield "Depth and other auxiliary pictures were left out."


def _png_depth(image: Image.Image) -> int:
    source = image.fp if isinstance(image, PillowFile) else None
    if source is None:
        return 8
    place = source.tell()
    source.seek(24)
    depth = source.read(1)
    source.seek(place)
    return depth[0] if depth else 8


def settings_of(image: Image.Image, kind: str) -> dict[str, Any]:
    """The settings that the file was written with, so that what is left alone comes out (nearly) the same."""
    if kind in ("JPEG", "MPO"):
        tables = getattr(image, "quantization", None)
        sampling = JpegImagePlugin.get_sampling(image) if isinstance(image, JpegImagePlugin.JpegImageFile) else -1
        usual = bool(tables and len(tables) <= 2) and image.mode in ("L", "RGB")
        known = {"qtables": tables, "subsampling": max(0, sampling)} if usual else {}
        return known | {"progressive": bool(image.info.get("progressive"))}
    if kind == "WEBP" and isinstance(image, PillowFile) and image.fp is not None:
        return {"lossless": True} if b"VP8L" in _webp_chunks(image.fp) else {}
    if kind == "TIFF":
        packing = image.info.get("compression", "raw")
        return {
            "compression": packing if packing in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "raw") else "tiff_lzw"
        }
    return {}


def _webp_chunks(file: IO[bytes]) -> Iterator[bytes]:
    """The names of the RIFF chunks of a WebP file."""
    place = file.tell()
    file.seek(12)
    while len(head := file.read(8)) == 8:
        yield head[:4]
        if head[:4] == b"ANMF":  # a picture of an animation, whose own chunk follows 16 bytes later
            yield file.read(20)[16:]
            return
        size = int.from_bytes(head[4:], "little")
        file.seek(size + size % 2, io.SEEK_CUR)
    file.seek(place)
