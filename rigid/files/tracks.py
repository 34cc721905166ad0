"""What a film has beside its pictures: sound, subtitles, data, attachments, chapters and what it says of itself."""

from __future__ import annotations

import io
from collections.abc import Iterable
from fractions import Fraction
from typing import Any, Protocol, TypeAlias

import av
from av.container.output import OutputContainer
from av.stream import AttachmentStream, Disposition, Stream
from av.subtitles.codeccontext import SubtitleCodecContext

from rigid.files.film_formats import Format

# fmt: off
PACKING = frozenset([
    "encoder", "major_brand", "minor_version", "compatible_brands", "duration", "rotate", "vendor_id", "bps",
    "number_of_frames", "number_of_bytes", "alpha_mode", "encoding_tool",
])
# fmt: on
"""Words about how a file was packed, not about what it holds."""
PLACE = "com.apple.quicktime.location.ISO6709"
# fmt: off
STANDARD = frozenset([
    "title", "artist", "album_artist", "album", "date", "comment", "genre", "copyright", "description", "synopsis",
    "lyrics", "show", "episode_id", "network", "keywords", "composer", "grouping", "location", "creation_time",
    "track", "disc", "make", "model", "timecode", "language", "handler_name",
])
# fmt: on
"""Words for which an MP4 has atoms of its own; others need the atoms of QuickTime's metadata."""
LAYOUTS = dict(enumerate(("mono", "stereo", "2.1", "4.0", "5.0", "5.1", "6.1", "7.1"), 1))
"""Where channels are heard of which only the number is told, as of PCM in AVI and MXF; as FFmpeg has it."""
Packet: TypeAlias = "av.Packet[Any]"


class Damage:
    """Packets so damaged that no file can hold them."""

    def __init__(self) -> None:
        self.count = 0
        """How many were left out."""

    def mux(self, container: OutputContainer, *packets: Packet) -> None:
        """Write the packets; what the format refuses is counted and left out. A full disk is still an error."""
        for packet in packets:
            try:
                container.mux_one(packet)
            except (av.error.InvalidDataError, av.error.ArgumentError):
                self.count += 1


class Track(Protocol):
    """Where the packets of one of the source's streams go."""

    def write(self, packet: Packet) -> None:
        """Add a packet."""

    def finish(self) -> None:
        """Write what is held back."""


def portable(metadata: dict[str, str]) -> dict[str, str]:
    """What is said about the content."""
    return {
        key: value
        for key, value in metadata.items()
        if key.lower().partition("-")[0] not in PACKING and not key.startswith("_STATISTICS")
    }


def describe_film(
    container: OutputContainer, metadata: dict[str, str], chapters: list[Any], shift: Fraction, form: Format
) -> None:
    """Write what the film says of itself, and its chapters, which begin `shift` seconds earlier than they say."""
    said = portable(metadata)
    if PLACE in said and form.container in ("mp4", "mov"):
        said.setdefault("location", said[PLACE])
    container.metadata.update(said)
    if chapters:
        container.set_chapters([_earlier(chapter, shift) for chapter in chapters])


def needs_own_words(metadata: dict[str, str], form: Format) -> bool:
    """Whether an MP4 loses some of these words unless it is told to write QuickTime's metadata."""
    return form.container in ("mp4", "mov") and any(key.lower() not in STANDARD for key in portable(metadata))


def _earlier(chapter: Any, shift: Fraction) -> Any:
    base = chapter["time_base"] or Fraction(1, av.time_base)
    ticks = round(shift / base)
    return chapter | {"start": max(0, chapter["start"] - ticks), "end": max(0, chapter["end"] - ticks)}


def open_tracks(
    container: OutputContainer,
    sources: Iterable[Stream],
    form: Format,
    notes: list[str],
    damage: Damage,
    *,
    chapters: bool,
) -> dict[int, Track]:
    """A track for each of `sources` that the format can hold, by the source's index; a note for each that it cannot."""
    tracks: dict[int, Track] = {}
    for source in sources:
        if isinstance(source, AttachmentStream):
            _attach(container, source, form, notes)
        elif not (chapters and _is_chapter_text(source)):
            track = _track(container, source, form, notes, damage)
            if track is not None:
                tracks[source.index] = track
    return tracks


def describe_track(stream: Stream, source: Stream) -> None:
    """Language, title, dispositions and the like of one of the source's streams."""
    stream.metadata.update(portable(dict(source.metadata)))
    stream.disposition = source.disposition


def _is_chapter_text(source: Stream) -> bool:
    """The track in which an MP4 keeps the names of its chapters."""
    return source.type == "data" and source.codec_context is None and _tag(source) == "text"


def _tag(source: Stream) -> str:
    try:
        return str(source.codec_tag).strip("\0")
    except (AttributeError, UnicodeDecodeError):
        return ""


def _attach(container: OutputContainer, source: AttachmentStream, form: Format, notes: list[str]) -> None:
    name = source.metadata.get("filename", "attachment")
    if form.container != "matroska":
        notes.append(f"The {form.container} format cannot hold attachments; {name} was left out.")
        return
    container.add_attachment(name, source.mimetype or "application/octet-stream", source.data)


def _track(container: OutputContainer, source: Stream, form: Format, notes: list[str], damage: Damage) -> Track | None:
    name = _name(source)
    if _can_hold(form, source):
        if source.type == "video":
            cover = Disposition.attached_pic in Disposition(int(source.disposition))
            what = "cover picture" if cover else "further video track"
            notes.append(f"A {what} was copied as it is, unedited.")
        return _Copied(container, source, damage)
    if source.type == "audio" and source.codec_context is not None:
        notes.append(
            f"The {form.container} format cannot hold {name} audio, so it was encoded anew as {form.audio_codec}."
        )
        return _Transcoded(container, source, form.audio_codec, damage)
    if source.type == "subtitle" and form.text_codec is not None and _is_text(source):
        notes.append(
            f"The {form.container} format cannot hold {name} subtitles, so they were converted to {form.text_codec}."
        )
        return _Reworded(container, source, form.text_codec, damage)
    kind = {"data": "data", "subtitle": "subtitles", "audio": "audio", "video": "video"}.get(source.type, "tracks")
    notes.append(f"The {form.container} format cannot hold {name} {kind}; track {source.index} was left out.")
    return None


def _name(source: Stream) -> str:
    if source.codec_context is None:
        return source.metadata.get("handler_name", "").strip() or _tag(source) or "unknown"
    return source.codec_context.codec.canonical_name


def _is_text(source: Stream) -> bool:
    names = ("subrip", "srt", "ass", "ssa", "webvtt", "mov_text", "text", "microdvd", "subviewer", "sami", "realtext")
    return source.codec_context is not None and source.codec_context.name in names


def _add(container: OutputContainer, source: Stream) -> Stream:
    made = container.add_stream_from_template(source, opaque=True)
    describe_track(made, source)
    if isinstance(made, av.AudioStream) and _is_unplaced(made) and made.channels in LAYOUTS:
        made.codec_context.layout = LAYOUTS[made.channels]  # an mp4 takes no channels without their places
    return made


def _is_unplaced(sound: av.AudioStream) -> bool:
    return sound.codec_context is not None and sound.layout.name.endswith(" channels")


def _can_hold(form: Format, source: Stream) -> bool:
    """Whether the format takes the track as it is: tried, as the lists of what a format supports are not exact."""
    if form.container == "avi" and source.type not in ("audio",):
        return False
    try:
        with av.open(io.BytesIO(), "w", format=form.container) as trial:
            made = _add(trial, source)
            if isinstance(made, av.AudioStream) and form.container in ("mp4", "mov") and _is_unplaced(made):
                return False
            trial.start_encoding()
    except (ValueError, av.error.FFmpegError):
        return False
    return True


class _Copied:
    """A track whose packets pass on as they are."""

    def __init__(self, container: OutputContainer, source: Stream, damage: Damage) -> None:
        self._container = container
        self._damage = damage
        self._stream = _add(container, source)
        self._last: Fraction | None = None

    def write(self, packet: Packet) -> None:
        packet.stream = self._stream
        if packet.dts is not None:
            dts = packet.dts * packet.time_base
            if self._last is not None and dts <= self._last:
                # a muxer takes packets in order alone; where a damaged one goes back, it is not heard in a player
                self._damage.count += 1
                return
            self._last = dts
        self._damage.mux(self._container, packet)

    def finish(self) -> None:
        """Nothing is held back."""


class _Transcoded:
    """Sound that is decoded and encoded anew."""

    def __init__(self, container: OutputContainer, source: Stream, codec_name: str, damage: Damage) -> None:
        assert isinstance(source, av.AudioStream)
        self._damage = damage
        self._container = container
        rates = av.Codec(codec_name, "w").audio_rates or [source.rate]
        rate = source.rate if source.rate in rates else 48000
        stream = container.add_stream(codec_name, rate=rate, bit_rate=160_000)
        assert isinstance(stream, av.AudioStream)
        stream.codec_context.layout = "mono" if source.channels == 1 else "stereo"
        describe_track(stream, source)
        self._stream = stream
        self._source = source

    def write(self, packet: Packet | None) -> None:
        try:
            frames = self._source.decode(packet)
        except av.error.FFmpegError:
            self._damage.count += 1  # a damaged stretch of sound is a gap, as in a player
            return
        for frame in frames:
            try:
                packets = self._stream.encode(frame)
            except (av.error.InvalidDataError, av.error.ArgumentError):
                self._damage.count += 1  # a damaged head may tell of another kind of sound from here on
            else:
                self._damage.mux(self._container, *packets)

    def finish(self) -> None:
        self.write(None)
        self._container.mux(self._stream.encode(None))


class _Reworded:
    """Subtitles that are text, in another form."""

    def __init__(self, container: OutputContainer, source: Stream, codec_name: str, damage: Damage) -> None:
        self._damage = damage
        assert isinstance(source.codec_context, SubtitleCodecContext)
        self._container = container
        self._decoder = source.codec_context
        self._decoder.open(strict=False)
        stream = container.add_stream(codec_name)
        assert isinstance(stream.codec_context, SubtitleCodecContext)
        self._encoder = stream.codec_context
        self._encoder.subtitle_header = self._decoder.subtitle_header
        stream.time_base = self._encoder.time_base = Fraction(1, 1000)
        describe_track(stream, source)
        self._stream: Stream = stream

    def write(self, packet: Packet) -> None:
        try:
            shown = self._decoder.decode2(packet)
        except av.error.FFmpegError:
            self._damage.count += 1  # a damaged line is left out, as in a player
            return
        if shown is None or packet.pts is None:
            return
        made = self._encoder.encode_subtitle(shown)
        made.stream, made.time_base = self._stream, packet.time_base
        made.pts = made.dts = packet.pts
        made.duration = packet.duration
        self._damage.mux(self._container, made)

    def finish(self) -> None:
        """Nothing is held back."""
