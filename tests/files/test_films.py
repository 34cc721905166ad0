"""Films as cameras and editors write them: bit depth, HDR, chroma, transparency, tracks and names kept."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.sidedata.sidedata import SideData
from av.stream import Disposition
from numpy.typing import NDArray

from rigid.files.edit import edit_file
from rigid.files.edit_job import EditJob
from rigid.files.edit_report import EditReport
from rigid.files.film_colours import HLG, PQ, FilmColours
from rigid.files.video_reader import Picture, VideoReader
from tests.clips import audio_packets, frames_of, write_clip
from tests.worlds import make_stream, textured_frame

LIGHT = {"light": 1.0}
SIZE = (128, 96)
RAMP = slice(80, 96)
"""Rows below the face with a ramp of greys."""
FACE = slice(40, 56), slice(56, 72)
DARK, BRIGHT = 64, 940
"""Of 10 bits, limited range."""

Planes = list[NDArray[Any]]


def planes(frame: av.VideoFrame) -> Planes:
    """The frame's planes as numbers."""
    kind = np.dtype(np.uint16 if frame.format.components[0].bits > 8 else np.uint8)
    parts = []
    for index, plane in enumerate(frame.planes):
        rows = np.frombuffer(bytes(plane), kind).reshape(-1, plane.line_size // kind.itemsize)
        chroma = index in (1, 2)
        width = frame.format.chroma_width(frame.width) if chroma else frame.width
        height = frame.format.chroma_height(frame.height) if chroma else frame.height
        parts.append(rows[:height, :width].astype(int))
    return parts


def film_frame(number: int, pixel_format: str, size: tuple[int, int] = SIZE) -> av.VideoFrame:
    """A textured face's place above a ramp of greys, in any planar Y'CbCr format; alpha falls from left to right."""
    width, height = size
    frame = av.VideoFrame(width, height, pixel_format)
    bits = frame.format.components[0].bits
    scale = 1 << bits - 8
    kind = np.dtype(np.uint16 if bits > 8 else np.uint8)
    luma = textured_frame(shape=(height, width, 3))[:, :, 0] * 0.5 + 60 + number
    luma = luma * scale
    luma[80:] = np.rint(np.linspace(16 * scale, 235 * scale, width))
    for index, plane in enumerate(frame.planes):
        rows = np.frombuffer(memoryview(plane), kind).reshape(-1, plane.line_size // kind.itemsize)
        if index == 0:
            rows[:height, :width] = np.rint(luma)
        elif index < 3:
            rows[:] = 128 * scale
        else:
            rows[:height, :width] = np.rint(np.linspace((1 << bits) - 1, 0, width))
    return frame


def write_film(
    path: Path,
    codec: str,
    pixel_format: str,
    frames: int = 6,
    options: dict[str, str] | None = None,
    tags: tuple[int, int, int] = (2, 2, 2),
    full_range: bool = False,
) -> Path:
    """A silent film of `film_frame`s; `tags` are primaries, transfer and matrix."""
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=25, options=options or {})
        assert isinstance(video, av.VideoStream)
        video.width, video.height, video.pix_fmt = *SIZE, pixel_format
        context = video.codec_context
        context.color_primaries, context.color_trc, context.colorspace = tags
        context.color_range = 2 if full_range else 1
        for number in range(frames):
            frame = film_frame(number, pixel_format)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return path


def decoded(path: Path) -> list[av.VideoFrame]:
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def edited(source: Path, target: Path, **options: Any) -> EditReport:
    return edit_file(EditJob(source, target, LIGHT, **options), make_stream, "tiny")


LOSSLESS_265 = {"x265-params": "lossless=1:log-level=error", "preset": "ultrafast"}
HDR = [(HLG, ".mp4", "hevc"), (PQ, ".mov", "hevc"), (HLG, ".mkv", "hevc"), (PQ, ".webm", "av1")]


@pytest.mark.parametrize(("transfer", "suffix", "codec"), HDR, ids=["hlg-mp4", "pq-mov", "hlg-mkv", "pq-webm"])
def test_hdr_keeps_its_bits_its_colours_and_what_is_not_edited(
    transfer: int, suffix: str, codec: str, tmp_path: Path
) -> None:
    tags = (9, transfer, 9)
    source = write_film(tmp_path / "in.mkv", "libx265", "yuv420p10le", options=LOSSLESS_265, tags=tags)
    target = tmp_path / f"out{suffix}"
    report = edited(source, target)
    assert report.notes == [] and report.edited_frames == 6
    before, after = decoded(source), decoded(target)
    with av.open(str(target)) as container:
        assert container.streams.video[0].codec_context.name.replace("libdav1d", "av1") == codec
    for old, new in zip(before, after, strict=True):
        assert new.format.name == "yuv420p10le"
        assert (new.color_primaries, new.color_trc, new.colorspace, new.color_range) == (*tags, 1)
        ramps = [planes(frame)[0][RAMP][4:12].reshape(8, -1, 4).mean((0, 2)) for frame in (old, new)]
        assert np.abs(ramps[1] - ramps[0]).mean() < 1, "a grey ramp stays within a code value"
        assert np.abs(planes(new)[1][RAMP.start // 2 :] - 512).max() <= 2, "and grey"
        rise = planes(new)[0][FACE].mean() - planes(old)[0][FACE].mean()
        assert rise > 20, "the face is edited"


@pytest.mark.parametrize("transfer", [HLG, PQ])
def test_networks_see_hdr_as_a_screen_shows_it(transfer: int, tmp_path: Path) -> None:
    source = write_film(tmp_path / "in.mkv", "libx265", "yuv420p10le", options=LOSSLESS_265, tags=(9, transfer, 9))
    with VideoReader(source) as reader:
        picture = next(item for item in reader if isinstance(item, Picture))
    signal = ((planes(decoded(source)[0])[0][88] - DARK) / (BRIGHT - DARK)).astype(np.float32)
    expected = FilmColours(transfer, 9).to_screen(np.repeat(signal[:, None], 3, 1)) * 255
    assert np.abs(picture.image[88].astype(float) - expected).mean() < 1.5
    # BT.2408: diffuse white is at 58 % of PQ and 75 % of HLG; on a screen it is bright, and not yet white
    white = np.full((1, 3), 0.58 if transfer == PQ else 0.75, np.float32)
    assert 225 < FilmColours(transfer, 9).to_screen(white)[0, 0] * 255 < 240


@pytest.mark.parametrize("transfer", [HLG, PQ, 1])
def test_what_a_screen_shows_and_the_signal_are_each_others_inverse(transfer: int) -> None:
    # greys and skin: what is within both gamuts
    codes = np.array([[level, round(level * share), round(level * share * 0.9)] for level in range(0, 256, 5)
                      for share in (1, 0.8)], np.uint8)  # fmt: skip
    colours = FilmColours(transfer, 9)
    np.testing.assert_allclose(colours.to_screen(colours.from_screen(codes)) * 255, codes, atol=1.0)


def test_hdr_where_the_output_cannot_say_so_becomes_bt709(tmp_path: Path) -> None:
    source = write_film(tmp_path / "in.mkv", "libx265", "yuv420p10le", options=LOSSLESS_265, tags=(9, HLG, 9))
    report = edited(source, tmp_path / "out.avi")
    assert any("HDR" in note and "BT.709" in note for note in report.notes)
    assert any("rounded to 8" in note for note in report.notes)
    with VideoReader(source) as reader:
        seen = next(item for item in reader if isinstance(item, Picture)).image
    shown = frames_of(tmp_path / "out.avi")[0][1]
    assert np.abs(shown[RAMP][4:12].astype(int) - seen[RAMP][4:12]).mean() < 3


@pytest.mark.parametrize("frames", [1, 2, 3])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_a_film_of_a_few_frames_can_have_ten_bits(frames: int, suffix: str, tmp_path: Path) -> None:
    source, target = write_film(tmp_path / "in.mkv", "ffv1", "yuv420p10le", frames), tmp_path / f"out{suffix}"
    report = edited(source, target)
    assert report.notes == [] and report.frames == frames
    shown = [float(frame.time or 0) for frame in decoded(target)]
    assert shown == pytest.approx([number / 25 for number in range(frames)], abs=0.002)


def test_hdr10_keeps_what_it_says_of_its_light(tmp_path: Path) -> None:
    points = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
    said = {"x265-params": f"lossless=1:log-level=error:master-display={points}:max-cll=1000,400"}
    source = write_film(tmp_path / "in.mkv", "libx265", "yuv420p10le", options=said, tags=(9, PQ, 9))
    edited(source, tmp_path / "out.mp4")
    before, after = decoded(source)[0], decoded(tmp_path / "out.mp4")[0]
    for kind in ("MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL"):
        old, new = before.side_data.get(kind), after.side_data.get(kind)
        assert isinstance(old, SideData) and isinstance(new, SideData) and bytes(old) == bytes(new)


KINDS: list[tuple[str, str, dict[str, str], str, str]] = [
    ("libx264", "yuv420p10le", {"crf": "0"}, ".mp4", "yuv420p10le"),
    ("libx264", "yuv422p10le", {"crf": "0"}, ".mkv", "yuv422p10le"),
    ("ffv1", "yuv444p12le", {}, ".mkv", "yuv444p12le"),
    ("libx264", "yuv422p", {"qp": "0"}, ".mkv", "yuv422p"),
    ("libx264", "yuv444p", {"qp": "0"}, ".mkv", "yuv444p"),
    ("prores_ks", "yuv422p10le", {"profile": "3"}, ".mov", "yuv422p10le"),
    ("libx264", "yuv420p", {"qp": "0"}, ".mp4", "yuv420p"),
    ("libx264", "yuv420p", {"qp": "0"}, ".webm", "yuv420p"),
]


@pytest.mark.parametrize(("codec", "pixel_format", "options", "suffix", "becomes"), KINDS)
def test_bits_and_chroma_are_kept_and_what_is_not_edited_stays(
    codec: str, pixel_format: str, options: dict[str, str], suffix: str, becomes: str, tmp_path: Path
) -> None:
    source = write_film(
        tmp_path / ("in.mov" if codec == "prores_ks" else "in.mkv"), codec, pixel_format, options=options
    )
    report = edited(source, tmp_path / f"out{suffix}")
    assert report.notes == []
    scale = 1 << av.VideoFormat(pixel_format).components[0].bits - 8
    for old, new in zip(decoded(source), decoded(tmp_path / f"out{suffix}"), strict=True):
        assert new.format.name == becomes
        ramps = [planes(frame)[0][RAMP][4:12].mean(0) for frame in (old, new)]
        assert np.abs(ramps[1] - ramps[0]).mean() < 0.7 * scale
        assert planes(new)[0][FACE].mean() - planes(old)[0][FACE].mean() > 10 * scale


@pytest.mark.parametrize(
    ("pixel_format", "suffix", "said"),
    [
        ("yuv444p", ".mp4", "4:4:4 to 4:2:0"),
        ("yuv422p", ".webm", "4:2:2 to 4:2:0"),
        ("yuv444p16le", ".mp4", "rounded to 12"),
    ],
)
def test_what_no_encoder_keeps_is_told(pixel_format: str, suffix: str, said: str, tmp_path: Path) -> None:
    source = write_film(tmp_path / "in.mkv", "ffv1", pixel_format)
    report = edited(source, tmp_path / f"out{suffix}")
    assert len(report.notes) == 1 and said in report.notes[0]


def test_a_size_beyond_the_encoder_is_one_sentence(tmp_path: Path) -> None:
    source = tmp_path / "in.mkv"
    with av.open(str(source), "w") as container:
        video = container.add_stream("ffv1", rate=25)
        assert isinstance(video, av.VideoStream)
        video.width, video.height, video.pix_fmt = 16_400, 16, "yuv420p"
        frame = av.VideoFrame(16_400, 16, "yuv420p")
        frame.pts = 0
        container.mux(video.encode(frame))
        container.mux(video.encode(None))
    with pytest.raises(ValueError, match="at most 16,384 on a side"):
        edited(source, tmp_path / "out.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["in.mkv"]


def test_full_range_stays_full_range(tmp_path: Path) -> None:
    source = write_film(tmp_path / "in.mp4", "libx264", "yuv420p", options={"qp": "0"}, full_range=True)
    edited(source, tmp_path / "out.mp4")
    for old, new in zip(decoded(source), decoded(tmp_path / "out.mp4"), strict=True):
        assert new.color_range == 2
        assert np.abs(planes(new)[0][RAMP][4:12].mean(0) - planes(old)[0][RAMP][4:12].mean(0)).mean() < 0.7


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("pixel_format", ["yuv420p10le", "yuv422p10le"])
def test_a_film_on_its_side_is_turned_in_all_its_bits(suffix: str, pixel_format: str, tmp_path: Path) -> None:
    source = tmp_path / "in.mp4"
    with av.open(str(source), "w") as container:
        video = container.add_stream("libx265", rate=25, options=LOSSLESS_265)
        assert isinstance(video, av.VideoStream)
        video.width, video.height, video.pix_fmt = 96, 128, pixel_format
        video.set_display_rotation(90)
        frame = av.VideoFrame(96, 128, pixel_format)
        upright = planes(film_frame(0, "yuv444p10le"))
        for index, plane in enumerate(frame.planes):
            rows = np.frombuffer(memoryview(plane), np.uint16).reshape(-1, plane.line_size // 2)
            rows[:] = 512
            if index == 0:
                rows[:, :96] = np.rot90(upright[0], -1)
        for number in range(4):  # of one frame x265 gives no decoding time that a muxer takes
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    edited(source, tmp_path / f"out{suffix}")
    made, *_ = decoded(tmp_path / f"out{suffix}")
    assert (made.width, made.height, made.rotation, made.format.name) == (128, 96, 0, pixel_format)
    assert np.abs(planes(made)[0][RAMP][4:12].mean(0) - upright[0][RAMP][4:12].mean(0)).mean() < 2


CLEAR = [
    ("in.mov", "prores_ks", "yuva444p10le", ".mov"),
    ("in.webm", "libvpx-vp9", "yuva420p", ".webm"),
    ("in.webm", "libvpx-vp9", "yuva420p", ".mkv"),
    ("in.mov", "prores_ks", "yuva444p10le", ".webm"),
]


def alpha_of(path: Path) -> list[NDArray[Any]]:
    """The transparency of every frame, in [0, 1]."""
    found = []
    with VideoReader(path, for_writing=True) as reader:
        for item in reader:
            if isinstance(item, Picture):
                assert item.frame is not None
                bits = item.frame.format.components[0].bits
                found.append(planes(item.frame)[3] / ((1 << bits) - 1))
    return found


@pytest.mark.parametrize(("name", "codec", "pixel_format", "suffix"), CLEAR)
def test_transparency_is_kept(name: str, codec: str, pixel_format: str, suffix: str, tmp_path: Path) -> None:
    options = {"auto-alt-ref": "0", "crf": "10", "b": "0"} if codec == "libvpx-vp9" else {}
    source = write_film(tmp_path / name, codec, pixel_format, options=options)
    report = edited(source, tmp_path / f"out{suffix}")
    assert not [note for note in report.notes if "transparen" in note]
    before, after = alpha_of(source), alpha_of(tmp_path / f"out{suffix}")
    assert len(before) == len(after) == 6
    assert np.abs(np.array(after) - np.array(before)).mean() < 0.01
    assert before[0][:, :32].mean() > 0.8 > 0.2 > before[0][:, -32:].mean()


def test_png_in_quicktime_keeps_its_transparency(tmp_path: Path) -> None:
    source = tmp_path / "in.mov"
    picture = np.dstack([textured_frame(), np.tile(np.linspace(255, 0, 128).astype(np.uint8), (96, 1))])
    with av.open(str(source), "w") as container:
        video = container.add_stream("png", rate=25)
        assert isinstance(video, av.VideoStream)
        video.width, video.height, video.pix_fmt = 128, 96, "rgba"
        for number in range(3):
            frame = av.VideoFrame.from_ndarray(picture, format="rgba")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    edited(source, tmp_path / "out.mov")
    for alpha in alpha_of(tmp_path / "out.mov"):
        assert np.abs(alpha - picture[:, :, 3] / 255).mean() < 0.01


def test_transparency_that_mp4_cannot_hold_is_black_and_told(tmp_path: Path) -> None:
    source = write_film(tmp_path / "in.mov", "prores_ks", "yuva444p10le")
    report = edited(source, tmp_path / "out.mp4")
    assert len([note for note in report.notes if "transparent is black" in note]) == 1
    shown = frames_of(tmp_path / "out.mp4")[0][1]
    assert shown[8:60, -6:].mean() < 16 < 60 < shown[8:60, :16].mean()


def write_tracks(path: Path) -> Path:
    """Two languages, subtitles, a font, chapters and a title, in Matroska."""
    with av.open(str(path), "w") as container:
        container.metadata.update({"title": "The film", "com.example.camera": "seven"})
        container.set_chapters(
            [
                {
                    "id": n,
                    "start": 240 * n,
                    "end": 240 * n + 240,
                    "time_base": Fraction(1, 1000),
                    "metadata": {"title": t},
                }
                for n, t in enumerate(("first", "second"))
            ]
        )
        video = container.add_stream("libx264", rate=25)
        assert isinstance(video, av.VideoStream)
        video.width, video.height, video.pix_fmt = *SIZE, "yuv420p"
        video.metadata["language"] = "deu"
        sounds = [container.add_stream("aac", rate=48000) for _ in range(2)]
        for sound, language in zip(sounds, ("eng", "fra"), strict=True):
            assert isinstance(sound, av.AudioStream)
            sound.codec_context.layout = "mono"
            sound.metadata.update({"language": language, "title": f"in {language}"})
        sounds[0].disposition = Disposition.default
        sounds[1].disposition = Disposition(Disposition.comment)
        words = container.add_mux_stream("subrip")
        words.metadata["language"] = "ita"
        words.disposition = Disposition.forced
        words.time_base = Fraction(1, 1000)
        container.add_attachment("font.ttf", "application/x-truetype-font", b"glyphs" * 9)
        for number in range(12):
            frame = film_frame(number, "yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        for number, text in enumerate((b"Ciao", b"a tutti")):
            packet: av.Packet[Any] = av.Packet(text)
            packet.stream, packet.time_base = words, Fraction(1, 1000)
            packet.pts = packet.dts = 200 * number
            packet.duration = 150
            container.mux(packet)
        for sound in sounds:
            tone = av.AudioFrame.from_ndarray(np.zeros((1, 23040), np.float32), format="flt", layout="mono")
            tone.rate, tone.pts = 48000, 0
            assert isinstance(sound, av.AudioStream)
            container.mux(sound.encode(tone))
            container.mux(sound.encode(None))
    return path


def test_everything_that_the_container_holds_is_copied(tmp_path: Path) -> None:
    source, target = write_tracks(tmp_path / "in.mkv"), tmp_path / "out.mkv"
    assert edited(source, target).notes == []
    with av.open(str(source)) as before, av.open(str(target)) as after:
        for old, new in zip(before.streams, after.streams, strict=True):
            assert (new.type, new.language, new.disposition) == (old.type, old.language, old.disposition)
            assert new.metadata.get("title") == old.metadata.get("title")
        (font,) = after.streams.attachments
        assert (font.name, font.data) == ("font.ttf", b"glyphs" * 9)
        told = [(chapter["start"], chapter["end"], chapter["metadata"]) for chapter in after.chapters()]
        assert told == [(chapter["start"], chapter["end"], chapter["metadata"]) for chapter in before.chapters()]
        assert after.metadata["title"] == "The film"
        words = [(bytes(packet), packet.pts) for packet in after.demux(subtitles=0) if packet.size]
    assert words == [(b"Ciao", 0), (b"a tutti", 200)]
    assert audio_packets(target) == audio_packets(source)


@pytest.mark.parametrize(("suffix", "words"), [(".mp4", "mov_text"), (".mov", "mov_text"), (".webm", "webvtt")])
def test_what_another_container_holds_is_copied_or_converted_and_the_rest_told(
    suffix: str, words: str, tmp_path: Path
) -> None:
    target = tmp_path / f"out{suffix}"
    notes = edited(write_tracks(tmp_path / "in.mkv"), target).notes
    assert any("attachments" in note and "font.ttf" in note for note in notes)
    assert any("subtitles" in note and words in note for note in notes)
    with av.open(str(target)) as container:
        assert [one.language for one in container.streams.audio] == ["eng", "fra"]
        (subtitle,) = container.streams.subtitles
        assert subtitle.language == "ita" and subtitle.codec_context.name == words
        assert container.metadata["title"] == "The film"
        assert (
            suffix == ".webm"
            or {key.lower(): word for key, word in container.metadata.items()}["com.example.camera"] == "seven"
        )
        names = [chapter["metadata"]["title"] for chapter in container.chapters()]
        assert names == ["first", "second"]
        shown = [packet for packet in container.demux(subtitle) if packet.size > 2]
        assert [b"Ciao" in bytes(shown[0]), b"a tutti" in bytes(shown[1])] == [True, True]
        assert [round(float((packet.pts or 0) * packet.time_base), 2) for packet in shown[:2]] == [0, 0.2]


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("channels", ["mono", "stereo", "5.1"])
def test_sound_whose_channels_have_no_places_is_copied(channels: str, suffix: str, tmp_path: Path) -> None:
    source, target = tmp_path / "in.avi", tmp_path / f"out{suffix}"
    count = av.AudioLayout(channels).nb_channels
    with av.open(str(source), "w") as container:
        video = container.add_stream("mjpeg", rate=25)
        sound = container.add_stream("pcm_s16le", rate=48000)
        assert isinstance(video, av.VideoStream) and isinstance(sound, av.AudioStream)
        video.width, video.height, video.pix_fmt = *SIZE, "yuvj420p"
        sound.codec_context.layout = channels
        for number in range(4):
            frame = film_frame(number, "yuvj420p")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(video.encode(frame))
        tone = av.AudioFrame.from_ndarray(np.arange(7680 * count, dtype=np.int16)[None], format="s16", layout=channels)
        tone.rate, tone.pts = 48000, 0
        container.mux(sound.encode(tone))
        container.mux(video.encode(None))
    assert edited(source, target).notes == []
    assert b"".join(audio_packets(target)) == b"".join(audio_packets(source))


def test_metadata_of_a_film_can_be_left_out(tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    edited(write_tracks(tmp_path / "in.mkv"), target, strip_metadata=True)
    with av.open(str(target)) as container:
        assert not {"title", "com.example.camera"} & container.metadata.keys()
        assert [one.language for one in container.streams.audio] == ["eng", "fra"]


def test_a_place_and_a_camera_survive_from_phone_to_mp4(tmp_path: Path) -> None:
    source, target = tmp_path / "in.mov", tmp_path / "out.mp4"
    place = {"com.apple.quicktime.location.ISO6709": "+48.1371+011.5754+519/", "com.apple.quicktime.model": "Phone"}
    with av.open(str(source), "w", container_options={"movflags": "use_metadata_tags"}) as container:
        container.metadata.update(place | {"creation_time": "2026-01-02T03:04:05.000000Z"})
        video = container.add_stream("libx264", rate=25)
        assert isinstance(video, av.VideoStream)
        video.width, video.height, video.pix_fmt = *SIZE, "yuv420p"
        frame = film_frame(0, "yuv420p")
        frame.pts = 0
        container.mux(video.encode(frame))
        container.mux(video.encode(None))
    edited(source, target)
    with av.open(str(target)) as container:
        assert place.items() <= dict(container.metadata).items()
        assert container.metadata["location"].startswith("+48.1371+011.5754+519")
        assert container.metadata["creation_time"].startswith("2026-01-02T03:04:05")


NAMES: list[str | bytes] = [
    "12:30",
    "-clip",
    "--help",
    "100%d",
    "a\nb",
    "file:x",
    "concat:a|b",
    "q?x#y",
    "'\"& ü",
    b"\xff\xfe",
]


@pytest.mark.parametrize("name", NAMES, ids=repr)
@pytest.mark.parametrize("suffix", [".mp4", ".png"])
def test_a_name_is_always_a_file(
    name: str | bytes, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import Image

    stem = os.fsdecode(name)
    source, target = Path(f"{stem}{suffix}"), Path(f"{stem} out{suffix}")
    monkeypatch.chdir(tmp_path)
    if suffix == ".png":
        Image.fromarray(textured_frame()).save("plain.png")
    else:
        write_clip(Path("plain.mp4"), size=SIZE, picture=lambda number, size: textured_frame())
    Path(f"plain{suffix}").rename(source)
    report = edited(source, target)
    assert report.edited_frames == report.frames > 0
    assert {path.name for path in Path().iterdir()} == {source.name, target.name}
