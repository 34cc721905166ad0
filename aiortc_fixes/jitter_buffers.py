"""Packets put in order, and given out no later than they must be."""

from __future__ import annotations

from typing import Any

from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.utils import uint16_add

HELD_BACK = 4
"""Packets of sound that wait for one that comes late, as many as in aiortc where nothing was lost."""


class MarkerJitterBuffer(JitterBuffer):
    """A video jitter buffer that hands a frame out with its last packet.

    aiortc waits for the first packet of the next frame, which costs one frame's time; the marker bit says that a
    packet is a frame's last (RFC 7741 section 4.1, RFC 6184 section 5.1).
    """

    def _remove_frame(self, sequence_number: int) -> JitterFrame | None:
        frame = super()._remove_frame(sequence_number)
        return frame if frame is not None else self._remove_marked()

    def _remove_marked(self) -> JitterFrame | None:
        packets: list[Any] = []
        assert self._origin is not None
        for count in range(self.capacity):
            packet: Any = self._packets[(self._origin + count) % self.capacity]
            if packet is None or (packets and packet.timestamp != packets[0].timestamp):
                return None
            packets.append(packet)
            if packet.marker:
                self.remove(len(packets))
                return JitterFrame(data=b"".join(one._data for one in packets), timestamp=packet.timestamp)
        return None


class SoundJitterBuffer(JitterBuffer):
    """A jitter buffer for sound, of which each packet is a frame, that holds the same time back whatever is lost.

    aiortc waits for a lost packet until its buffer is full, and from then on gives out one packet for each that comes:
    all sound is a fifth of a second later, for good.
    """

    def _remove_frame(self, sequence_number: int) -> JitterFrame | None:
        assert self._origin is not None
        while uint16_add(sequence_number, -self._origin) >= HELD_BACK:
            packet: Any = self._packets[self._origin % self.capacity]
            self.remove(1)
            if packet is not None:
                return JitterFrame(data=packet._data, timestamp=packet.timestamp)
        return None
