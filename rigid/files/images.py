"""Reading and writing still images and animations: upright, in their own colours, with what the file says of itself."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import pillow_heif
from PIL import ExifTags, Image, ImageCms, ImageOps, JpegImagePlugin, UnidentifiedImageError
from PIL.ImageFile import ImageFile as PillowFile

from rigid.arrays import Pixels, Region
from rigid.atomic_files import replacing
from rigid.files.image_colours import INTENT, ProfileError, colour_space, convert_to_srgb, to_srgb
from rigid.files.image_formats import IMAGE_FORMATS, IMAGE_SUFFIXES, ImageFormat, is_image
from rigid.files.image_metadata import Metadata, read_metadata
from rigid.files.palettes import with_palette

__all__ = [
    "IMAGE_SUFFIXES",
    "ImageError",
    "ImageFile",
    "Still",
    "is_image",
    "read_image",
    "read_images",
    "write_image",
    "write_images",
]

MOST_PIXELS = 500_000_000
"""Of all pictures of a file together: 1.5 GB of colours."""
QUALITY = 95
MOVING = ("GIF", "PNG", "WEBP", "AVIF")
"""Kinds whose further pictures are an animation; those of others are pages, or belong to the first one."""

pillow_heif.register_heif_opener()
# what a file may have is said by `MOST_PIXELS`, in a sentence of our own
Image.MAX_IMAGE_PIXELS = None


class ImageError(ValueError):
    """A file that cannot be read as an image; its text is one sentence for the user."""


@dataclass(frozen=True)
class Still:
    """One picture of a file."""

    colours: Pixels
    """RGB (H, W, 3) uint8, upright, in the file's own profile."""
    alpha: Pixels | None = None
    """(H, W) uint8."""
    milliseconds: float = 0.0
    """How long it is shown; 0 where the file is no animation."""


@dataclass(frozen=True)
class ImageFile:
    """All that a file holds, as far as it can be written again."""

    stills: Sequence[Still]
    kind: str = ""
    """As Pillow calls it."""
    moving: bool = False
    """Whether the stills are an animation."""
    loop: int | None = None
    """How often an animation is shown; 0 for ever, None where it does not say."""
    profile: bytes | None = None
    """The ICC profile of the colours; None for sRGB."""
    metadata: Metadata = field(default_factory=Metadata)
    quality: dict[str, Any] = field(default_factory=dict)
    """With which of its kind's settings it was written, where that is known."""
    notes: tuple[str, ...] = ()
    """What could not be kept in reading, one sentence each."""

    def show_as_srgb(self, still: Still) -> Pixels:
        """Convert the colours of `still` to sRGB, as networks are trained on them."""
        return to_srgb(still.colours, self.profile)


def read_images(path: Path) -> ImageFile:
    """What `path` holds, whatever its name says; ValueError, one sentence, where it cannot be read."""
    with _open(path) as image:
        kind = image.format or ""
        count = picture_count(image)
        if image.width * image.height * (1 if kind == "MPO" else count) > MOST_PIXELS:
            raise ImageError(
                f"{path} has {count} picture(s) of {image.width} x {image.height} pixels, together more than "
                f"{MOST_PIXELS // 1_000_000} million; make them smaller or fewer."
            )
        # the file's own structure first: what is read later may close it
        notes, quality = list(_losses(image, kind, count)), _quality(image, kind)
        metadata, loop = read_metadata(image), image.info.get("loop")
        stills, profile, said = _stills(image, 1 if kind == "MPO" else count)
        moving = kind in MOVING and len(stills) > 1
    if metadata.damaged:
        said = (*said, "The EXIF data are damaged and were left out.")
    return ImageFile(stills, kind, moving, loop, profile, metadata, quality, (*notes, *said))


def picture_count(image: Image.Image) -> int:
    """How many pictures an open file holds; TypeError where a TIFF holds none.

    The C2PA library puts the manifest of a TIFF with several pages into one of its own, which has no picture.
    """
    try:
        return int(getattr(image, "n_frames", 1))
    except TypeError:
        count = 0
        with suppress(TypeError, EOFError):
            while True:
                image.seek(count)
                count += 1
        if not count:
            raise
        image.seek(0)
        return count


def look_at_image(path: Path) -> tuple[int, int, bool]:
    """Width and height, turned upright, and whether it is an animation, without decoding it.

    ValueError where it cannot be read.
    """
    with _open(path) as image:
        moving = image.format in MOVING and getattr(image, "n_frames", 1) > 1
        size = image.size[::-1] if _orientation(image) in (5, 6, 7, 8) else image.size
        return (*size, moving)


def read_image(path: Path) -> tuple[Pixels, Pixels | None]:
    """The first picture as sRGB (H, W, 3) uint8, upright, and its alpha channel (H, W) uint8 where there is one.

    ValueError when the file cannot be read as an image.
    """
    file = read_images(path)
    return file.show_as_srgb(file.stills[0]), file.stills[0].alpha


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


@contextmanager
def _open(path: Path) -> Iterator[Image.Image]:
    data = path.read_bytes()
    if not data:
        raise ImageError(f"{path} is empty (0 bytes); give an image that holds a picture.")
    refused = f"{path} is not an image that can be read; check the file."
    with warnings.catch_warnings():
        # a damaged part that a decoder warns of is either read over or raised
        warnings.simplefilter("ignore")
        try:
            image = Image.open(io.BytesIO(data))
        except UnidentifiedImageError:
            raise ImageError(refused) from None
        except Exception as error:  # decoders raise what they like on damaged files
            raise ImageError(f"{path} is damaged and cannot be read ({_brief(error)}).") from error
        try:
            with image:
                yield image
        except ImageError:
            raise
        except Exception as error:  # the same
            raise ImageError(f"{path} is damaged and cannot be read ({_brief(error)}).") from error


def _brief(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0].strip().rstrip(".")[:120] or type(error).__name__


def _stills(image: Image.Image, count: int) -> tuple[list[Still], bytes | None, tuple[str, ...]]:
    """The pictures upright, the profile that their colours are in, and what was lost."""
    profile = image.info.get("icc_profile") or None
    stills: list[Still] = []
    notes: dict[str, None] = {}
    kept = profile
    # a picture for programs that show no animation is not part of it
    for number in range(int(bool(image.info.get("default_image")) and count > 1), count):
        try:
            image.seek(number)
            image.load()
        except Exception as error:
            if not stills:
                raise
            notes[f"Pictures from number {number + 1} on are damaged and were left out ({_brief(error)})."] = None
            break
        milliseconds = float(image.info.get("duration", 0) or 0)
        upright = ImageOps.exif_transpose(image) if _orientation(image) != 1 else image.copy()
        colours, alpha, kept, note = _colours(upright, profile)
        if note:
            notes[note] = None
        stills.append(Still(colours, alpha, milliseconds))
    return stills, kept, tuple(notes)


def _orientation(image: Image.Image) -> int:
    """By EXIF, 1 to 8; 1 where it is not said."""
    try:
        said = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # what a damaged block raises depends on where it is damaged
        return 1
    return said if said in range(1, 9) else 1


def _colours(image: Image.Image, profile: bytes | None) -> tuple[Pixels, Pixels | None, bytes | None, str]:
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


def _losses(image: Image.Image, kind: str, count: int) -> Iterator[str]:
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


def _quality(image: Image.Image, kind: str) -> dict[str, Any]:
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
