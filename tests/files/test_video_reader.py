"""Video files read and written: every frame at its time, colours kept, sound carried along."""

from __future__ import annotations

import itertools
import resource
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace

from rigid.arrays import Pixels
from rigid.files.film_formats import FORMATS
from rigid.files.frame_colours import SWS_FLAGS, to_rgb
from rigid.files.video_reader import Picture, VideoError, VideoReader
from rigid.files.video_writer import open_writer
from tests.clips import audio_packets, audio_times, frames_of, number_in, write_clip

VARIABLE = (0, 33, 100, 140, 173, 400, 433, 900, 933, 1000)
"""Frame times in milliseconds, as a phone records them in bad light."""


def read(path: Path) -> list[Picture]:
    with VideoReader(path) as reader:
        return [item for item in reader if isinstance(item, Picture)]


def rewrite(source: Path, target: Path) -> list[str]:
    """Every frame and sound of `source` into `target`; returns the writer's notes."""
    with VideoReader(source, for_writing=True) as reader, open_writer(target, reader) as writer:
        for item in reader:
            if isinstance(item, Picture):
                writer.write(item.image, item)
            else:
                writer.write_packet(item)
    return writer.notes


INPUTS = [
    ("clip.mp4", "libx264", "aac"),
    ("clip.mkv", "libx264", "libopus"),
    ("clip.mov", "libx264", "pcm_s16le"),
    ("clip.webm", "libvpx-vp9", "libopus"),
    ("clip.mp4", "libvpx-vp9", None),
    ("clip.avi", "mjpeg", "libmp3lame"),
    ("clip.mkv", "mjpeg", "flac"),
    ("clip.ts", "libx264", "aac"),
]


@pytest.mark.parametrize(("name", "codec", "sound"), INPUTS)
def test_every_frame_of_every_kind_of_file_is_read_in_order(
    name: str, codec: str, sound: str | None, tmp_path: Path
) -> None:
    pixel_format = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = write_clip(tmp_path / name, codec=codec, sound=sound, pixel_format=pixel_format)
    pictures = read(path)
    assert [number_in(picture.image) for picture in pictures] == list(range(12))
    assert all(picture.decode_ms > 0 for picture in pictures)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".webm"])
def test_variable_frame_times_are_kept(suffix: str, tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mkv", VARIABLE, sound="libopus")
    target = tmp_path / f"out{suffix}"
    rewrite(source, target)
    frames = frames_of(target)
    assert [number_in(picture) for _, picture in frames] == list(range(len(VARIABLE)))
    assert [time for time, _ in frames] == [Fraction(stamp, 1000) for stamp in VARIABLE]


def test_a_format_with_a_constant_rate_keeps_every_frame_and_says_so(tmp_path: Path) -> None:
    target = tmp_path / "out.avi"
    notes = rewrite(write_clip(tmp_path / "in.mkv", (0, 10, 20, 30, 400, 433), sound=None), target)
    assert [number_in(picture) for _, picture in frames_of(target)] == list(range(6))
    assert any("constant rate" in note for note in notes)


@pytest.mark.parametrize(
    ("name", "sound", "target"),
    [
        ("in.mp4", "aac", "out.mp4"),
        ("in.mp4", "aac", "out.mkv"),
        ("in.mkv", "libopus", "out.webm"),
        ("in.mkv", "libopus", "out.mp4"),
        ("in.mkv", "flac", "out.mkv"),
        ("in.mp4", "libmp3lame", "out.avi"),
    ],
)
def test_sound_is_copied_bit_for_bit_at_its_own_times(name: str, sound: str, target: str, tmp_path: Path) -> None:
    source = write_clip(tmp_path / name, sound=sound)
    assert rewrite(source, tmp_path / target) == []
    assert audio_packets(tmp_path / target) == audio_packets(source)
    np.testing.assert_allclose(audio_times(tmp_path / target), audio_times(source), atol=0.03)


def test_sound_from_a_broadcast_stream_is_carried_and_the_clip_begins_at_nought(tmp_path: Path) -> None:
    source, target = write_clip(tmp_path / "in.ts", start=5000), tmp_path / "out.mp4"
    assert frames_of(source)[0][0] >= 5
    assert rewrite(source, target) == []
    assert abs(frames_of(target)[0][0]) < 0.1
    assert len(audio_packets(target)) == len(audio_packets(source))
    assert abs(audio_times(target)[0] - float(frames_of(target)[0][0])) < 0.1


@pytest.mark.parametrize(("sound", "target", "becomes"), [("aac", "out.webm", "opus"), ("libopus", "out.mov", "aac")])
def test_sound_the_format_cannot_hold_is_encoded_anew_with_a_note(
    sound: str, target: str, becomes: str, tmp_path: Path
) -> None:
    source = write_clip(tmp_path / "in.mkv", tuple(range(0, 1000, 40)), sound=sound)
    notes = rewrite(source, tmp_path / target)
    assert len(notes) == 1 and "audio" in notes[0] and "anew" in notes[0]
    with av.open(str(tmp_path / target)) as container:
        assert container.streams.audio[0].codec_context.name.startswith(becomes)
        heard = np.concatenate([frame.to_ndarray().mean(0) for frame in container.decode(audio=0)])
    assert heard.size / 48000 == pytest.approx(1.0, abs=0.1)
    assert 0.1 < np.sqrt((heard[4800:-9600] ** 2).mean()) < 0.3, "the tone is still there"


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_rotation_in_the_metadata_is_applied(degrees: int, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "turned.mp4", turn=degrees, sound=None)
    plain = read(write_clip(tmp_path / "plain.mp4", sound=None))[5].image
    turned = read(path)[5].image
    np.testing.assert_array_equal(turned, np.rot90(plain, degrees // 90))
    target = tmp_path / "out.mp4"
    rewrite(path, target)
    (_, picture), *_ = frames_of(target)
    assert picture.shape == turned.shape
    with av.open(str(target)) as container:
        assert next(container.decode(video=0)).rotation == 0


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".webm", ".avi"])
def test_odd_sizes_can_be_written(suffix: str, tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mkv", codec="ffv1", size=(97, 63), sound=None, pixel_format="bgr0")
    target = tmp_path / f"out{suffix}"
    rewrite(source, target)
    pictures = [picture for _, picture in frames_of(target)]
    assert [number_in(picture[:63, :97]) for picture in pictures] == list(range(12))
    assert pictures[0].shape in ((63, 97, 3), (64, 98, 3))


def colour_bars(number: int, size: tuple[int, int]) -> Pixels:
    width, height = size
    colours = np.array(list(itertools.product((20, 130, 240), repeat=3)), np.uint8)
    bars = np.repeat(colours, -(-width // len(colours)), 0)[:width]
    return np.ascontiguousarray(np.broadcast_to(bars, (height, width, 3)))


@pytest.mark.parametrize("size", [(432, 64), (1296, 64)], ids=["sd", "hd"])
@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".avi"])
def test_colours_survive_the_round_trip(suffix: str, size: tuple[int, int], tmp_path: Path) -> None:
    source = write_clip(
        tmp_path / "in.mkv", codec="ffv1", size=size, picture=colour_bars, sound=None, pixel_format="bgr0"
    )
    target = tmp_path / f"out{suffix}"
    rewrite(source, target)
    expected, actual = (read(path)[3].image.astype(int) for path in (source, target))
    np.testing.assert_array_equal(expected, colour_bars(3, size))
    step = size[0] // 27
    middles = np.arange(27) * step + step // 2
    difference = (actual - expected)[:, middles]
    assert np.abs(difference.mean(0)).max() < 4
    assert abs(difference.mean()) < 1


@pytest.mark.parametrize("size", [(64, 48), (1280, 720)], ids=["sd", "hd"])
@pytest.mark.parametrize("tag", [2, 1, 6], ids=["untagged", "bt709", "bt601"])
def test_the_matrix_is_taken_from_the_tag_or_else_from_the_size(tag: int, size: tuple[int, int]) -> None:
    meant = {1: Colorspace.ITU709, 6: Colorspace.ITU601}.get(
        tag, Colorspace.ITU709 if size[0] >= 1280 else Colorspace.ITU601
    )
    colour = np.full((size[1], size[0], 3), (200, 60, 90), np.uint8)
    frame = av.VideoFrame.from_ndarray(colour, format="rgb24").reformat(
        format="yuv420p", dst_colorspace=meant, dst_color_range=ColorRange.MPEG, interpolation=SWS_FLAGS
    )
    frame.colorspace = tag
    assert np.abs(to_rgb(frame).astype(int) - colour).max() <= 2


def test_conversion_neither_darkens_nor_brightens() -> None:
    greys = np.repeat(np.arange(16, 236, dtype=np.uint8)[None, :, None], 8, 0).repeat(3, 2)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(greys), format="rgb24").reformat(
        format="yuv420p", dst_color_range=ColorRange.MPEG, dst_colorspace=Colorspace.ITU601, interpolation=SWS_FLAGS
    )
    assert abs(float((to_rgb(frame).astype(int) - greys).mean())) < 0.1


def test_a_later_frame_of_another_size_is_fitted_into_the_first(tmp_path: Path) -> None:
    first, second = (
        write_clip(tmp_path / f"{n}.ts", size=size, sound=None) for n, size in enumerate(((96, 64), (64, 96)))
    )
    source, target = tmp_path / "in.ts", tmp_path / "out.mp4"
    source.write_bytes(first.read_bytes() + second.read_bytes())
    notes = rewrite(source, target)
    pictures = [picture for _, picture in frames_of(target)]
    assert {picture.shape for picture in pictures} == {(64, 96, 3)}
    assert [number_in(picture) for picture in pictures[:12]] == list(range(12))
    inner = [picture[:, 27:69] for picture in pictures[12:]]
    assert [number_in(picture) for picture in inner] == list(range(len(inner))) and len(inner) >= 11
    assert max(float(picture[:, :24].mean()) for picture in pictures[12:]) < 10, "black bars"
    assert any("size changes" in note for note in notes)


def test_a_truncated_file_gives_the_frames_it_has(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "whole.mkv", tuple(range(0, 2000, 40)), sound=None)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    numbers = [number_in(picture.image) for picture in read(cut)]
    assert 10 < len(numbers) < 50
    # of the last few, those are missing that lay behind a later one in the file
    assert numbers == sorted(set(numbers))
    assert numbers[:-8] == list(range(len(numbers) - 8))


def test_a_file_with_neither_length_nor_count_has_no_estimate_that_is_wrong(tmp_path: Path) -> None:
    for name in ("clip.mp4", "clip.mkv", "clip.ts"):
        with VideoReader(write_clip(tmp_path / name, sound=None)) as reader:
            assert reader.frame_estimate is None or abs(reader.frame_estimate - 12) <= 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "There is no file"),
        (b"", r"is empty \(0 bytes\)"),
        (b"not a video\n" * 40, "is not a video that can be read"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_sentence(content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(VideoError, match=message) as failure:
        VideoReader(path)
    assert str(failure.value).count(".") <= 3 and "\n" not in str(failure.value)


def test_a_folder_is_not_a_video(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="is a folder"):
        VideoReader(tmp_path)


def test_sound_alone_is_not_a_video(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        audio = container.add_stream("aac", rate=48000)
        assert isinstance(audio, av.AudioStream)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4800), np.float32), format="flt", layout="mono")
        frame.rate = 48000
        container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
    with pytest.raises(VideoError, match="has no video stream"):
        VideoReader(path)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("existed", [False, True])
def test_whatever_stops_the_writing_leaves_the_output_as_it_was(
    error: type[BaseException], existed: bool, tmp_path: Path
) -> None:
    source, target = write_clip(tmp_path / "in.mp4"), tmp_path / "out.mp4"
    if existed:
        target.write_bytes(b"what was there")

    def stopped() -> None:
        with VideoReader(source, for_writing=True) as reader, open_writer(target, reader) as writer:
            for number, item in enumerate(reader):
                if isinstance(item, Picture):
                    writer.write(item.image, item)
                if number > 5:
                    raise error

    with pytest.raises(error):
        stopped()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4"] + ["out.mp4"] * existed
    assert not existed or target.read_bytes() == b"what was there"


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm", ".avi"])
def test_a_full_disk_is_an_os_error_and_leaves_nothing(suffix: str, tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mp4")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            rewrite(source, tmp_path / f"out{suffix}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_every_format_has_encoders_for_what_it_promises() -> None:
    for form in FORMATS.values():
        for encoder in filter(None, (form.usual, form.deep, form.clear)):
            known = {one.name for one in av.Codec(encoder.codec, "w").video_formats or ()}
            assert known >= set(encoder.pixel_formats), encoder.codec
        assert av.Codec(form.audio_codec, "w").type == "audio"
