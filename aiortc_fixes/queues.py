"""Bounds for the unbounded queues on the way to a received track."""

from __future__ import annotations

import asyncio
import queue
import re
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from aiortc import MediaStreamTrack, RTCPeerConnection, RTCRtpReceiver
from aiortc.jitterbuffer import JitterFrame

from aiortc_fixes.jitter_buffers import HELD_BACK, MarkerJitterBuffer, SoundJitterBuffer
from aiortc_fixes.layers import outlast_goodbyes, take_one_layer
from aiortc_fixes.nacks import ask_again
from aiortc_fixes.privates import RECEIVER, replace
from aiortc_fixes.sizes import is_too_large

AUDIO_PREFETCH_SECONDS = 0.02 * HELD_BACK
"""What the jitter buffer holds sound back; that of video holds nothing."""

DATAGRAMS = 1024
ENCODED = {"video": 30, "audio": 50}
DECODED = {"video": 2, "audio": 50}
ENCODED_SECONDS = 1.0
"""A frame that waits longer for its decoder, few as they may be, is not worth decoding any more."""


class NewestQueue(asyncio.Queue[Any]):
    """An `asyncio.Queue` that makes room by discarding its oldest item instead of waiting or raising."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.discarded = 0

    def put_nowait(self, item: Any) -> None:
        while self.full():
            self.get_nowait()
            self.discarded += 1
        super().put_nowait(item)

    async def put(self, item: Any) -> None:
        self.put_nowait(item)


class EncodedQueue(queue.Queue[Any]):
    """Encoded frames on their way to the decoder's thread: at most `limit`, none older than a second.

    A video frame can be decoded only after those it refers to: once one is discarded, so are all up to the next
    keyframe, and `lost` is set, upon which aiortc asks the sender for that keyframe. Those that wait then are
    discarded too, so that the keyframe does not grow old behind them.
    """

    def __init__(
        self, limit: int, lost: threading.Event, *, video: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._clock = clock
        self._times: deque[float] = deque()
        self._limit = limit
        self._lost = lost
        self._video = video
        self._broken = False
        self._oversized = False
        self.discarded = 0
        self.oversized = 0
        """Frames of pictures that are larger than is taken."""

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        if item is not None and self._is_oversized(*item):
            self.oversized += 1
            return
        if item is not None and self._is_discarded(*item):
            self.discarded += 1
            return
        super().put(item, block, timeout)

    def _put(self, item: Any) -> None:
        super()._put(item)
        self._times.append(self._clock())

    def _get(self) -> Any:
        self._times.popleft()
        return super()._get()

    def _is_oversized(self, codec: Any, frame: JitterFrame) -> bool:
        """Whether it begins pictures that are too large, or refers to one; the next keyframe would be as large."""
        if not self._video:
            return False
        if is_too_large(codec.name, frame.data):
            self._oversized = True
        elif self._oversized and is_keyframe(codec.name, frame.data):
            self._oversized = False
        return self._oversized

    def _is_discarded(self, codec: Any, frame: JitterFrame) -> bool:
        if self._is_behind():
            self._broken = self._video
            if self._video:
                self._give_up()
            return True
        if self._broken and is_keyframe(codec.name, frame.data):
            self._broken = False
        return self._broken

    def _is_behind(self) -> bool:
        with self.mutex:
            is_old = bool(self._times) and self._clock() - self._times[0] > ENCODED_SECONDS
            return len(self.queue) >= self._limit or is_old

    def _give_up(self) -> None:
        with self.mutex:
            self.discarded += len(self.queue)
            self.queue.clear()
            self._times.clear()
        self._lost.set()


def is_keyframe(codec_name: str, data: bytes) -> bool:
    """Whether an encoded picture can be decoded without those before it; True for codecs not known here."""
    if codec_name == "VP8":  # RFC 6386 section 9.1: the lowest bit of a key frame's tag is 0
        return bool(data) and not data[0] & 1
    if codec_name == "H264":  # NAL unit types 5 (IDR picture) and 7 (sequence parameters)
        return any(match[1][0] & 0x1F in (5, 7) for match in re.finditer(rb"\x00\x00\x01(.)", data, re.DOTALL))
    return True


def bound_receiver(peer: RTCPeerConnection, track: MediaStreamTrack) -> None:
    """Bound every queue that leads to `track`, and every wait; call it in the "track" event, before media flows.

    aiortc's three queues (datagrams, encoded frames, decoded frames) are unbounded: where decoding or the reader of
    the track is slower than the sender, delay and memory grow without end.
    """
    receiver = next(one for one in peer.getReceivers() if one.track is track)
    lost = getattr(receiver, f"{RECEIVER}decoder_error")
    encoded = EncodedQueue(ENCODED[track.kind], lost, video=track.kind == "video")
    replace(receiver, f"{RECEIVER}decoder_queue", encoded)
    replace(track, "_queue", NewestQueue(DECODED[track.kind]))
    if track.kind == "video":
        _empty(receiver)
        ask_again(receiver)
        take_one_layer(receiver, lambda: _empty(receiver))
    else:
        replace(receiver, f"{RECEIVER}jitter_buffer", SoundJitterBuffer(capacity=128))
        outlast_goodbyes(receiver)
    _bound_datagrams(receiver)


def _empty(receiver: RTCRtpReceiver) -> None:
    replace(receiver, f"{RECEIVER}jitter_buffer", MarkerJitterBuffer(capacity=512, is_video=True))


def count_discarded(peer: RTCPeerConnection) -> int:
    """How many video frames that came, of all that `peer` receives, were left undecoded or unread so far."""
    receivers = [one for one in peer.getReceivers() if one.track is not None and one.track.kind == "video"]
    queues = [getattr(one, f"{RECEIVER}decoder_queue") for one in receivers]
    queues += [vars(one.track)["_queue"] for one in receivers]
    return sum(one.discarded for one in queues if isinstance(one, EncodedQueue | NewestQueue))


def count_oversized(peer: RTCPeerConnection) -> int:
    """How many video frames that came were left out so far because their pictures are too large."""
    receivers = [one for one in peer.getReceivers() if one.track is not None and one.track.kind == "video"]
    queues = [getattr(one, f"{RECEIVER}decoder_queue") for one in receivers]
    return sum(one.oversized for one in queues if isinstance(one, EncodedQueue))


def _bound_datagrams(receiver: RTCRtpReceiver) -> None:
    connection = receiver.transport.transport._connection
    if not isinstance(connection._queue, NewestQueue):
        replace(connection, "_queue", NewestQueue(DATAGRAMS))
