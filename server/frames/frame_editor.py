"""One session's frames through the algorithm, on the inference threads."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from av import VideoFrame

from rigid.files.badge import Badge
from server.frames.advice import COVERED, COVERED_SHARE, advice_for
from server.frames.camera_check import PictureWatch
from server.frames.edit_timeline import SessionEdits
from server.frames.frame_arrays import from_rgb, normalised, to_rgb
from server.frames.stream_protocol import StepResult, Stream

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
    advice: frozenset[str] = frozenset()
    """What its viewer can mend, of `server.frames.advice.ADVICE`."""


@dataclass(frozen=True)
class _InHand:
    """A picture between two stages, and what is known of it so far."""

    source: VideoFrame
    arrived: float
    began: float
    seconds: float
    picture: str
    rev: int = 0
    advice: frozenset[str] = frozenset()
    work: Any = None
    """What the stream's last stage gave."""
    error: Exception | None = None


class FrameEditor:
    """Takes a session's pictures through its `Stream`; whatever fails goes through unedited.

    `stages` are called with an `Arrival` and then with what the one before gave, each for one picture at a time and in
    order; different stages may have different pictures in hand, on different threads. `deliver` is called on the
    thread of the stage that ends a picture's way.
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

    @property
    def stages(self) -> tuple[Callable[[Any], Any], ...]:
        """For a lane of the worker."""
        return self.locate, self.generate, self.finish

    def process(self, arrival: Arrival) -> None:
        """All stages, one after another."""
        begun = self.locate(arrival)
        if begun is not None:
            self.finish(self.generate(begun))

    def locate(self, arrival: Arrival) -> _InHand | None:
        """Look for the face in a picture; None where the picture has no use."""
        now = self._clock()
        pts, time_base = arrival.frame.pts, arrival.frame.time_base
        if pts is None or time_base is None or pts <= self._last_pts:
            self._deliver(Processed(None, arrival.arrived, 0, error="its time does not follow the last one's"))
            return None
        self._last_pts = pts
        try:
            source = normalised(arrival.frame)
        except ValueError as error:
            self._deliver(Processed(None, arrival.arrived, 0, error=str(error), picture="tiny_picture"))
            return None
        seconds = float(pts * time_base)
        begun = _InHand(source, arrival.arrived, self._clock(), seconds, self._watch.look(source, now))
        found = self._guarded(begun, lambda: self._stream.locate(to_rgb(source), seconds))
        if found.error is not None:
            return found
        return replace(found, advice=advice_for(source, self._stream.place(found.work)))

    def generate(self, begun: _InHand) -> _InHand:
        """The networks' part, with the strengths of the picture's time in the video."""
        values, rev = self._edits.at(begun.seconds)
        return self._guarded(replace(begun, rev=rev), lambda: self._stream.generate(begun.work, values))

    def finish(self, made: _InHand) -> None:
        """Put the picture together and deliver it."""
        done = self._guarded(made, lambda: self._shown(made))
        if done.error is None:
            self._deliver(done.work)
            return
        self._report(done.error)
        message = f"{type(done.error).__name__}: {done.error}"
        self._deliver(Processed(done.source, done.arrived, done.rev, error=message, picture=done.picture))

    @staticmethod
    def _guarded(picture: _InHand, work: Callable[[], Any]) -> _InHand:
        """`picture` with what `work` gave; after a failure, here or before, it only passes."""
        if picture.error is not None:
            return picture
        try:
            return replace(picture, work=work())
        except Exception as error:  # a viewer's call must not end because one frame of it fails
            return replace(picture, error=error)

    def _shown(self, made: _InHand) -> Processed:
        result = self._stream.blend(made.work)
        frame = self._picture(result, made.source)
        stages = {"wait": 1000 * (made.began - made.arrived), **result.stage_ms}
        advice = made.advice | {COVERED} if result.covered > COVERED_SHARE else made.advice
        return Processed(frame, made.arrived, made.rev, result.face, result.error, stages, made.picture, advice)

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
