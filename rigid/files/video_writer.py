"""Writing video files: a format by extension, frames at their own times, all that is not edited as it was."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.sidedata.sidedata import SideData
from av.video.reformatter import ColorRange, Colorspace

from rigid.arrays import Pixels
from rigid.atomic_files import replacing
from rigid.files.film_colours import FilmColours, change_of
from rigid.files.film_formats import FORMATS, Encoding, Format, Source, choose_encoding
from rigid.files.journal import Journal
from rigid.files.planes import Planes, planes_of
from rigid.files.tracks import Damage, Track, describe_film, describe_track, needs_own_words, open_tracks
from rigid.files.video_reader import (
    SWS_FLAGS,
    Picture,
    VideoReader,
    as_file,
    is_full_range,
    is_high_definition,
    matrix_of,
)

__all__ = ["FORMATS", "VideoWriter", "open_writer"]

BT709, SMPTE170M = 1, 6
"""AVCOL_SPC, AVCOL_PRI and AVCOL_TRC of the two kinds of SDR."""
TOO_FEW = 2
"""Frames that no encoder reorders; of no more than these x265 gives decoding times out of memory it never wrote."""
TAGS = {Colorspace.ITU709: 1, Colorspace.FCC: 4, Colorspace.ITU601: 6, Colorspace.SMPTE240M: 7, Colorspace.BT2020: 9}
"""AVColorSpace by swscale's matrix."""


class VideoWriter:
    """Writes frames, and the other tracks of `reader`, to a file. Made by `open_writer`."""

    def __init__(
        self,
        container: av.container.OutputContainer,
        reader: VideoReader,
        form: Format,
        *,
        compare: bool = False,
        strip_metadata: bool = False,
        journal: Journal | None = None,
    ) -> None:
        self.notes: list[str] = []
        """What could not be carried over as it was, one sentence each."""
        self._container = container
        self._reader = reader
        self._format = form
        self._compare = compare
        self._strip = strip_metadata
        self._encoding: Encoding | None = None
        self._size = (0, 0)
        self._last_slot = -1
        self._early: list[av.Packet[Any]] = []
        self._tracks: dict[int, Track] = {}
        self._damage = Damage()
        self._journal = journal
        self._encoder: av.VideoCodecContext | None = None
        """None where the next frame has to begin a new one."""
        self._replayed: Iterator[av.Packet[Any]] = journal.packets() if journal is not None else iter(())
        self._last_dts: int | None = None
        self._given = 0
        """Frames that the encoder has had."""

    def write(self, edited: Pixels, picture: Picture) -> float:
        """Encode `edited`, `picture.image` with its edit, at the picture's time; returns the milliseconds.

        The first picture sets the size and the colours of the video; later ones of another size are fitted into it.
        """
        start = time.perf_counter()
        assert picture.frame is not None
        if self._encoding is None:
            self._configure(picture, picture.frame)
        if self._encoder is None:
            self._encoder, self._given = self._next_encoder(picture.frame), 0
        self._given += 1
        self._mux(self._encoder.encode(self._set_times(self._frame(edited, picture), picture)))
        return (time.perf_counter() - start) * 1e3

    def replay(self, picture: Picture) -> None:
        """Pass over a picture whose packets the journal has."""
        assert picture.frame is not None
        if self._encoding is None:
            self._configure(picture, picture.frame)
            self._fresh = False
        self._stamp(picture)
        packet = next(self._replayed, None)
        if packet is not None:
            self._mux([packet], known=True)

    def finish_replay(self) -> None:
        """After the last picture of the journal."""
        self._mux(list(self._replayed), known=True)

    @property
    def can_stop(self) -> bool:
        """Whether packets are all that it takes to go on: those of transparency in WebM have more to them."""
        return self._encoding is not None and not (
            self._encoding.encoder.codec == "libvpx-vp9" and "yuva" in self._encoding.pixel_format
        )

    def stop(self) -> None:
        """Let the encoder give what it holds, so that what is written so far stands alone."""
        if self._encoder is None:
            return
        packets = self._encoder.encode(None)
        if self._given <= TOO_FEW:
            for packet in packets:
                packet.dts = packet.pts
        self._mux(packets)
        self._encoder = None

    def write_packet(self, packet: av.Packet[Any]) -> None:
        """Add a packet of another track of the reader."""
        if self._encoding is None:
            # the first packet writes the file's header, which has to know the video's size
            self._early.append(packet)
            return
        track = self._tracks.get(packet.stream_index)
        if track is not None:
            track.write(packet)

    def finish(self) -> None:
        """Write what encoders still hold."""
        if self._encoding is None:
            return
        self.stop()
        for track in self._tracks.values():
            track.finish()
        if self._damage.count:
            self._note(f"{self._damage.count} damaged packet(s) of sound or other tracks were left out.")

    def _next_encoder(self, frame: av.VideoFrame) -> av.VideoCodecContext:
        """The stream's own at first, and after a stop another like it: one that was emptied takes no more."""
        own = self._video.codec_context
        if self._fresh:
            self._fresh = False
            return own
        assert self._encoding is not None
        made = av.CodecContext.create(self._encoding.encoder.codec, "w")
        assert isinstance(made, av.VideoCodecContext)
        made.width, made.height, made.pix_fmt = own.width, own.height, self._encoding.pixel_format
        made.time_base, made.framerate, made.options = own.time_base, self._reader.rate, self._options(frame)
        if own.sample_aspect_ratio:
            made.sample_aspect_ratio = own.sample_aspect_ratio
        made.color_primaries, made.color_trc = own.color_primaries, own.color_trc
        made.colorspace, made.color_range = own.colorspace, own.color_range
        made.flags = own.flags
        return made

    def _mux(self, packets: list[av.Packet[Any]], *, known: bool = False) -> None:
        for packet in packets:
            packet.stream, packet.time_base = self._video, self._video.codec_context.time_base
            # an encoder that begins in mid-film counts its decoding times back from its first frame
            if self._last_dts is not None and packet.dts is not None and packet.dts <= self._last_dts:
                packet.dts = min(self._last_dts + 1, packet.pts if packet.pts is not None else self._last_dts + 1)
            self._last_dts = packet.dts
        if self._journal is not None and not known:
            self._journal.add(packets)
        self._damage.mux(self._container, *packets)

    def _configure(self, picture: Picture, frame: av.VideoFrame) -> None:
        reader, form = self._reader, self._format
        stream = reader.stream
        colours = FilmColours(frame.color_trc, frame.color_primaries)
        source = Source(stream.codec_context.name, stream.profile, frame.format, colours)
        self._encoding = encoding = choose_encoding(source, form)
        for note in (*reader.notes, *encoding.notes):
            self._note(note)
        height, width = picture.image.shape[:2]
        self._size = (width * (1 + self._compare), height)
        self._check_size(encoding)
        video = self._container.add_stream(encoding.encoder.codec, rate=reader.rate, options=self._options(frame))
        assert isinstance(video, av.VideoStream)
        self._video, self._fresh = video, True
        target = video.codec_context
        target.width, target.height = self._find_padded_size()
        target.pix_fmt = encoding.pixel_format
        target.time_base = 1 / reader.rate if form.constant_rate else reader.time_base
        if encoding.encoder.codec == "libx265" and form.container in ("mp4", "mov"):
            target.codec_tag = "hvc1"  # without it QuickTime shows nothing
        self._tag(target, frame)
        target.sample_aspect_ratio = self._pixel_aspect(picture)
        self._describe()

    def _check_size(self, encoding: Encoding) -> None:
        width, height = self._find_padded_size()
        if max(width, height) > encoding.encoder.longest:
            raise ValueError(
                f"The output would have {width} x {height} pixels, and {encoding.encoder.codec} in "
                f"{self._format.container} has at most {encoding.encoder.longest:,} on a side; choose .webm or .avi."
            )

    def _describe(self) -> None:
        """Everything beside the pictures: it has to be there before the first packet is."""
        reader, others = self._reader, self._reader.others
        chapters = reader.chapters
        if self._strip:
            data = [stream for stream in others if stream.type == "data"]
            others = [stream for stream in others if stream.type != "data"]
            if data:
                self._note("Data tracks, which may tell place and time, were left out.")
        else:
            describe_track(self._video, reader.stream)
        metadata = {} if self._strip else reader.metadata
        if self._format.container == "avi" and chapters:
            self._note("The avi format cannot hold chapters; they were left out.")
            chapters = []
        kept = {"chapters": bool(chapters)}
        self._tracks = open_tracks(self._container, others, self._format, self.notes, self._damage, **kept)
        describe_film(self._container, metadata, chapters, reader.shift, self._format)
        for packet in self._early:
            self.write_packet(packet)
        self._early.clear()

    def _options(self, frame: av.VideoFrame) -> dict[str, str]:
        assert self._encoding is not None
        options = dict(self._encoding.encoder.options)
        if self._encoding.profile is not None:
            options["profile"] = self._encoding.profile
        if self._encoding.encoder.codec == "libx265":
            options["x265-params"] = ":".join(["log-level=error", *_light_of(frame)])
            if frame.side_data.get("DOVI_METADATA") is not None or frame.side_data.get("DOVI_RPU_BUFFER") is not None:
                self._note("Dolby Vision's own metadata were left out; what it builds on is kept.")
            if frame.side_data.get("DYNAMIC_HDR_PLUS") is not None:
                self._note("HDR10+ metadata were left out; HDR10 is kept.")
        return options

    def _tag(self, target: av.VideoCodecContext, frame: av.VideoFrame) -> None:
        """Say how the colours are meant."""
        assert self._encoding is not None
        if not self._encoding.in_own_colours:
            target.color_primaries = target.color_trc = BT709
        else:
            target.color_primaries, target.color_trc = frame.color_primaries, frame.color_trc
        self._matrix, self._full_range = self._matrix_and_range(frame)
        target.colorspace = TAGS[self._matrix]
        target.color_range = ColorRange.JPEG if self._full_range else ColorRange.MPEG

    def _matrix_and_range(self, frame: av.VideoFrame) -> tuple[Colorspace, bool]:
        """Those of the film; Motion JPEG is always read as full range and BT.601, and what was RGB is as its size."""
        if self._format.full_range:
            return Colorspace.ITU601, True
        if frame.format.is_rgb or len(frame.format.components) < 3:
            high = is_high_definition(*self._size)
            return (matrix_of(frame) if frame.color_primaries == 9 else _by_size(high)), False
        jpeg = self._reader.is_jpeg
        return matrix_of(frame, jpeg), is_full_range(frame, jpeg)

    def _pixel_aspect(self, picture: Picture) -> Fraction:
        """The shape of the input's pixels, turned with the picture; 0 where it is not known."""
        aspect = self._reader.stream.codec_context.sample_aspect_ratio
        if not aspect or aspect <= 0:
            return Fraction(0)
        return 1 / aspect if picture.turn.sideways else aspect

    def _frame(self, edited: Pixels, picture: Picture) -> av.VideoFrame:
        """The frame to encode: the one that was decoded, changed where the edit changed it."""
        assert self._encoding is not None and picture.frame is not None
        if self._format.full_range:
            frame = self._from_rgb(np.hstack([picture.image, edited]) if self._compare else edited)
        else:
            frame = self._from_planes(edited, picture, picture.frame)
        return self._fit(frame)

    def _from_planes(self, edited: Pixels, picture: Picture, source: av.VideoFrame) -> av.VideoFrame:
        assert self._encoding is not None
        planes = self._planes(source, picture)
        before = planes.turn(*picture.turn)
        colours = FilmColours(source.color_trc, source.color_primaries)
        after = before.patch(picture.image, edited, change_of(colours))
        return (before.beside(after) if self._compare else after).as_frame()

    def _planes(self, source: av.VideoFrame, picture: Picture) -> Planes:
        """The source's planes in the pixel format of the output, or in one of whole chroma where it will be turned."""
        assert self._encoding is not None
        working = self._encoding.pixel_format
        if picture.turn.sideways:
            working = working.replace("422", "444")
        hidden = any(part.is_alpha for part in source.format.components) and not working.startswith("yuva")
        if hidden:
            working = working.replace("yuv", "yuva").replace("12le", "10le")
        if source.format.name != working:
            source = self._reformat(source, working)
        planes = planes_of(source, TAGS[self._matrix], self._full_range)
        if hidden:
            alpha = planes.parts[3]
            if alpha.min() < (1 << planes.bits) - 1:
                self._note(f"The {self._format.container} format holds no transparency; what was transparent is black.")
            planes = planes.on_black()
        return planes

    def _reformat(self, source: av.VideoFrame, form: str) -> av.VideoFrame:
        jpeg = self._reader.is_jpeg
        full = is_full_range(source, jpeg) or source.format.is_rgb
        return source.reformat(
            format=form,
            src_colorspace=matrix_of(source, jpeg) if not source.format.is_rgb else self._matrix,
            dst_colorspace=self._matrix,
            src_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG if self._full_range else ColorRange.MPEG,
            interpolation=SWS_FLAGS,
        )

    def _from_rgb(self, image: Pixels) -> av.VideoFrame:
        assert self._encoding is not None
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        return frame.reformat(
            format=self._encoding.pixel_format,
            dst_colorspace=self._matrix,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.JPEG if self._full_range else ColorRange.MPEG,
            interpolation=SWS_FLAGS,
        )

    def _fit(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Of the video's size and pixel format: an odd size is filled up, another one is scaled between black bars."""
        assert self._encoding is not None
        width, height = self._size
        same = (frame.width, frame.height) == self._size
        if not same:
            self._note(
                "The picture's size changes in the film; it was fitted into the first one's, between black bars."
            )
            scale = min(width / frame.width, height / frame.height)
            inner = [max(2, round(side * scale / 2) * 2) for side in (frame.width, frame.height)]
            frame = self._scale(frame, min(inner[0], width), min(inner[1], height))
        elif frame.format.name != self._encoding.pixel_format:
            frame = self._scale(frame, width, height)
        target = self._find_padded_size()
        if (frame.width, frame.height) == target:
            return frame
        planes = planes_of(frame, TAGS[self._matrix], self._full_range)
        if not same:
            planes = planes.pad(width, height, centred=True)
        return planes.pad(*target, centred=False).as_frame()

    def _scale(self, frame: av.VideoFrame, width: int, height: int) -> av.VideoFrame:
        assert self._encoding is not None
        span = ColorRange.JPEG if self._full_range else ColorRange.MPEG
        return frame.reformat(
            width,
            height,
            self._encoding.pixel_format,
            src_colorspace=self._matrix,
            dst_colorspace=self._matrix,
            src_color_range=span,
            dst_color_range=span,
            interpolation=SWS_FLAGS,
        )

    def _find_padded_size(self) -> tuple[int, int]:
        width, height = self._size
        return (width + width % 2, height + height % 2) if self._format.even_size else (width, height)

    def _set_times(self, frame: av.VideoFrame, picture: Picture) -> av.VideoFrame:
        context = self._video.codec_context
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
def open_writer(
    path: Path,
    reader: VideoReader,
    *,
    compare: bool = False,
    strip_metadata: bool = False,
    journal: Journal | None = None,
) -> Iterator[VideoWriter]:
    """A writer for the frames and other tracks of `reader`, which is for writing.

    `path` appears only if the block ends well; its extension decides the format (`FORMATS`). `compare` shows each
    picture on the left of its edit. `strip_metadata` leaves out what the film says of itself. `journal` keeps what is
    encoded, so that another run can go on. Raises OSError when the file cannot be written.
    """
    form = FORMATS[path.suffix.lower()]
    options = dict(form.container_options)
    if "movflags" in options and not strip_metadata and needs_own_words(reader.metadata, form):
        options["movflags"] += "+use_metadata_tags"
    with replacing(path) as part:
        # FFmpeg's own errors about writing become the system's, as callers expect of a file
        try:
            with av.open(as_file(part), "w", format=form.container, container_options=options) as container:
                kept = {"compare": compare, "strip_metadata": strip_metadata}
                writer = VideoWriter(container, reader, form, journal=journal, **kept)
                yield writer
                writer.finish()
        except av.error.FFmpegError as error:
            raise OSError(error.errno, error.strerror) from error


def _by_size(high: bool) -> Colorspace:
    return Colorspace.ITU709 if high else Colorspace.ITU601


def _light_of(frame: av.VideoFrame) -> Iterator[str]:
    """Of an HDR10 film, what its maker's screen could show and what its brightest light is, as x265 takes it."""
    mastering = frame.side_data.get("MASTERING_DISPLAY_METADATA")
    if isinstance(mastering, SideData):
        # AVMasteringDisplayMetadata: red, green, blue and white as x, y; least and most light; two flags
        numbers = np.frombuffer(bytes(mastering), np.int32)
        ratios = [Fraction(int(a), int(b)) if b else Fraction(0) for a, b in numbers[:20].reshape(10, 2)]
        if all(numbers[20:22]):
            red, green, blue, white = ([round(one * 50_000) for one in ratios[i : i + 2]] for i in (0, 2, 4, 6))
            least, most = (round(one * 10_000) for one in ratios[8:10])
            named = zip("GBR", (green, blue, red), strict=True)
            points = "".join(f"{name}({x},{y})" for name, (x, y) in named)
            yield f"master-display={points}WP({white[0]},{white[1]})L({most},{least})"
    light = frame.side_data.get("CONTENT_LIGHT_LEVEL")
    if isinstance(light, SideData):
        most, mean = (int(one) for one in np.frombuffer(bytes(light), np.uint32)[:2])
        yield f"max-cll={most},{mean}"
