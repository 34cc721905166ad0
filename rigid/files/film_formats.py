"""The kinds of film that are written, by the ends of their names, and which encoder keeps most of a source."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import av

from rigid.files.film_colours import FilmColours
from rigid.files.planes import steps_of


@dataclass(frozen=True)
class Encoder:
    """A codec as it is used here."""

    codec: str
    pixel_formats: tuple[str, ...]
    """What it may be given, the most compatible one first."""
    options: dict[str, str] = field(default_factory=dict)
    longest: int = 16_384
    """Pixels that a side may have at most."""


@dataclass(frozen=True)
class Format:
    """How one kind of file is written."""

    container: str
    usual: Encoder
    """What encodes 8 bits without transparency."""
    audio_codec: str
    """What sound becomes where it cannot be copied."""
    deep: Encoder | None = None
    """What encodes more than 8 bits."""
    clear: Encoder | None = None
    """What encodes transparency."""
    text_codec: str | None = None
    """What subtitles that are text become where they cannot be copied."""
    container_options: dict[str, str] = field(default_factory=dict)
    even_size: bool = False
    """Whether width and height must be even."""
    full_range: bool = False
    """Whether it is always read as full range and BT.601, with no word of its colours, as Motion JPEG is."""
    constant_rate: bool = False
    """Whether frames can only lie on a fixed grid of times."""


_FAST = {"crf": "18", "preset": "veryfast"}
_H264 = Encoder("libx264", ("yuv420p",), _FAST)
_H264_ALL = replace(_H264, pixel_formats=("yuv420p", "yuv422p", "yuv444p"))
_H265 = Encoder(
    "libx265",
    tuple(f"yuv{chroma}p{bits}le" for bits in (10, 12) for chroma in (420, 422, 444)),
    {"crf": "15", "preset": "veryfast"},
)
_PRORES = Encoder("prores_ks", ("yuv422p10le", "yuv444p10le"), {"vendor": "apl0"}, longest=65_534)
_PRORES_CLEAR = replace(_PRORES, pixel_formats=("yuva444p10le",))
_VP9 = Encoder("libvpx-vp9", ("yuv420p",), {"crf": "24", "b": "0", "cpu-used": "5", "row-mt": "1"}, longest=65_534)
_VP9_CLEAR = replace(_VP9, pixel_formats=("yuva420p",), options=_VP9.options | {"auto-alt-ref": "0"})
_AV1 = Encoder("libsvtav1", ("yuv420p10le",), {"crf": "24", "preset": "9", "svtav1-params": "enable-overlays=0"})
_MP4 = Format("mp4", _H264, "aac", _H265, None, "mov_text", {"movflags": "+faststart"}, even_size=True)
_MOV = replace(_MP4, container="mov", clear=_PRORES_CLEAR)
FORMATS = {
    ".mp4": _MP4,
    ".m4v": _MP4,
    ".mov": _MOV,
    ".mkv": Format("matroska", _H264_ALL, "aac", _H265, _VP9_CLEAR, "subrip", even_size=True),
    ".webm": Format("webm", _VP9, "libopus", _AV1, _VP9_CLEAR, "webvtt"),
    ".avi": Format(
        "avi",
        Encoder("mjpeg", ("yuvj420p", "yuvj422p", "yuvj444p"), {"qmin": "2", "qmax": "2"}, longest=65_500),
        "libmp3lame",
        full_range=True,
        constant_rate=True,
    ),
}
"""The formats by the output's extension, in lower case."""
VIDEO_SUFFIXES = (
    *FORMATS,
    *(".ts", ".mts", ".m2ts", ".wmv", ".asf", ".flv", ".f4v", ".mpg", ".mpeg", ".vob", ".3gp", ".3g2", ".ogv", ".qt"),
    *(".mxf", ".dv", ".nut", ".y4m", ".h264", ".264", ".h265", ".hevc", ".265", ".ivf", ".mjpeg", ".mjpg"),
)
"""What counts as a video in a folder; the ones that are not written become .mp4."""
PRORES_PROFILES = {"Proxy": "0", "LT": "1", "Standard": "2", "HQ": "3", "4444": "4", "XQ": "5"}


@dataclass(frozen=True)
class Source:
    """What a film is made of, as its first frame shows."""

    codec: str
    profile: str | None
    form: av.VideoFormat
    colours: FilmColours

    @property
    def bits(self) -> int:
        """The bits of each channel."""
        return max(part.bits for part in self.form.components)

    @property
    def has_alpha(self) -> bool:
        """Whether it may be transparent."""
        return any(part.is_alpha for part in self.form.components)

    @property
    def steps(self) -> tuple[int, int]:
        """How many rows and columns of luma share one of chroma; those of 4:2:0 where it is grey."""
        return steps_of(self.form) if len(self.form.components) > 2 and not self.form.is_rgb else (2, 2)


@dataclass(frozen=True)
class Encoding:
    """How a film will be encoded."""

    encoder: Encoder
    pixel_format: str
    profile: str | None
    """A ProRes profile's number."""
    in_own_colours: bool
    """Whether transfer and primaries stay; else the film becomes what a screen shows, in BT.709."""
    notes: tuple[str, ...]


def choose_encoding(source: Source, form: Format) -> Encoding:
    """What of the format's encoders keeps most of `source`: transparency, then bits, then chroma."""
    notes: list[str] = []
    encoder, profile = form.usual, None
    prores = source.codec == "prores" and form.container in ("mov", "matroska")
    if source.has_alpha and form.clear is not None:
        encoder = form.clear
    elif prores:
        encoder = _PRORES
    elif source.bits > 8 and form.deep is not None:
        encoder = form.deep
    if encoder is _PRORES or encoder is _PRORES_CLEAR:
        profile = PRORES_PROFILES.get(source.profile or "") if prores else None
        profile = profile or ("4" if encoder is _PRORES_CLEAR else "3")
    chosen = _closest(source, encoder)
    bits = av.VideoFormat(chosen).components[0].bits
    if bits < source.bits:
        notes.append(f"The film has {source.bits} bits a channel; it was rounded to {bits}, as the output has no more.")
    if steps_of(av.VideoFormat(chosen)) > source.steps and not source.form.is_rgb:
        notes.append(
            f"The colours' resolution was halved ({_chroma(source.form)} to {_chroma(av.VideoFormat(chosen))})."
        )
    plain = source.colours.is_plain or not form.full_range
    if not plain:
        what = "HDR" if source.colours.is_hdr else "a wide gamut"
        notes.append(f"The film has {what}, which {form.container} cannot say; it was converted to BT.709.")
    return Encoding(encoder, chosen, profile, plain, tuple(notes))


def _closest(source: Source, encoder: Encoder) -> str:
    """The pixel format that loses least: no bits where possible, then no chroma, and nothing more than needed."""

    def loss(name: str) -> tuple[int, bool, int, int]:
        form = av.VideoFormat(name)
        bits, steps = form.components[0].bits, steps_of(form)
        return max(0, source.bits - bits), steps > source.steps, bits, -(steps[0] * steps[1])

    return min(encoder.pixel_formats, key=loss)


def _chroma(form: av.VideoFormat) -> str:
    return {(1, 1): "4:4:4", (1, 2): "4:2:2", (2, 2): "4:2:0", (1, 4): "4:1:1"}.get(steps_of(form), "another layout")
