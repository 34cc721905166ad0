"""Tiny video files made by hand: every frame shows its number, with sound, any frame times, any format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from rigid.arrays import Pixels

SIZE = (96, 64)
"""Width and height."""
BITS = 6
TICK = Fraction(1, 1000)
SOUND_RATE = 48000


def numbered(number: int, size: tuple[int, int] = SIZE) -> Pixels:
    """A grey picture with `number` in black and white blocks along its top."""
    width, height = size
    picture = np.full((height, width, 3), 128, np.uint8)
    for bit in range(BITS):
        picture[: height // 2, bit * width // BITS : (bit + 1) * width // BITS] = 255 * (number >> bit & 1)
    return picture


def number_in(picture: Pixels) -> int:
    """The number that a picture made by `numbered`, decoded again, shows."""
    height, width = picture.shape[:2]
    centres = (2 * np.arange(BITS) + 1) * width // (2 * BITS)
    return sum(int(picture[height // 4, x].mean() > 128) << bit for bit, x in enumerate(centres))


def write_clip(
    path: Path,
    stamps: Sequence[int] = tuple(range(0, 480, 40)),
    *,
    codec: str = "libx264",
    sound: str | None = "aac",
    size: tuple[int, int] = SIZE,
    picture: Callable[[int, tuple[int, int]], Pixels] = numbered,
    rate: int = 25,
    turn: float = 0.0,
    pixel_format: str = "yuv420p",
    start: int = 0,
) -> Path:
    """A clip whose frames are shown at `stamps` milliseconds; `turn` degrees are asked for in its metadata.

    `start`: milliseconds by which all its times are late.
    """
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=rate)
        assert isinstance(video, av.VideoStream)
        video.width, video.height, video.pix_fmt = *size, pixel_format
        video.codec_context.time_base = Fraction(1, rate) if path.suffix == ".avi" else TICK
        if codec == "libx264":
            video.options = {"crf": "10"}
        if turn:
            video.set_display_rotation(turn)
        audio = _sound_stream(container, sound)
        for number, stamp in enumerate(stamps):
            frame = av.VideoFrame.from_ndarray(picture(number, size), format="rgb24")
            frame.pts, frame.time_base = start + stamp, TICK
            if path.suffix == ".avi":
                frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None:
            _write_tone(container, audio, start / 1000, seconds=(stamps[-1] + 40) / 1000)
    return path


def _sound_stream(container: av.container.OutputContainer, codec: str | None) -> av.AudioStream | None:
    if codec is None:
        return None
    audio = container.add_stream(codec, rate=SOUND_RATE)
    assert isinstance(audio, av.AudioStream)
    audio.codec_context.layout = "mono"
    return audio


def _write_tone(container: av.container.OutputContainer, audio: av.AudioStream, start: float, seconds: float) -> None:
    samples = int(seconds * SOUND_RATE)
    tone = np.sin(np.arange(samples) * 2 * np.pi * 440 / SOUND_RATE).astype(np.float32)[None] / 4
    frame = av.AudioFrame.from_ndarray(tone, format="flt", layout="mono")
    frame.rate, frame.pts = SOUND_RATE, round(start * SOUND_RATE)
    frame.time_base = Fraction(1, SOUND_RATE)
    container.mux(audio.encode(frame))
    container.mux(audio.encode(None))


def frames_of(path: Path) -> list[tuple[Fraction, Pixels]]:
    """Every frame of a file: its time in seconds and its picture, as an independent reader sees them."""
    with av.open(str(path)) as container:
        return [
            (frame.pts * frame.time_base, np.asarray(frame.to_ndarray(format="rgb24"), np.uint8))
            for frame in container.decode(video=0)
            if frame.pts is not None and frame.time_base is not None
        ]


def audio_packets(path: Path) -> list[bytes]:
    """The bytes of every audio packet of a file."""
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


def audio_times(path: Path) -> list[float]:
    """The seconds at which every audio packet of a file is heard."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(audio=0) if packet.size]
        return [float((packet.pts or 0) * packet.time_base) for packet in packets]
