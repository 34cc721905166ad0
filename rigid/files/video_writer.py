"""Writing video files: a format by extension, frames at their own times, all that is not edited as it was."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av

from rigid.arrays import Pixels
from rigid.atomic_files import replacing
from rigid.files.film_colours import FilmColours
from rigid.files.film_formats import FORMATS, Encoding, Format, Source, choose_encoding
from rigid.files.film_frames import FrameMaker
from rigid.files.journal import Journal
from rigid.files.notes import Notes
from rigid.files.picture_track import PictureTrack
from rigid.files.tracks import Damage, Track, describe_film, describe_track, needs_own_words, open_tracks
from rigid.files.video_reader import Picture, VideoReader, as_file


class VideoWriter:
    """Writes frames, and the other tracks of `reader`, to a file. Made by `open_writer`."""

    def __init__(
        self,
        container: av.container.OutputContainer,
        reader: VideoReader,
        form: Format,
        *,
        compare: bool,
        strip_metadata: bool,
        journal: Journal | None,
    ) -> None:
        self.notes = Notes()
        """What could not be carried over as it was."""
        self._container, self._reader, self._format = container, reader, form
        self._compare, self._strip, self._journal = compare, strip_metadata, journal
        self._replayed: Iterator[av.Packet[Any]] = journal.packets() if journal is not None else iter(())
        self._begun: tuple[FrameMaker, PictureTrack, Encoding] | None = None
        """None before the first picture, which sets the size and the colours."""
        self._early: list[av.Packet[Any]] = []
        self._tracks: dict[int, Track] = {}
        self._damage = Damage()
        self._last_slot = -1

    def write(self, edited: Pixels, picture: Picture) -> float:
        """Encode `edited`, `picture.image` with its edit, at the picture's time; returns the milliseconds.

        The first picture sets the size and the colours of the video; later ones of another size are fitted into it.
        """
        start = time.perf_counter()
        assert picture.frame is not None
        maker, track = self._begin(picture)
        frame = maker.make(edited, picture)
        frame.pts, frame.time_base = self._stamp(picture), track.time_base
        frame.duration = 1 if self._format.constant_rate else picture.duration
        track.encode(frame, picture.frame)
        return (time.perf_counter() - start) * 1e3

    def replay(self, picture: Picture) -> None:
        """Pass over a picture whose packets the journal has."""
        _, track = self._begin(picture)
        self._stamp(picture)
        packet = next(self._replayed, None)
        track.replay([] if packet is None else [packet])

    def finish_replay(self) -> None:
        """After the last picture of the journal."""
        if self._begun is not None:
            self._begun[1].replay(self._replayed)

    @property
    def can_stop(self) -> bool:
        """Whether packets are all that it takes to go on: those of transparency in WebM have more to them."""
        if self._begun is None:
            return False
        encoding = self._begun[2]
        return not (encoding.encoder.codec == "libvpx-vp9" and "yuva" in encoding.pixel_format)

    def stop(self) -> None:
        """Let the encoder give what it holds, so that what is written so far stands alone."""
        if self._begun is not None:
            self._begun[1].stop()

    def write_packet(self, packet: av.Packet[Any]) -> None:
        """Add a packet of another track of the reader."""
        if self._begun is None:
            # the first packet writes the file's header, which has to know the video's size
            self._early.append(packet)
            return
        track = self._tracks.get(packet.stream_index)
        if track is not None:
            track.write(packet)

    def finish(self) -> None:
        """Write what encoders still hold."""
        if self._begun is None:
            return
        self.stop()
        for track in self._tracks.values():
            track.finish()
        if self._damage.count:
            self.notes.add(f"{self._damage.count} damaged packet(s) of sound or other tracks were left out.")

    def _begin(self, picture: Picture) -> tuple[FrameMaker, PictureTrack]:
        if self._begun is None:
            assert picture.frame is not None
            encoding = self._choose_encoding(picture.frame)
            maker = FrameMaker(self._reader, self._format, encoding, picture, compare=self._compare, notes=self.notes)
            self._check_size(maker, encoding)
            track = PictureTrack(
                self._container,
                self._reader,
                self._format,
                encoding,
                maker,
                picture.frame,
                journal=self._journal,
                damage=self._damage,
                notes=self.notes,
            )
            self._describe(track)
            self._begun = maker, track, encoding
            for packet in self._early:
                self.write_packet(packet)
            self._early.clear()
        return self._begun[:2]

    def _choose_encoding(self, frame: av.VideoFrame) -> Encoding:
        stream, colours = self._reader.stream, FilmColours(frame.color_trc, frame.color_primaries)
        source = Source(stream.codec_context.name, stream.profile, frame.format, colours)
        encoding = choose_encoding(source, self._format)
        for note in (*self._reader.notes, *encoding.notes):
            self.notes.add(note)
        return encoding

    def _check_size(self, maker: FrameMaker, encoding: Encoding) -> None:
        width, height = maker.padded_size
        if max(width, height) > encoding.encoder.longest:
            raise ValueError(
                f"The output would have {width} x {height} pixels, and {encoding.encoder.codec} in "
                f"{self._format.container} has at most {encoding.encoder.longest:,} on a side; choose .webm or .avi."
            )

    def _describe(self, track: PictureTrack) -> None:
        """Everything beside the pictures: it has to be there before the first packet is."""
        reader, others, chapters = self._reader, self._reader.others, self._reader.chapters
        if self._strip:
            data = [stream for stream in others if stream.type == "data"]
            others = [stream for stream in others if stream.type != "data"]
            if data:
                self.notes.add("Data tracks, which may tell place and time, were left out.")
        else:
            describe_track(track.stream, reader.stream)
        if self._format.container == "avi" and chapters:
            self.notes.add("The avi format cannot hold chapters; they were left out.")
            chapters = []
        kept = {"chapters": bool(chapters)}
        self._tracks = open_tracks(self._container, others, self._format, self.notes, self._damage, **kept)
        metadata = {} if self._strip else reader.metadata
        describe_film(self._container, metadata, chapters, reader.shift, self._format)

    def _stamp(self, picture: Picture) -> int:
        """The frame's own time, or its place on the grid of a format with a constant rate."""
        if not self._format.constant_rate:
            return picture.pts
        slot = max(0, round(picture.pts * self._reader.time_base * self._reader.rate))
        if slot <= self._last_slot:
            self.notes.add("The frames' times were rounded to a constant rate, as the output's format has no other.")
            slot = self._last_slot + 1
        self._last_slot = slot
        return slot


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
    kept = {"compare": compare, "strip_metadata": strip_metadata}
    with replacing(path) as part:
        # FFmpeg's own errors about writing become the system's, as callers expect of a file
        try:
            with av.open(as_file(part), "w", format=form.container, container_options=options) as container:
                writer = VideoWriter(container, reader, form, journal=journal, **kept)
                yield writer
                writer.finish()
        except av.error.FFmpegError as error:
            raise OSError(error.errno, error.strerror) from error
