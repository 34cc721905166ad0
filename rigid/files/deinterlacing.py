"""Interlaced frames made progressive."""

from __future__ import annotations

from fractions import Fraction

import av
import av.filter


class Deinterlacer:
    """Passes progressive frames on as they are, and makes interlaced ones progressive at their own times."""

    def __init__(self) -> None:
        self._graph: av.filter.Graph | None = None
        self._shape: tuple[int, int, str] | None = None

    def push(self, frame: av.VideoFrame) -> list[av.VideoFrame]:
        """A frame in, and those that are ready out."""
        if self._graph is None and not frame.interlaced_frame:
            return [frame]
        shape = (frame.width, frame.height, frame.format.name)
        before = self.flush() if shape != self._shape else []
        if self._graph is None:
            self._graph, self._shape = self._open(frame), shape
        self._graph.push(frame)
        return before + self._ready()

    def flush(self) -> list[av.VideoFrame]:
        """The frames that were held back."""
        if self._graph is None:
            return []
        self._graph.push(None)
        held = self._ready()
        self._graph = None
        return held

    def _ready(self) -> list[av.VideoFrame]:
        assert self._graph is not None
        ready: list[av.VideoFrame] = []
        while True:
            try:
                frame = self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return ready
            assert isinstance(frame, av.VideoFrame)
            if frame.pts is not None and frame.time_base:
                # the filter counts in finer ticks
                frame.pts = round(frame.pts * frame.time_base / self._base)
                frame.duration = round((frame.duration or 0) * frame.time_base / self._base)
                frame.time_base = self._base
            ready.append(frame)

    def _open(self, frame: av.VideoFrame) -> av.filter.Graph:
        graph = av.filter.Graph()
        self._base = frame.time_base or Fraction(1, 90_000)
        source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=self._base)
        bwdif, sink = graph.add("bwdif", "mode=send_frame:deint=interlaced"), graph.add("buffersink")
        source.link_to(bwdif)
        bwdif.link_to(sink)
        graph.configure()
        return graph
