"""Frames that are encoded behind the ones in hand, on a thread of their own."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import av

from rigid.files.badge import Badge
from rigid.files.edit_report import EditReport
from rigid.files.video_reader import Picture
from rigid.files.video_writer import VideoWriter
from rigid.stream.face_stream import StepResult

MOST_WAITING = 4
"""Frames that wait to be encoded before the next one has to wait, too."""


class EncodingThread:
    """Writes what is done, in order, a few frames behind. Use it as a context manager."""

    def __init__(self, writer: VideoWriter, report: EditReport, badge: Badge) -> None:
        self._writer, self._report, self._badge = writer, report, badge
        self._thread = ThreadPoolExecutor(1, "encode")
        self._waiting: deque[Future[float]] = deque()

    def __enter__(self) -> EncodingThread:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    def add(self, packets: list[av.Packet[Any]], picture: Picture, result: StepResult) -> None:
        """Write the packets that come before a picture, and what became of it; waits where too many wait already."""
        self._report.add(result)
        self._report.stages["decode"].append(picture.decode_ms)
        self._waiting.append(self._thread.submit(self._write, packets, picture, result))
        self._wait_for_all_but(MOST_WAITING)

    def wait(self) -> None:
        """Wait until all is written; raises what went wrong."""
        self._wait_for_all_but(0)

    def _wait_for_all_but(self, count: int) -> None:
        while len(self._waiting) > count:
            self._report.stages["encode"].append(self._waiting.popleft().result())

    def _write(self, packets: list[av.Packet[Any]], picture: Picture, result: StepResult) -> float:
        for packet in packets:
            self._writer.write_packet(packet)
        return self._writer.write(self._badge.stamp_edited(result), picture)
