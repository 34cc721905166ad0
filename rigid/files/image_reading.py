"""Reading still images and animations: upright, in their own colours, with what the file says of itself."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from rigid.arrays import Pixels
from rigid.files.image_file import ImageError, ImageFile, Still
from rigid.files.image_losses import list_losses, settings_of
from rigid.files.image_metadata import read_metadata
from rigid.files.image_modes import to_rgb_and_alpha

MOST_PIXELS = 500_000_000
"""Pixels that all pictures of a file may have together: 1.5 GB of colours."""
ANIMATED = ("GIF", "PNG", "WEBP", "AVIF")
"""Kinds whose further pictures are an animation; those of others are pages, or belong to the first one."""


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
        notes, quality = list(list_losses(image, kind, count)), settings_of(image, kind)
        metadata, loop = read_metadata(image), image.info.get("loop")
        stills, profile, said = _stills(image, 1 if kind == "MPO" else count)
        moving = kind in ANIMATED and len(stills) > 1
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
        moving = image.format in ANIMATED and getattr(image, "n_frames", 1) > 1
        size = image.size[::-1] if _orientation(image) in (5, 6, 7, 8) else image.size
        return (*size, moving)


def read_image(path: Path) -> tuple[Pixels, Pixels | None]:
    """The first picture as sRGB (H, W, 3) uint8, upright, and its alpha channel (H, W) uint8 where there is one.

    ValueError when the file cannot be read as an image.
    """
    file = read_images(path)
    return file.show_as_srgb(file.stills[0]), file.stills[0].alpha


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
        colours, alpha, kept, note = to_rgb_and_alpha(upright, profile)
        if note:
            notes[note] = None
        stills.append(Still(colours, alpha, milliseconds))
    return stills, kept, tuple(notes)


def _orientation(image: Image.Image) -> int:
    """The orientation by EXIF, 1 to 8; 1 where it is not said."""
    try:
        said = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # what a damaged block raises depends on where it is damaged
        return 1
    return said if said in range(1, 9) else 1
