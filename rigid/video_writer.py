"""Writing video files: a format by extension, frames at their own times, audio copied where the format can hold it."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

from rigid.replacing import replacing
from rigid.video import SWS_FLAGS, Picture, VideoReader, is_high_definition

Pixels = NDArray[np.uint8]
AVCOL_SPC_BT709 = 1
AVCOL_SPC_SMPTE170M = 6


@dataclass(frozen=True)
class Format:
    """How one kind of file is written."""

    container: str
    codec: str
    audio_codec: str
    """What sound becomes where it cannot be copied."""
    options: dict[str, str]
    container_options: dict[str, str] = field(default_factory=dict)
    even_size: bool = False
    """Whether width and height must be even."""
    full_range: bool = False
    constant_rate: bool = False
    """Whether frames can only lie on a fixed grid of times."""


_H264 = {"crf": "18", "preset": "veryfast"}
_MP4 = Format("mp4", "libx264", "aac", _H264, {"movflags": "+faststart"}, even_size=True)
FORMATS = {
    ".mp4": _MP4,
    ".m4v": _MP4,
    ".mov": Format("mov", "libx264", "aac", _H264, {"movflags": "+faststart"}, even_size=True),
    ".mkv": Format("matroska", "libx264", "aac", _H264, even_size=True),
    ".webm": Format("webm", "libvpx-vp9", "libopus", {"crf": "24", "b": "0", "cpu-used": "5", "row-mt": "1"}),
    ".avi": Format("avi", "mjpeg", "libmp3lame", {"qmin": "2", "qmax": "2"}, full_range=True, constant_rate=True),
}
"""By the output's extension, in lower case."""


class VideoWriter:
    """Writes frames, and the audio of `reader`, to a file. Made by `open_writer`."""

    def __init__(self, container: av.container.OutputContainer, reader: VideoReader, form: Format) -> None:
        self.notes: list[str] = []
        """What could not be carried over as it was, one sentence each."""
        self._container = container
        self._reader = reader
        self._format = form
        self._size: tuple[int, int] | None = None
        self._matrix = Colorspace.ITU601
        self._last_slot = -1
        self._early_audio: list[av.Packet[av.AudioStream]] = []
        video = container.add_stream(form.codec, rate=reader.rate, options=form.options)
        assert isinstance(video, av.VideoStream)
        self._video = video
        self._tracks = {s.index: t for s in reader.audio if (t := _track(container, s, form, self.notes)) is not None}
        container.metadata.update(_portable(reader.metadata))

    def write(self, image: Pixels, picture: Picture) -> float:
        """Encode `image` (H, W, 3) uint8 RGB at the time of `picture`, the input's frame; returns the milliseconds.

        The first image sets the size of the video; later ones of another size are scaled to it.
        """
        start = time.perf_counter()
        if self._size is None:
            self._size = (image.shape[1], image.shape[0])
            self._configure(image)
            for packet in self._early_audio:
                self.write_audio(packet)
        self._container.mux(self._video.encode(self._frame(image, picture)))
        return (time.perf_counter() - start) * 1e3

    def write_audio(self, packet: av.Packet[av.AudioStream]) -> None:
        """Add a packet of the reader's audio."""
        if self._size is None:
            # the first packet writes the file's header, which has to know the video's size
            self._early_audio.append(packet)
            return
        track = self._tracks.get(packet.stream_index)
        if track is not None:
            track.write(packet)

    def finish(self) -> None:
        """Write what encoders still hold."""
        self._container.mux(self._video.encode(None))
        for track in self._tracks.values():
            track.finish()

    def _configure(self, image: Pixels) -> None:
        height, width = _padded(image, self._format).shape[:2]
        source, target = self._reader.stream.codec_context, self._video.codec_context
        target.width, target.height, target.pix_fmt = width, height, "yuv420p"
        target.time_base = 1 / self._reader.rate if self._format.constant_rate else self._reader.time_base
        target.color_range = ColorRange.JPEG if self._format.full_range else ColorRange.MPEG
        self._matrix, target.colorspace = self._choose_matrix(width, height)
        target.color_primaries, target.color_trc = source.color_primaries, source.color_trc
        target.sample_aspect_ratio = self._pixel_aspect(image)

    def _choose_matrix(self, width: int, height: int) -> tuple[Colorspace, int]:
        """The matrix and its tag: by size, as for untagged files; Motion JPEG is always read as BT.601."""
        if is_high_definition(width, height) and not self._format.full_range:
            return Colorspace.ITU709, AVCOL_SPC_BT709
        return Colorspace.ITU601, AVCOL_SPC_SMPTE170M

    def _pixel_aspect(self, image: Pixels) -> Fraction:
        """The shape of the input's pixels, turned with the picture; 0 where it is not known."""
        context = self._reader.stream.codec_context
        aspect = context.sample_aspect_ratio
        if not aspect or aspect <= 0:
            return Fraction(0)
        turned = (image.shape[0] > image.shape[1]) != (context.height > context.width)
        return 1 / aspect if turned else aspect

    def _frame(self, image: Pixels, picture: Picture) -> av.VideoFrame:
        assert self._size is not None
        if (image.shape[1], image.shape[0]) != self._size:
            image = np.asarray(cv2.resize(image, self._size, interpolation=cv2.INTER_AREA), np.uint8)
        context = self._video.codec_context
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(_padded(image, self._format)), format="rgb24").reformat(
            format="yuv420p",
            dst_colorspace=self._matrix,
            src_color_range=ColorRange.JPEG,
            dst_color_range=context.color_range,
            interpolation=SWS_FLAGS,
        )
        frame.pts, frame.time_base = self._stamp(picture), context.time_base
        frame.duration = 1 if self._format.constant_rate else picture.duration
        return frame

    def _stamp(self, picture: Picture) -> int:
        """The frame's own time, or its place on the grid of a format with a constant rate."""
        if not self._format.constant_rate:
            return picture.pts
        slot = max(0, round(picture.pts * self._reader.time_base * self._reader.rate))
        if slot <= self._last_slot:
            self._note("The frames' times were rounded to a constant rate, as the output's format has no other.")
            slot = self._last_slot + 1
        self._last_slot = slot
        return slot

    def _note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)


@contextmanager
def open_writer(path: Path, reader: VideoReader) -> Iterator[VideoWriter]:
    """A writer for the frames and audio of `reader`; `path` appears only if the block ends well.

    The extension of `path` decides the format (`FORMATS`). Raises OSError when the file cannot be written.
    """
    form = FORMATS[path.suffix.lower()]
    with replacing(path) as part:
        # FFmpeg's own errors about writing become the system's, as callers expect of a file
        try:
            with av.open(str(part), "w", format=form.container, container_options=form.container_options) as container:
                writer = VideoWriter(container, reader, form)
                yield writer
                writer.finish()
        except av.error.FFmpegError as error:
            raise OSError(error.errno, error.strerror) from error


class _Copied:
    """Audio whose packets pass on as they are."""

    def __init__(self, container: av.container.OutputContainer, source: av.AudioStream) -> None:
        self._container = container
        self._stream = container.add_stream_from_template(source)

    def write(self, packet: av.Packet[av.AudioStream]) -> None:
        packet.stream = self._stream
        self._container.mux(packet)

    def finish(self) -> None:
        """Nothing is held back."""


class _Transcoded:
    """Audio that is decoded and encoded anew."""

    def __init__(self, container: av.container.OutputContainer, source: av.AudioStream, codec_name: str) -> None:
        self._container = container
        rates = av.Codec(codec_name, "w").audio_rates or [source.rate]
        rate = source.rate if source.rate in rates else 48000
        stream = container.add_stream(codec_name, rate=rate, bit_rate=160_000)
        assert isinstance(stream, av.AudioStream)
        stream.codec_context.layout = "mono" if source.channels == 1 else "stereo"
        self._stream = stream
        self._source = source

    def write(self, packet: av.Packet[av.AudioStream] | None) -> None:
        try:
            frames = self._source.decode(packet)
        except av.error.InvalidDataError:
            return  # a damaged stretch of sound is a gap, as in a player
        for frame in frames:
            self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        self.write(None)
        self._container.mux(self._stream.encode(None))


def _track(
    container: av.container.OutputContainer, source: av.AudioStream, form: Format, notes: list[str]
) -> _Copied | _Transcoded | None:
    """Where the packets of `source` go; a note where they cannot stay as they are."""
    if _can_hold(form, source):
        return _Copied(container, source)
    if source.codec_context is None:
        notes.append(f"The {form.container} format cannot hold the audio, whose codec is not known; it was left out.")
        return None
    name = source.codec_context.codec.canonical_name
    notes.append(f"The {form.container} format cannot hold {name} audio, so it was encoded anew as {form.audio_codec}.")
    return _Transcoded(container, source, form.audio_codec)


def _can_hold(form: Format, source: av.AudioStream) -> bool:
    """Whether the format takes the sound as it is: tried, as the lists of what a format supports are not exact."""
    try:
        with av.open(io.BytesIO(), "w", format=form.container) as trial:
            trial.add_stream_from_template(source)
            trial.start_encoding()
    except (ValueError, av.error.FFmpegError):
        return False
    return True


def _portable(metadata: dict[str, str]) -> dict[str, str]:
    """The file's notes that are about its content, not about how it was packed."""
    packing = ("encoder", "major_brand", "minor_version", "compatible_brands", "duration")
    return {key: value for key, value in metadata.items() if key.lower() not in packing}


def _padded(image: Pixels, form: Format) -> Pixels:
    """`image` with its last row or column repeated where the format wants even sizes."""
    height, width = image.shape[:2]
    if not form.even_size or (height % 2 == 0 and width % 2 == 0):
        return image
    return np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
