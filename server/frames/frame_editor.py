"""One session's frames through the algorithm, on the inference threads."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from av import VideoFrame

from rigid.files.badge import Badge
from rigid.stream.face_stream import StepResult
from rigid.stream.frame_record import FrameRecord, Guardable, guard
from server.frames.advice import COVERED, COVERED_SHARE, advice_for
from server.frames.camera_check import CameraCheck
from server.frames.edit_timeline import SessionEdits
from server.frames.frame_arrays import from_rgb, normalise, to_rgb
from server.frames.seen_faces import SeenFace, faces_of
from server.frames.stream_protocol import Stream

logger = logging.getLogger(__name__)


HURRIED_AFTER = 0.01
"""A picture that had to wait so many seconds came faster than they are made: the next one will soon be there."""


@dataclass(frozen=True, eq=False, kw_only=True)
class SessionFrame(Guardable):
    """A picture on its way through a session, and what is known of it so far."""

    source: VideoFrame
    """As it was decoded, then as it can be encoded again."""
    arrived: float
    """When it came, and when its first stage began, seconds of the server's clock."""
    began: float = 0.0
    located: float = 0.0
    """When its first stage was done."""
    seconds: float = 0.0
    """Its time in the video."""
    camera: str = ""
    """What is wrong with the camera's picture, as `Health.picture` names it."""
    advice: frozenset[str] = frozenset()
    """What its viewer can mend, of `server.frames.advice.ADVICE`."""
    rev: int = 0
    """The newest revision of the edits that it uses; 0 where it uses none."""
    record: FrameRecord | None = None
    """What the stream's stages know of it."""
    shown: VideoFrame | None = None
    """The picture to send, None where it has no use."""
    face: bool = False
    """Whether one was found."""
    faces: tuple[SeenFace, ...] = ()
    """Which, and where."""
    reused: bool = False
    """Whether it shows faces that were made for the picture before."""
    error: str | None = None
    """Why it goes out unedited, or not at all."""
    stage_ms: Mapping[str, float] = field(default_factory=dict)


class FrameEditor:
    """Takes a session's pictures through its `Stream`; whatever fails goes through unedited.

    `stages` are called one after another with what the one before gave, each for one picture at a time and in order;
    different stages may have different pictures in hand, on different threads. `deliver` is called on the thread of the
    stage that ends a picture's way.
    """

    def __init__(
        self,
        stream: Stream,
        edits: SessionEdits,
        deliver: Callable[[SessionFrame], None],
        clock: Callable[[], float] = time.monotonic,
        badge: Badge | None = None,
    ) -> None:
        self._stream = stream
        self._badge = badge
        self._edits = edits
        self._deliver = deliver
        self._clock = clock
        self._watch = CameraCheck()
        self._last_pts = -1
        self._reported = False

    @property
    def stages(self) -> tuple[Callable[[SessionFrame], SessionFrame | None], ...]:
        """The stages for a lane of the worker."""
        return self.locate, self.generate, self.finish

    def process(self, arrived: SessionFrame) -> None:
        """Run all stages, one after another."""
        begun = self.locate(arrived)
        if begun is not None:
            self.finish(self.generate(begun))

    def locate(self, arrived: SessionFrame) -> SessionFrame | None:
        """Look for the face in a picture; None where the picture has no use."""
        now = self._clock()
        pts, time_base = arrived.source.pts, arrived.source.time_base
        if pts is None or time_base is None or pts <= self._last_pts:
            self._deliver(replace(arrived, error="its time does not follow the last one's"))
            return None
        self._last_pts = pts
        try:
            source = normalise(arrived.source)
        except ValueError as error:
            self._deliver(replace(arrived, error=str(error), camera="tiny_picture"))
            return None
        seconds, began = float(pts * time_base), self._clock()
        begun = replace(arrived, source=source, began=began, seconds=seconds, camera=self._watch.look(source, now))
        return guard(begun, self._locate)

    def generate(self, begun: SessionFrame) -> SessionFrame:
        """The networks' part, with the strengths of the picture's time in the video."""
        values, rev = self._edits.at(begun.seconds)
        return guard(replace(begun, rev=rev), partial(self._generate, edits=values))

    def finish(self, made: SessionFrame) -> None:
        """Put the picture together and deliver it."""
        done = guard(made, self._blend)
        if done.fault is not None:
            self._report(done.fault)
            message = f"{type(done.fault).__name__}: {done.fault}"
            done = replace(done, shown=done.source, error=message, advice=frozenset())
        # what the stages made is not kept while the picture waits to be sent
        self._deliver(replace(done, record=None))
        self._stream.catch_up()

    def _locate(self, begun: SessionFrame) -> SessionFrame:
        record = self._stream.locate(to_rgb(begun.source), begun.seconds)
        advice = advice_for(begun.source, record.sighting)
        return replace(begun, record=record, advice=advice, located=self._clock())

    def _generate(self, begun: SessionFrame, *, edits: Mapping[str, float]) -> SessionFrame:
        assert begun.record is not None
        waited = begun.began - begun.arrived + self._clock() - begun.located
        record = replace(begun.record, hurried=waited > HURRIED_AFTER)
        return replace(begun, record=self._stream.generate(record, edits))

    def _blend(self, made: SessionFrame) -> SessionFrame:
        assert made.record is not None
        result = self._stream.blend(made.record)
        return replace(
            made,
            shown=self._picture(result, made.source),
            face=result.face,
            faces=faces_of(made.record),
            reused=any(face.pictures_reused for face in made.record.members.values()),
            error=result.error,
            stage_ms={"wait": 1000 * (made.began - made.arrived), **result.stage_ms},
            advice=made.advice | {COVERED} if result.covered > COVERED_SHARE else made.advice,
        )

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
