"""Files with bits flipped and ends cut off: one sentence, or what could be read, with a note; never anything else."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rigid.files.edit import edit_file
from rigid.files.edit_job import EditJob
from rigid.files.image_formats import is_image
from rigid.files.image_reading import read_images
from rigid.stream.face_stream import FaceStream
from tests.clips import frames_of, write_clip
from tests.files.test_films import LOSSLESS_265, write_film
from tests.patience import ALL
from tests.worlds import FixedTracker, make_stream, textured_frame

pytestmark = pytest.mark.slow

TIMES = 100 if ALL else 30
SMALL = (64, 48)


def small_picture(number: int = 0) -> Image.Image:
    return Image.fromarray(textured_frame(number, (SMALL[1], SMALL[0], 3)))


def still(suffix: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        small_picture().save(folder / f"in{suffix}")
        return folder / f"in{suffix}"

    return make


def animation(suffix: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        first, *others = (small_picture(number) for number in range(3))
        first.save(folder / f"in{suffix}", save_all=True, append_images=others, duration=100)
        return folder / f"in{suffix}"

    return make


def film(suffix: str, codec: str, sound: str | None) -> Callable[[Path], Path]:
    pixel_format = "yuvj420p" if codec == "mjpeg" else "yuv420p"

    def make(folder: Path) -> Path:
        path = folder / f"in{suffix}"
        return write_clip(path, (0, 40, 80, 120), codec=codec, sound=sound, size=SMALL, pixel_format=pixel_format)

    return make


def deep(folder: Path) -> Path:
    return write_film(folder / "in.mkv", "libx265", "yuv420p10le", 3, LOSSLESS_265, (9, 18, 9))


KINDS: dict[str, Callable[[Path], Path]] = {
    **{suffix: still(suffix) for suffix in (".png", ".jpg", ".webp", ".avif", ".heic", ".tif", ".bmp", ".jp2", ".tga")},
    **{f"moving {suffix}": animation(suffix) for suffix in (".gif", ".png", ".webp")},
    ".mp4": film(".mp4", "libx264", "aac"),
    ".mov": film(".mov", "mjpeg", "pcm_s16le"),
    ".webm": film(".webm", "libvpx-vp9", "libopus"),
    ".avi": film(".avi", "mjpeg", "libmp3lame"),
    ".ts": film(".ts", "libx264", "aac"),
    "hlg .mkv": deep,
}


def broken(data: bytes, random: np.random.Generator) -> bytes:
    """Cut at a random place, or some random bits of it flipped."""
    if random.random() < 0.3:
        return data[: random.integers(1, len(data))]
    changed = bytearray(data)
    for place in random.integers(0, len(data), random.integers(1, 8)):
        changed[place] ^= 1 << random.integers(8)
    return bytes(changed)


def blind_stream() -> FaceStream:
    """Looks at frames of any size and leaves them be, so that the test spends its time on files."""
    tracker = FixedTracker()
    tracker.blind = set(range(10_000))
    return make_stream(tracker=tracker)


@pytest.mark.parametrize("kind", KINDS)
def test_a_broken_file_gets_one_sentence_or_what_can_be_read(kind: str, tmp_path: Path) -> None:
    whole = KINDS[kind](tmp_path)
    data, suffix = whole.read_bytes(), whole.suffix
    # HDR goes to a kind that takes less long to write
    other = ".mp4" if suffix == ".ts" else ".avi" if kind.startswith("hlg") else suffix
    target = tmp_path / f"out{other}"
    random = np.random.default_rng(zlib.crc32(kind.encode()))
    source, written = tmp_path / f"broken{suffix}", 0
    for _ in range(TIMES):
        source.write_bytes(broken(data, random))
        target.write_bytes(b"what was there")
        try:
            report = edit_file(EditJob(source, target, {}), blind_stream, "tiny")
        except ValueError as error:
            assert len(str(error).splitlines()) == 1 and str(error).endswith("."), str(error)
            assert target.read_bytes() == b"what was there"
        else:
            written += 1
            assert report.frames > 0
            assert (read_images(target).stills if is_image(target) else frames_of(target)) != []
        assert {path.name for path in tmp_path.iterdir()} == {whole.name, source.name, target.name}
    assert written > 0
