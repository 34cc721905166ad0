"""Writing still images and animations, each format with what it can hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from rigid.arrays import Pixels, Region
from rigid.atomic_files import replacing
from rigid.files.image_file import ImageFile, Still
from rigid.files.image_formats import IMAGE_FORMATS, ImageFormat
from rigid.files.palettes import with_palette

QUALITY = 95


def write_image(path: Path, image: Pixels, alpha: Pixels | None = None) -> None:
    """Write sRGB (H, W, 3) uint8, with `alpha` (H, W) where the format can hold it, whole or not at all."""
    write_images(path, ImageFile([Still(image, alpha)]))


def write_images(path: Path, file: ImageFile, touched: Sequence[Region] | None = None) -> list[str]:
    """Write `file` as the end of `path`'s name says, whole or not at all; returns notes of what could not be kept.

    `touched`: for each still, which pixels (H, W) an edit changed; the others keep their very colours in a palette.
    Raises OSError when the file cannot be written.
    """
    form = IMAGE_FORMATS[path.suffix.lower()]
    notes: list[str] = []
    file = _fitting(file, form, notes)
    if form.name == "GIF":
        masks: Sequence[Region | None] = touched or [None] * len(file.stills)
        images = [with_palette(one.colours, one.alpha, mask) for one, mask in zip(file.stills, masks, strict=False)]
    else:
        images = [_join_alpha(one, form) for one in file.stills]
    with replacing(path) as part, part.open("w+b") as written:
        try:
            images[0].save(written, form.name, **_options(file, form, images))
        except (ValueError, RuntimeError) as error:
            raise OSError(None, f"the {form.name} encoder says: {error}") from error
    return notes


def _fitting(file: ImageFile, form: ImageFormat, notes: list[str]) -> ImageFile:
    """`file` as the format can hold it, with a note for everything that it cannot."""
    said = file.metadata
    if not form.described:
        if file.profile is not None:
            notes.append(f"A {form.name} file holds no colour profile, so the colours were converted to sRGB.")
            stills = [replace(one, colours=file.show_as_srgb(one)) for one in file.stills]
            file = replace(file, stills=stills, profile=None)
        if said.exif or said.xmp or said.iptc:
            notes.append(f"A {form.name} file holds no EXIF, XMP or IPTC; they were left out.")
    elif said.iptc and form.name != "JPEG":
        notes.append(f"IPTC data were left out, which are written in JPEG alone and not in {form.name}.")
    several = form.moving if file.moving else form.pages
    if len(file.stills) > 1 and not several:
        what = "animations" if file.moving else "several pictures"
        notes.append(f"A {form.name} file holds no {what}; the first of {len(file.stills)} pictures was written.")
        file = replace(file, stills=file.stills[:1], moving=False)
    if not form.alpha and any(one.alpha is not None and one.alpha.min() < 255 for one in file.stills):
        notes.append(f"A {form.name} file holds no transparency; it was laid on white.")
        file = replace(file, stills=[replace(one, colours=_on_white(one), alpha=None) for one in file.stills])
    return file


def _on_white(still: Still) -> Pixels:
    if still.alpha is None:
        return still.colours
    share = still.alpha[..., None].astype(np.float32) / 255
    return np.rint(still.colours * share + 255 * (1 - share)).astype(np.uint8)


def _join_alpha(still: Still, form: ImageFormat) -> Image.Image:
    if still.alpha is None or not form.alpha:
        return Image.fromarray(still.colours)
    return Image.fromarray(np.dstack([still.colours, still.alpha]))


def _options(file: ImageFile, form: ImageFormat, images: Sequence[Image.Image]) -> dict[str, Any]:
    """What Pillow's encoder is told."""
    same = form.name == ("JPEG" if file.kind == "MPO" else file.kind)
    options = _ENCODERS.get(form.name, {}) | (file.quality if same else {})
    if form.name == "JPEG" and "qtables" in options:
        options.pop("quality")
    said = file.metadata
    if form.described:
        options |= {key: value for key, value in (("icc_profile", file.profile), ("exif", said.exif)) if value}
        if said.xmp:
            options |= _xmp_option(said.xmp, form)
    if said.resolution and form.name in ("JPEG", "PNG", "TIFF"):
        options["dpi"] = said.resolution
    if said.iptc and form.name == "JPEG":
        options["extra"] = said.iptc
    if said.comment and form.name in ("JPEG", "GIF"):
        options["comment"] = said.comment
    if len(images) > 1:
        options |= {"save_all": True, "append_images": list(images[1:])}
    if file.moving:
        times = [one.milliseconds for one in file.stills]
        options["duration"] = [round(time) for time in times] if form.name != "PNG" else times
        once = 1 if file.kind == "GIF" else 0  # a GIF that does not say is shown once
        if file.loop is not None or form.name != "GIF":
            options["loop"] = once if file.loop is None else file.loop
        if any(one.alpha is not None for one in file.stills):
            options["disposal"] = 2 if form.name == "GIF" else 1
    return options


_ENCODERS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": QUALITY, "subsampling": 0},
    "WEBP": {"quality": QUALITY, "method": 4, "exact": True},
    "AVIF": {"quality": QUALITY, "subsampling": "4:4:4", "speed": 7},
    "HEIF": {"quality": QUALITY, "chroma": 444},
    "TIFF": {"compression": "tiff_lzw"},
    "JPEG2000": {},
}


def _xmp_option(xmp: bytes, form: ImageFormat) -> dict[str, Any]:
    if form.name == "PNG":
        from PIL import PngImagePlugin

        chunks = PngImagePlugin.PngInfo()
        chunks.add_itxt("XML:com.adobe.xmp", xmp.decode("utf-8", "replace"))
        return {"pnginfo": chunks}
    if form.name == "TIFF":
        return {"tiffinfo": {700: xmp}}
    return {"xmp": xmp}
