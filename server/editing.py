"""One session's frames through the algorithm, on the inference thread."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from av import VideoFrame

from server.badge import Badge
from server.edits import SessionEdits
from server.frames import from_rgb, normalised, to_rgb
from server.scene import PictureWatch
from server.stream import StepResult, Stream

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Arrival:
    """A decoded picture and when it came."""

    frame: VideoFrame
    arrived: float


@dataclass(frozen=True)
class Processed:
    """A picture to send, None where it has no use, and what is known of it."""

    frame: VideoFrame | None
    arrived: float
    rev: int
    """The newest revision of the edits that it uses; 0 where it uses none."""
    face: bool = False
    error: str | None = None
    stage_ms: Mapping[str, float] = field(default_factory=dict)
    picture: str = ""
    """What is wrong with the camera's picture, as `Health.picture` names it."""


class FrameEditor:
    """Takes a session's pictures through its `Stream`; whatever fails goes through unedited.

    `deliver` is called on the same thread with each outcome.
    """

    def __init__(
        self,
        stream: Stream,
        edits: SessionEdits,
        deliver: Callable[[Processed], None],
        clock: Callable[[], float] = time.monotonic,
        badge: Badge | None = None,
    ) -> None:
        self._stream = stream
        self._badge = badge
        self._edits = edits
        self._deliver = deliver
        self._clock = clock
        self._watch = PictureWatch()
        self._last_pts = -1
        self._reported = False

    def process(self, arrival: Arrival) -> None:
        """Edit one picture with the strengths of its time in the video."""
        now = self._clock()
        pts, time_base = arrival.frame.pts, arrival.frame.time_base
        if pts is None or time_base is None or pts <= self._last_pts:
            self._deliver(Processed(None, arrival.arrived, 0, error="its time does not follow the last one's"))
            return
        self._last_pts = pts
        try:
            source = normalised(arrival.frame)
        except ValueError as error:
            self._deliver(Processed(None, arrival.arrived, 0, error=str(error), picture="tiny_picture"))
            return
        picture = self._watch.look(source, now)
        self._deliver(replace(self._edited(source, arrival.arrived, float(pts * time_base)), picture=picture))

    def _edited(self, source: VideoFrame, arrived: float, seconds: float) -> Processed:
        began = self._clock()
        values, rev = self._edits.at(seconds)
        try:
            result = self._stream.step(to_rgb(source), values, seconds)
            frame = self._picture(result, source)
        except Exception as error:  # a viewer's call must not end because one frame of it fails
            self._report(error)
            return Processed(source, arrived, rev, error=f"{type(error).__name__}: {error}")
        stages = {"wait": 1000 * (began - arrived), **result.stage_ms}
        return Processed(frame, arrived, rev, result.face, result.error, stages)

    def _picture(self, result: StepResult, source: VideoFrame) -> VideoFrame:
        # What was not edited is sent as it came, without a way there and back through RGB.
        if not result.edited:
            return source
        frame = result.frame if self._badge is None else self._badge.stamp(result.frame)
        return from_rgb(frame, source)

    def _report(self, error: Exception) -> None:
        if not self._reported:
            self._reported = True
            logger.error("A frame goes through unedited; further ones of this session are only counted", exc_info=error)
