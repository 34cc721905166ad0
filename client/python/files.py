"""A video file through a server, frame by frame."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from client.python.shapes import Picture, letterbox, upright
from client.python.sync import Client

logger = logging.getLogger(__name__)

Progress = Callable[[int, int | None], None]
QUALITY = "18"
TICKS = Fraction(1, 90_000)


@dataclass(frozen=True)
class FileReport:
    """What became of a file."""

    frames: int
    seconds: float
    """Of the video."""


def edit_file(source: Path, target: Path, client: Client, progress: Progress = lambda done, total: None) -> FileReport:
    """Send every frame of `source` through `client` and write them, with the sound, to `target`.

    ValueError: `source` is no video. The picture goes through a video codec twice on its way; for files on the
    server's own machine `rigid-live edit` spares it that.
    """
    part = target.with_name(f".{os.getpid()}.part{target.suffix}")
    try:
        with _open(source) as container, av.open(f"file:{part}", "w", options={"movflags": "faststart"}) as output:
            report = _transfer(container, output, client, progress)
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
    return report


def _open(source: Path) -> InputContainer:
    try:
        container = av.open(f"file:{source}")  # a file whatever it is called, no protocol
    except (FFmpegError, OSError) as error:
        raise ValueError(f"{source} cannot be read as a video: {error.strerror or error}.") from error
    if not container.streams.video:
        container.close()
        raise ValueError(f"{source} has no picture.")
    return container


def _transfer(container: InputContainer, output: OutputContainer, client: Client, progress: Progress) -> FileReport:
    pictures = container.streams.video[0]
    sounds: AudioStream | None = container.streams.audio[0] if container.streams.audio else None
    kept = None if sounds is None else output.add_stream_from_template(sounds)
    film: VideoStream | None = None
    early: list[av.Packet[Any]] = []
    frames, last = 0, 0.0
    for packet in container.demux([one for one in (pictures, sounds) if one is not None]):
        if packet.stream.type == "audio" and kept is not None:
            if packet.dts is not None:
                packet.stream = kept
                early.append(packet)
        else:
            for frame in packet.decode():
                assert isinstance(frame, av.VideoFrame)
                last = float(frame.time or 0.0)
                picture = upright(frame)
                edited = client.process(picture, last)
                if film is None and edited.shape != picture.shape:
                    logger.warning("The server reduces the film's pictures to %dx%d.", *edited.shape[1::-1])
                film = film or _film(output, edited, pictures.average_rate)
                _write(output, film, letterbox(edited, film.width, film.height), last)
                frames += 1
                progress(frames, pictures.frames or None)
        if film is not None:  # a file's beginning names all its streams
            output.mux(early)
            early.clear()
    if film is None:
        raise ValueError("The video has no frames.")
    output.mux(film.encode())
    return FileReport(frames, last)


def _film(output: OutputContainer, picture: Picture, rate: Fraction | None) -> VideoStream:
    film = output.add_stream("libx264", rate=rate or 30, options={"crf": QUALITY})
    film.height, film.width = picture.shape[:2]
    film.pix_fmt = "yuv420p"
    film.time_base = film.codec_context.time_base = TICKS
    return film


def _write(output: OutputContainer, film: VideoStream, picture: Picture, seconds: float) -> None:
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
    frame.pts, frame.time_base = round(seconds / TICKS), TICKS
    output.mux(film.encode(frame))
