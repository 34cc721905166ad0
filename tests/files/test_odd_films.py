"""Films that are not as they should be, frame by frame: what is read, and what comes out."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import pytest

from rigid.files.edit import edit_file
from rigid.files.edit_job import EditJob
from rigid.files.edit_report import EditReport
from tests.clips import TICK, audio_packets, audio_times, frames_of, number_in, numbered, write_clip
from tests.worlds import make_stream

EVEN = tuple(range(0, 480, 40))


def edited(source: Path, target: Path) -> EditReport:
    return edit_file(EditJob(source, target, {}), make_stream, "tiny")


def with_duplicates_and_gaps(folder: Path) -> Path:
    return write_clip(folder / "in.mkv", (0, 1, 2, 40, 41, 900, 940, 5000, 5001), sound="libopus")


def interlaced(folder: Path) -> Path:
    path = folder / "in.mp4"
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25, options={"x264-params": "tff=1", "crf": "10"})
        assert isinstance(video, av.VideoStream)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        _put(container, video, [(40 * number, number) for number in range(12)])
    return path


def before_nought(folder: Path) -> Path:
    """Begins 80 ms before nought: an MP4's edit list then leaves out what comes before, as every player does."""
    path = folder / "in.mp4"
    with av.open(str(path), "w", container_options={"avoid_negative_ts": "disabled"}) as container:
        video = container.add_stream("libx264", rate=25, options={"crf": "10"})
        assert isinstance(video, av.VideoStream)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        video.codec_context.time_base = TICK
        _put(container, video, [(40 * number - 80, number) for number in range(12)])
    return path


def after_an_empty_edit(folder: Path) -> Path:
    """The picture begins half a second after the sound, by an edit list."""
    return write_clip(folder / "in.mp4", tuple(stamp + 520 for stamp in EVEN))


def cut_by_an_edit_list(folder: Path) -> Path:
    """The edit list leaves out the first three frames, which are there to be decoded."""
    path = write_clip(folder / "in.mp4", EVEN, sound=None)
    data = bytearray(path.read_bytes())
    place = data.index(b"elst") + 4
    assert data[place : place + 8] == bytes(4) + (1).to_bytes(4, "big"), "version 0, one entry"
    media = int.from_bytes(data[place + 12 : place + 16], "big")
    base = 16_000  # the ticks of a second that the muxer chose for a clip of 1/1000
    data[place + 12 : place + 16] = (media + 120 * base // 1000).to_bytes(4, "big")
    path.write_bytes(data)
    return path


def without_its_first_key_frame(folder: Path) -> Path:
    return _repacked(folder, lambda number: number == 0, gap=6)


def with_a_hole(folder: Path) -> Path:
    """Some packets in its middle are missing."""
    return _repacked(folder, lambda number: number in (4, 5), gap=6)


def cut_off(folder: Path) -> Path:
    """The last third of an MP4, whose index comes first, is missing."""
    whole = folder / "whole.mp4"
    with av.open(str(whole), "w", container_options={"movflags": "faststart"}) as container:
        video = container.add_stream("libx264", rate=25, options={"crf": "10", "bf": "0"})
        assert isinstance(video, av.VideoStream)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        _put(container, video, [(40 * number, number) for number in range(12)])
    data = whole.read_bytes()
    path = folder / "in.mp4"
    start = data.index(b"mdat") + 4
    path.write_bytes(data[: start + (len(data) - start) * 3 // 4])
    return path


def _put(container: av.container.OutputContainer, video: av.VideoStream, frames: list[tuple[int, int]]) -> None:
    for stamp, number in frames:
        frame = av.VideoFrame.from_ndarray(numbered(number), format="rgb24")
        frame.pts, frame.time_base = stamp, TICK
        container.mux(video.encode(frame))
    container.mux(video.encode(None))


def _repacked(folder: Path, missing: Callable[[int], bool], gap: int) -> Path:
    """A stream with a key frame every `gap` frames, without some of its packets."""
    whole, path = folder / "whole.mkv", folder / "in.ts"
    with av.open(str(whole), "w") as container:
        options = {"crf": "10", "bf": "0", "g": str(gap), "sc_threshold": "0"}
        video = container.add_stream("libx264", rate=25, options=options)
        assert isinstance(video, av.VideoStream)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        _put(container, video, [(40 * number, number) for number in range(12)])
    with av.open(str(whole)) as source, av.open(str(path), "w") as container:
        copy = container.add_stream_from_template(source.streams.video[0], opaque=True)
        packets: list[av.Packet[Any]] = [packet for packet in source.demux(video=0) if packet.size]
        for number, packet in enumerate(packets):
            if not missing(number):
                packet.stream = copy
                container.mux(packet)
    return path


class Case(NamedTuple):
    """A film, and what must come out."""

    make: Callable[[Path], Path]
    numbers: list[int]
    times: list[int] | None = None
    """Milliseconds; None: those of the frames that are read, whatever the first one's is."""
    note: str = ""


CASES = [
    Case(with_duplicates_and_gaps, list(range(9)), [0, 1, 2, 40, 41, 900, 940, 5000, 5001]),
    Case(interlaced, list(range(12)), list(EVEN), "interlaced"),
    Case(before_nought, list(range(2, 12)), list(EVEN[:10])),
    Case(after_an_empty_edit, list(range(12)), [stamp + 520 for stamp in EVEN]),
    Case(cut_by_an_edit_list, list(range(3, 12)), list(EVEN[:9])),
    Case(without_its_first_key_frame, list(range(6, 12))),
    Case(with_a_hole, [0, 1, 2, 3, *range(6, 12)]),
    Case(cut_off, [0, 1, 2, 3], note="damaged"),
]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("case", CASES, ids=[case.make.__name__ for case in CASES])
def test_an_odd_film_comes_out_frame_by_frame(case: Case, suffix: str, tmp_path: Path) -> None:
    source, target = case.make(tmp_path), tmp_path / f"out{suffix}"
    report = edited(source, target)
    frames = frames_of(target)
    numbers = [number_in(picture) for _, picture in frames]
    if case.times is None:
        # a decoder may add frames that it made up for missing ones; those that are there come in order
        assert [number for number in numbers if number in case.numbers][: len(case.numbers)] != []
        assert numbers == sorted(numbers)
        assert set(case.numbers[:-2]) <= set(numbers)
    else:
        assert numbers == case.numbers
        first = frames[0][0] - Fraction(case.times[0], 1000)
        assert [(time - first) * 1000 for time, _ in frames] == case.times
        # sound that begins before nought, as AAC does, moves everything in a container that has no time before it
        assert abs(first) <= Fraction(25, 1000)
    assert report.frames == len(frames)
    assert not case.note or any(case.note in note for note in report.notes)


def test_sound_and_picture_keep_their_distance(tmp_path: Path) -> None:
    source, target = after_an_empty_edit(tmp_path), tmp_path / "out.mkv"
    edited(source, target)
    assert audio_packets(target) == audio_packets(source)
    before, after = (float(frames_of(path)[0][0]) - audio_times(path)[0] for path in (source, target))
    assert after == pytest.approx(before, abs=0.002)
