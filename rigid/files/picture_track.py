"""The track of a film's pictures: its encoders, one after another, and where their packets go."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.sidedata.sidedata import SideData

from rigid.files.film_formats import Encoding, Format
from rigid.files.film_frames import FrameMaker
from rigid.files.journal import Journal
from rigid.files.notes import Notes
from rigid.files.tracks import Damage
from rigid.files.video_reader import VideoReader

TOO_FEW = 2
"""Frames that no encoder reorders; of no more than these x265 gives decoding times out of memory it never wrote."""


class PictureTrack:
    """Encodes frames in order. An encoder can be emptied, so that what is written stands alone; another one follows."""

    def __init__(
        self,
        container: av.container.OutputContainer,
        reader: VideoReader,
        form: Format,
        encoding: Encoding,
        maker: FrameMaker,
        first: av.VideoFrame,
        *,
        journal: Journal | None,
        damage: Damage,
        notes: Notes,
    ) -> None:
        """`first`: the first frame as it was decoded; `journal` keeps the packets."""
        self._container, self._encoding, self._rate = container, encoding, reader.rate
        self._journal, self._damage, self._notes = journal, damage, notes
        self._last_dts: int | None = None
        self._given = 0
        """Frames that the encoder has had."""
        stream = container.add_stream(encoding.encoder.codec, rate=reader.rate, options=self._options(first))
        assert isinstance(stream, av.VideoStream)
        self.stream = stream
        own = stream.codec_context
        maker.describe(own)
        own.time_base = 1 / reader.rate if form.constant_rate else reader.time_base
        if encoding.encoder.codec == "libx265" and form.container in ("mp4", "mov"):
            own.codec_tag = "hvc1"  # without it QuickTime shows nothing
        self._encoder: av.VideoCodecContext | None = own
        """None where the next frame has to begin a new one."""

    @property
    def time_base(self) -> Fraction:
        """Seconds of a tick of the frames' times."""
        return self.stream.codec_context.time_base

    def encode(self, frame: av.VideoFrame, source: av.VideoFrame) -> None:
        """Write `frame`; `source` is the one that it was made of."""
        if self._encoder is None:
            self._encoder, self._given = self._open_another(source), 0
        self._given += 1
        self._mux(self._encoder.encode(frame))

    def replay(self, packets: Iterable[av.Packet[Any]]) -> None:
        """Write packets that the journal has; the stream's own encoder, which did not make them, is not used then."""
        self._encoder = None
        self._mux(list(packets), known=True)

    def stop(self) -> None:
        """Let the encoder give what it holds."""
        if self._encoder is None:
            return
        packets = self._encoder.encode(None)
        if self._given <= TOO_FEW:
            for packet in packets:
                packet.dts = packet.pts
        self._mux(packets)
        self._encoder = None

    def _open_another(self, source: av.VideoFrame) -> av.VideoCodecContext:
        """An encoder like the stream's own: one that was emptied takes no more."""
        own = self.stream.codec_context
        made = av.CodecContext.create(self._encoding.encoder.codec, "w")
        assert isinstance(made, av.VideoCodecContext)
        made.width, made.height, made.pix_fmt = own.width, own.height, self._encoding.pixel_format
        made.time_base, made.framerate, made.options = own.time_base, self._rate, self._options(source)
        if own.sample_aspect_ratio:
            made.sample_aspect_ratio = own.sample_aspect_ratio
        made.color_primaries, made.color_trc = own.color_primaries, own.color_trc
        made.colorspace, made.color_range = own.colorspace, own.color_range
        made.flags = own.flags
        return made

    def _mux(self, packets: list[av.Packet[Any]], *, known: bool = False) -> None:
        for packet in packets:
            packet.stream, packet.time_base = self.stream, self.time_base
            # an encoder that begins in mid-film counts its decoding times back from its first frame
            if self._last_dts is not None and packet.dts is not None and packet.dts <= self._last_dts:
                packet.dts = min(self._last_dts + 1, packet.pts if packet.pts is not None else self._last_dts + 1)
            self._last_dts = packet.dts
        if self._journal is not None and not known:
            self._journal.add(packets)
        self._damage.mux(self._container, *packets)

    def _options(self, frame: av.VideoFrame) -> dict[str, str]:
        options = dict(self._encoding.encoder.options)
        if self._encoding.profile is not None:
            options["profile"] = self._encoding.profile
        if self._encoding.encoder.codec == "libx265":
            options["x265-params"] = ":".join(["log-level=error", *_describe_light(frame)])
            if frame.side_data.get("DOVI_METADATA") is not None or frame.side_data.get("DOVI_RPU_BUFFER") is not None:
                self._notes.add("Dolby Vision's own metadata were left out; what it builds on is kept.")
            if frame.side_data.get("DYNAMIC_HDR_PLUS") is not None:
                self._notes.add("HDR10+ metadata were left out; HDR10 is kept.")
        return options


def _describe_light(frame: av.VideoFrame) -> Iterator[str]:
    """Say what the screen of an HDR10 film's maker could show and what its brightest light is, as x265 takes it."""
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
