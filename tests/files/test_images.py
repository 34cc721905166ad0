"""Still images and animations: read upright in their own colours, written with what they say of themselves."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms
from PIL.Image import Exif
from PIL.JpegImagePlugin import JpegImageFile

from rigid.arrays import Pixels
from rigid.files.edit import edit_file
from rigid.files.edit_job import EditJob
from rigid.files.edit_report import EditReport
from rigid.files.image_formats import IMAGE_FORMATS, READ_ONLY
from rigid.files.image_reading import read_image, read_images
from rigid.stream.face_stream import FaceStream
from tests.clips import frames_of
from tests.fakes import FakeRuntime
from tests.worlds import Brighten, FixedTracker, make_stream, textured_frame

LIGHT = {"light": 1.0}
SIZE = (128, 96)
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" '
    b'xmlns:dc="http://purl.org/dc/elements/1.1/" tiff:Orientation="6" dc:format="kept"/></rdf:RDF></x:xmpmeta>'
)
OLD = {1: lambda p: p, 3: lambda p: p[::-1, ::-1], 6: lambda p: np.rot90(p, 1), 8: lambda p: np.rot90(p, -1)}
"""How an upright picture lies in a file of that orientation."""


def exif(orientation: int = 1) -> Exif:
    data = Exif()
    data[ExifTags.Base.Orientation] = orientation
    data[ExifTags.Base.Make] = "Maker"
    data[ExifTags.IFD.Exif] = {ExifTags.Base.DateTimeOriginal: "2026:01:02 03:04:05"}
    data[ExifTags.IFD.GPSInfo] = {ExifTags.GPS.GPSLatitudeRef: "N", ExifTags.GPS.GPSLatitude: (48.0, 8.0, 0.0)}
    return data


def display_p3() -> bytes:
    """An ICC v2 matrix profile with the primaries of Display P3 (D50-adapted) and a gamma of 2.2, made by hand."""

    def s15(*values: float) -> bytes:
        return b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    name = b"Display P3 by hand\0"
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(name)) + name + bytes(12 + 67),
        b"cprt": b"text\0\0\0\0none\0",
        b"wtpt": b"XYZ \0\0\0\0" + s15(0.9642, 1.0, 0.8249),
        b"rXYZ": b"XYZ \0\0\0\0" + s15(0.51512, 0.2412, -0.00105),
        b"gXYZ": b"XYZ \0\0\0\0" + s15(0.29198, 0.69225, 0.04189),
        b"bXYZ": b"XYZ \0\0\0\0" + s15(0.1571, 0.06657, 0.78407),
    }
    for channel in (b"rTRC", b"gTRC", b"bTRC"):
        tags[channel] = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(2.2 * 256))
    table, body, start = b"", b"", 128 + 4 + 12 * len(tags)
    for tag, data in tags.items():
        data += bytes(-len(data) % 4)
        table += tag + struct.pack(">II", start + len(body), len(data))
        body += data
    header = struct.pack(">I4sI4s4s4s", start + len(body), b"none", 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    header += bytes(12) + b"acsp" + bytes(28) + s15(0.9642, 1.0, 0.8249) + bytes(48)
    return header + struct.pack(">I", len(tags)) + table + body


class Watching(FaceStream):
    """A stream that remembers what it was shown."""

    def __init__(self, tracker: FixedTracker | None = None) -> None:
        super().__init__(FakeRuntime(), tracker or FixedTracker(), Brighten())
        self.shown: list[Pixels] = []

    def locate(self, frame: Pixels, timestamp: float) -> Any:
        self.shown.append(frame)
        return super().locate(frame, timestamp)


def edited(source: Path, target: Path, stream: FaceStream | None = None, **options: Any) -> EditReport:
    return edit_file(EditJob(source, target, LIGHT, **options), lambda: stream or make_stream(), "tiny")


def save(path: Path, colours: Pixels | None = None, **options: Any) -> Path:
    Image.fromarray(textured_frame() if colours is None else colours).save(path, **options)
    return path


@pytest.mark.parametrize("suffix", [suffix for suffix in IMAGE_FORMATS if suffix != ".gif"])
def test_every_kind_of_image_is_edited_as_itself(suffix: str, tmp_path: Path) -> None:
    source, target = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
    save(source, format=IMAGE_FORMATS[suffix].name)
    report = edited(source, target)
    before, (after, _) = read_image(source)[0], read_image(target)
    difference = after.astype(int) - before
    assert difference[38:58, 54:74].mean() > 20, "the face is edited"
    assert np.abs(difference[:8]).mean() < 2, "the rest is not"
    if suffix in (".png", ".tif", ".bmp", ".qoi", ".tga", ".ppm", ".jp2"):
        assert not difference[:8].any()
    assert report.notes == []
    with Image.open(target) as image:
        assert image.format == IMAGE_FORMATS[suffix].name


@pytest.mark.parametrize("suffix", [".dib", ".pcx", ".pgm", ".sgi", ".dds", ".ico"])
def test_kinds_that_are_only_read_become_png(suffix: str, tmp_path: Path) -> None:
    assert suffix in READ_ONLY
    source = tmp_path / f"in{suffix}"
    picture = textured_frame()[:, :, 0] if suffix == ".pgm" else textured_frame()
    Image.fromarray(picture).save(source, sizes=[SIZE], bitmap_format="bmp")
    edited(source, tmp_path / "out.png")
    assert read_image(tmp_path / "out.png")[0].shape == (96, 128, 3)


def test_an_image_is_known_by_its_content_where_the_name_is_wrong(tmp_path: Path) -> None:
    source = save(tmp_path / "in.jpg", format="HEIF")
    edited(source, tmp_path / "out.jpg")
    with Image.open(tmp_path / "out.jpg") as image:
        assert image.format == "JPEG"


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".avif", ".heic"])
def test_networks_see_srgb_and_the_file_keeps_its_profile_and_pixels(suffix: str, tmp_path: Path) -> None:
    profile = display_p3()
    colours = textured_frame()
    colours[-16:] = (20, 250, 20)  # a green beyond sRGB
    lossless = {"lossless": True} if suffix == ".webp" else {"quality": 95} if suffix == ".jpg" else {}
    source, target = save(tmp_path / f"in{suffix}", colours, icc_profile=profile, **lossless), tmp_path / f"out{suffix}"
    stream = Watching()
    report = edited(source, target, stream)
    assert report.notes == []
    before, after = read_images(source), read_images(target)
    assert after.profile == before.profile == profile
    srgb = ImageCms.profileToProfile(
        Image.fromarray(before.stills[0].colours),
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        "RGB",
    )
    assert np.abs(stream.shown[0].astype(int) - np.asarray(srgb)).max() <= 1
    assert np.abs(stream.shown[0].astype(int) - before.stills[0].colours).max() > 10
    difference = after.stills[0].colours.astype(int) - before.stills[0].colours
    assert difference[38:58, 54:74].mean() > 20
    if suffix in (".png", ".tif", ".webp"):
        assert not difference[:8].any() and not difference[-8:].any()
    else:
        assert np.abs(difference[-8:]).mean() < 3


def test_an_edit_under_a_profile_is_the_edit_that_was_asked_for(tmp_path: Path) -> None:
    plain, wide = save(tmp_path / "plain.png"), tmp_path / "wide.png"
    in_p3 = ImageCms.profileToProfile(
        Image.fromarray(textured_frame()),
        ImageCms.createProfile("sRGB"),
        ImageCms.ImageCmsProfile(io.BytesIO(display_p3())),
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )
    assert in_p3 is not None
    in_p3.save(wide, icc_profile=display_p3())
    edited(plain, tmp_path / "a.png")
    edited(wide, tmp_path / "b.png")
    first, second = (read_image(tmp_path / name)[0].astype(int) for name in ("a.png", "b.png"))
    assert np.abs(first - second).mean() < 1.5


def test_a_profile_that_the_output_cannot_hold_is_applied_and_told(tmp_path: Path) -> None:
    source = save(tmp_path / "in.png", icc_profile=display_p3())
    report = edited(source, tmp_path / "out.bmp")
    assert len(report.notes) == 1 and "converted to sRGB" in report.notes[0]
    seen = read_images(source).show_as_srgb(read_images(source).stills[0])
    np.testing.assert_array_equal(read_image(tmp_path / "out.bmp")[0][:8], seen[:8])


@pytest.mark.parametrize(
    "profile", [b"nonsense", display_p3()[:200], ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()]
)
def test_a_profile_that_cannot_be_used_is_left_out_and_told(profile: bytes, tmp_path: Path) -> None:
    report = edited(save(tmp_path / "in.png", icc_profile=profile), tmp_path / "out.png")
    assert len(report.notes) == 1 and "left out" in report.notes[0]
    assert read_images(tmp_path / "out.png").profile is None


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", ".jpg"])
@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_orientation_turns_all_channels_and_the_metadata_travel(suffix: str, orientation: int, tmp_path: Path) -> None:
    alpha = np.tile(np.arange(128, dtype=np.uint8), (96, 1)) + np.arange(96, dtype=np.uint8)[:, None]
    upright = textured_frame() if suffix == ".jpg" else np.dstack([textured_frame(), alpha])
    stored = np.ascontiguousarray(OLD[orientation](upright))
    options: dict[str, Any] = {"lossless": True, "exact": True} if suffix == ".webp" else {}
    source, target = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
    said = {"xmp": XMP} if suffix in (".jpg", ".webp") else {}
    save(source, stored, exif=exif(orientation).tobytes(), **said, **options)
    stream = Watching()
    report = edited(source, target, stream)
    assert report.notes == []
    assert stream.shown[0].shape == (96, 128, 3)
    made = read_images(target)
    if suffix != ".jpg":
        np.testing.assert_array_equal(made.stills[0].alpha, alpha)
        np.testing.assert_array_equal(made.stills[0].colours[:8], textured_frame()[:8])
    with Image.open(target) as image:
        kept = image.getexif()
        assert image.size == SIZE, "the pixels themselves are upright"
        assert kept.get(ExifTags.Base.Orientation, 1) == 1
        assert kept[ExifTags.Base.Make] == "Maker"
        assert kept.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] == "2026:01:02 03:04:05"
        assert kept.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] == (48.0, 8.0, 0.0)
        if said:
            assert b'dc:format="kept"' in image.info["xmp"] and b"tiff:Orientation" not in image.info["xmp"]


def test_metadata_can_be_left_out(tmp_path: Path) -> None:
    source = save(tmp_path / "in.jpg", exif=exif(6), xmp=XMP, comment=b"mine", icc_profile=display_p3())
    edited(source, tmp_path / "out.jpg", strip_metadata=True)
    with Image.open(tmp_path / "out.jpg") as image:
        assert not dict(image.getexif()) and "xmp" not in image.info and "comment" not in image.info
        assert image.info["icc_profile"] == display_p3(), "colours stay right"


def test_a_thumbnail_that_shows_the_face_unedited_is_left_out(tmp_path: Path) -> None:
    thumbnail = io.BytesIO()
    Image.fromarray(textured_frame()).resize((32, 24)).save(thumbnail, "JPEG")
    data = exif()
    ifd1 = data.get_ifd(ExifTags.IFD.IFD1)
    ifd1[0x0201], ifd1[0x0202] = 0, len(thumbnail.getvalue())
    source = save(tmp_path / "in.jpg", exif=data.tobytes() + thumbnail.getvalue())
    edited(source, tmp_path / "out.jpg")
    with Image.open(tmp_path / "out.jpg") as image:
        assert thumbnail.getvalue() not in image.info["exif"]
        assert not image.getexif().get_ifd(ExifTags.IFD.IFD1)


def test_a_jpeg_keeps_its_tables_so_that_the_rest_hardly_changes(tmp_path: Path) -> None:
    source = save(tmp_path / "in.jpg", quality=60, subsampling=2)
    edited(source, tmp_path / "out.jpg")
    with Image.open(source) as before, Image.open(tmp_path / "out.jpg") as after:
        assert isinstance(before, JpegImageFile) and isinstance(after, JpegImageFile)
        assert after.quantization == before.quantization
    difference = read_image(tmp_path / "out.jpg")[0].astype(int) - read_image(source)[0]
    assert np.abs(difference[:16]).mean() < 0.5


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "CMYK", "YCbCr", "LAB", "I", "I;16", "F"])
def test_every_mode_is_read(mode: str, tmp_path: Path) -> None:
    picture = Image.fromarray(textured_frame())
    made = picture.convert("L").convert(mode) if mode in ("1", "I", "F") else None
    if mode == "I;16":
        made = Image.fromarray(textured_frame()[:, :, 0].astype(np.uint16) * 257)
    if mode == "LAB":
        made = ImageCms.profileToProfile(
            picture, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), ImageCms.Intent.PERCEPTUAL, "LAB"
        )
    if mode == "PA":
        made = picture.convert("P").convert("PA")
    made = made or picture.convert(mode)
    path = tmp_path / ("in.png" if mode in ("1", "L", "LA", "P", "I;16") else "in.tif")
    if mode == "PA":
        path = tmp_path / "in.png"
        picture.convert("P").save(path, transparency=3)
    else:
        made.save(path)
    colours = read_image(path)[0].astype(int)
    expected = textured_frame().astype(int)
    if mode in ("1", "L", "LA", "I", "F"):
        expected = np.asarray(picture.convert("L"), int)[..., None].repeat(3, 2)
    if mode == "I;16":
        expected = expected[:, :, :1].repeat(3, 2)
    if mode == "1":  # dithered: right in the mean
        colours, expected = colours.mean((0, 1)), expected.mean((0, 1))
    tolerance = {"P": 25, "PA": 25, "F": 4}.get(mode, 4)
    assert np.abs(colours - expected).mean() < tolerance


def cartoon(number: int) -> Pixels:
    """A face of few colours before a background that moves, as in a GIF."""
    picture = np.asarray(Image.fromarray(textured_frame()).quantize(60).convert("RGB")).copy()
    picture[:6, 10 * number : 10 * number + 8] = (255, 0, 0)
    return picture


@pytest.mark.parametrize("target", [".gif", ".png", ".webp", ".avif"])
@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp"])
def test_animations_keep_all_pictures_their_times_and_their_loops(suffix: str, target: str, tmp_path: Path) -> None:
    times = [100, 50, 200, 70]
    frames = [Image.fromarray(cartoon(number)) for number in range(4)]
    lossless: dict[str, Any] = {"lossless": True} if suffix == ".webp" else {}
    source, result = tmp_path / f"in{suffix}", tmp_path / f"out{target}"
    frames[0].save(source, save_all=True, append_images=frames[1:], duration=times, loop=3, **lossless)
    report = edited(source, result)
    assert (report.frames, report.face_frames) == (4, 4)
    before, after = read_images(source), read_images(result)
    assert after.moving and [round(one.milliseconds) for one in after.stills] == times
    assert after.loop == 3 or target == ".avif"
    for old, new in zip(before.stills, after.stills, strict=True):
        difference = new.colours.astype(int) - old.colours
        assert difference[38:58, 54:74].mean() > 15
        if target in (".gif", ".png"):
            assert not difference[:8].any(), "what is not edited keeps its very colours"


def test_an_animation_as_a_still_is_its_first_picture_with_a_note(tmp_path: Path) -> None:
    frames = [Image.fromarray(cartoon(number)) for number in range(3)]
    frames[0].save(tmp_path / "in.gif", save_all=True, append_images=frames[1:], duration=100)
    report = edited(tmp_path / "in.gif", tmp_path / "out.jpg")
    assert len(report.notes) == 1 and "the first of 3 pictures" in report.notes[0]


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp", ".avif"])
def test_an_animation_may_become_a_film(suffix: str, tmp_path: Path) -> None:
    frames = [Image.fromarray(cartoon(number)) for number in range(3)]
    source, target = tmp_path / f"in{suffix}", tmp_path / "out.mp4"
    frames[0].save(source, save_all=True, append_images=frames[1:], duration=[100, 50, 200])
    report = edited(source, target)
    assert (report.frames, report.edited_frames, report.notes) == (3, 3, [])
    assert [float(time) for time, _ in frames_of(target)] == pytest.approx([0, 0.1, 0.15], abs=0.002)


def test_a_name_without_an_ending_is_what_the_output_is_to_be(tmp_path: Path) -> None:
    source = save(tmp_path / "photo", format="JPEG")
    edited(source, tmp_path / "out.png")
    assert read_image(tmp_path / "out.png")[0].shape == (96, 128, 3)


def test_more_bits_than_can_be_kept_are_told(tmp_path: Path) -> None:
    for suffix in (".png", ".tif"):
        path = tmp_path / f"in{suffix}"
        cv2.imwrite(str(path), textured_frame().astype(np.uint16) * 257)
        report = edited(path, tmp_path / "out.png")
        assert report.notes == ["The picture has more than 8 bits a channel; it was rounded to 8."]


def test_a_gif_keeps_its_transparency(tmp_path: Path) -> None:
    alpha = np.full((96, 128), 255, np.uint8)
    alpha[:20] = 0
    frames = [Image.fromarray(np.dstack([cartoon(number), np.roll(alpha, number * 3, 0)])) for number in range(3)]
    frames[0].save(tmp_path / "in.gif", save_all=True, append_images=frames[1:], duration=100, disposal=2, loop=0)
    edited(tmp_path / "in.gif", tmp_path / "out.gif")
    for number, still in enumerate(read_images(tmp_path / "out.gif").stills):
        np.testing.assert_array_equal(still.alpha, np.roll(alpha, number * 3, 0))


def test_every_page_of_a_tiff_is_edited(tmp_path: Path) -> None:
    pages = [Image.fromarray(textured_frame(seed)) for seed in range(3)]
    pages[0].save(tmp_path / "in.tif", save_all=True, append_images=pages[1:])
    report = edited(tmp_path / "in.tif", tmp_path / "out.tif")
    assert (report.frames, report.edited_frames) == (3, 3)
    for seed, still in enumerate(read_images(tmp_path / "out.tif").stills):
        difference = still.colours.astype(int) - textured_frame(seed)
        assert difference[38:58, 54:74].mean() > 15 and not difference[:8].any()


def test_transparency_that_the_output_cannot_hold_is_laid_on_white_and_told(tmp_path: Path) -> None:
    alpha = np.full((96, 128), 255, np.uint8)
    alpha[:20] = 0
    save(tmp_path / "in.png", np.dstack([textured_frame(), alpha]))
    report = edited(tmp_path / "in.png", tmp_path / "out.jpg")
    assert len(report.notes) == 1 and "laid on white" in report.notes[0]
    assert read_image(tmp_path / "out.jpg")[0][:12].min() > 245


@pytest.mark.parametrize(("suffix", "side"), [(".webp", 16_384), (".jpg", 65_501), (".gif", 65_536), (".avif", 32_769)])
def test_a_size_beyond_the_format_is_one_sentence_before_any_work(suffix: str, side: int, tmp_path: Path) -> None:
    source = tmp_path / "in.png"
    Image.new("L", (side, 2)).save(source)
    target = tmp_path / f"out{suffix}"

    def never() -> FaceStream:
        raise AssertionError("no engine is loaded for nothing")

    with pytest.raises(ValueError, match=r"at most [\d,]+ on a side; choose .png or .tif") as failure:
        edit_file(EditJob(source, target, LIGHT), never, "tiny")
    assert str(failure.value).count("\n") == 0
    assert not target.exists()


def test_a_size_at_the_limit_is_written(tmp_path: Path) -> None:
    source = tmp_path / "in.png"
    Image.new("RGB", (16_383, 2)).save(source)
    tracker = FixedTracker()
    tracker.blind = {0}
    edited(source, tmp_path / "out.webp", make_stream(tracker=tracker))
    assert read_image(tmp_path / "out.webp")[0].shape == (2, 16_383, 3)


def test_a_picture_beside_its_result_keeps_profile_and_alpha(tmp_path: Path) -> None:
    alpha = np.tile(np.arange(128, dtype=np.uint8), (96, 1))
    save(tmp_path / "in.png", np.dstack([textured_frame(), alpha]), icc_profile=display_p3())
    edited(tmp_path / "in.png", tmp_path / "out.png", compare=True)
    made = read_images(tmp_path / "out.png")
    np.testing.assert_array_equal(made.stills[0].colours[:, :128], textured_frame())
    np.testing.assert_array_equal(made.stills[0].alpha, np.hstack([alpha, alpha]))
    assert made.profile == display_p3()
