"""The sound of a film: where it lies among the pictures, and AAC without gaps."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
from av import AudioFrame, AudioResampler
from numpy.typing import NDArray

from aiortc_fixes import AUDIO_PREFETCH_SECONDS
from server.frames.freshness import LeastDelay

RATE = 48_000
BITS = 96_000
LAYOUT = "stereo"
CHANNELS = 2
MOST_APART = RATE // 50
"""Samples that a sound may be apart from its place before silence is put in, or some of it left out."""


class Alignment:
    """Tells how far the pictures' clock is ahead of the sounds'.

    A client's sounds and pictures count time from beginnings of their own. What was made at the same moment takes the
    same way to here, so the quickest of the last seconds tell how far the two beginnings are apart.
    """

    def __init__(self) -> None:
        self._pictures, self._sounds = LeastDelay(), LeastDelay()
        self._way: float | None = None

    def picture(self, seconds: float, now: float) -> None:
        """Note a picture's own time, and when it came."""
        self._way = self._pictures.note(seconds, now)

    def sound(self, seconds: float, now: float) -> float | None:
        """Note a sound's own time, and that it came now; what makes that time one of the pictures' clock.

        None before a picture.
        """
        # aiortc gives a sound out later than it came.
        way = self._sounds.note(seconds, now - AUDIO_PREFETCH_SECONDS)
        return None if self._way is None else way - self._way


class Soundtrack:
    """The sound of one film while it is written, from the film's begin on; one thread at a time."""

    def __init__(self, container: av.container.OutputContainer) -> None:
        """Adds a stream to `container`, before anything was written to it."""
        self._stream = container.add_stream("aac", rate=RATE, layout=LAYOUT)
        self._stream.codec_context.bit_rate = BITS
        self._written = 0
        self._kind: tuple[str, str, int] | None = None
        self._resampler: AudioResampler | None = None

    def add(self, frame: AudioFrame, seconds: float) -> list[av.Packet[av.AudioStream]]:
        """The packets of a sound that begins at `seconds` of the film; what lies before its begin is left out."""
        samples = np.concatenate(list(self._resample(frame)) or [_silence(0)])
        apart = round(seconds * RATE) - self._written
        if abs(apart) > MOST_APART or not self._written:
            samples = np.concatenate([_silence(max(0, apart)), samples[max(0, -apart) :]])
        return self._encode(samples)

    def close(self, seconds: float) -> list[av.Packet[av.AudioStream]]:
        """The last packets; the sound goes on, silent, to `seconds`."""
        rest = self._encode(_silence(max(0, round(seconds * RATE) - self._written)))
        return rest + self._stream.encode(None)

    def _resample(self, frame: AudioFrame) -> Iterator[NDArray[np.int16]]:
        """The samples as int16 (N, 2) at 48 kHz."""
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._resampler is None or kind != self._kind:
            self._resampler, self._kind = AudioResampler("s16", LAYOUT, RATE), kind
        # A copy without a time: the frame itself is being sent too, and the samples written so far are the clock here.
        plain = AudioFrame.from_ndarray(frame.to_ndarray(), format=kind[0], layout=kind[1])
        plain.sample_rate = frame.sample_rate
        for one in self._resampler.resample(plain):
            yield one.to_ndarray().astype(np.int16, copy=False).reshape(-1, CHANNELS)

    def _encode(self, samples: NDArray[np.int16]) -> list[av.Packet[av.AudioStream]]:
        if not len(samples):
            return []
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples).reshape(1, -1), format="s16", layout=LAYOUT)
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._written, Fraction(1, RATE)
        self._written += len(samples)
        return self._stream.encode(frame)


def _silence(samples: int) -> NDArray[np.int16]:
    return np.zeros((samples, CHANNELS), np.int16)
