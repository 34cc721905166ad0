"""One viewer's way through the method: a frame goes in, and the same frame comes out with its face edited.

Knows no asyncio, no HTTP and no engine: it is given a runtime, a face tracker and the attributes.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from rigid.arrays import Pixels, check_frame
from rigid.composite.compositor import CompositeKind, Faces
from rigid.composite.temporal_filter import STEADY_SHARE
from rigid.edits.edit_effect import EditLibrary
from rigid.edits.face_edits import ONLY_FACE, edits_of_face
from rigid.face.alignment import TrackedFace, crop
from rigid.face.group_tracker import FaceChoice
from rigid.models.contract import Runtime
from rigid.stream.blending import BlendingStage
from rigid.stream.fading import Fade, usable_interval
from rigid.stream.frame_record import FrameRecord, Sighting, guard
from rigid.stream.generating import GeneratingStage, Sparing
from rigid.stream.stream_state import Lost, StreamState, state_from_bytes, state_to_bytes

logger = logging.getLogger(__name__)
LIVE_INVERTED_AFTER = 4 / 256
"""Live video has no time to draw two pictures of every face. At 13 frames a second a third of the inverted faces is
drawn, and a smile keeps 99% of its strength on the nine validation clips (`docs/performance.md`)."""
LIVE_EDITED_AFTER = 2.5 / 256
"""With every second frame moved along up to there, a smile keeps 99% of its strength, and the picture is the same to
the eye (`docs/performance.md`)."""
DEFAULT_FADE = Fade(seconds=0.25, frames=2)


class Tracker(Protocol):
    """Finds the face to edit; `rigid.face.alignment.FaceTracker` is one."""

    def track(self, frame: Pixels, timestamp: float) -> TrackedFace | None:
        """The face in `frame`, uint8 RGB (H, W, 3), at `timestamp` seconds; None without one."""

    def close(self) -> None:
        """Free what it holds."""


@dataclass(frozen=True)
class StreamOptions:
    """How a stream looks."""

    composite: CompositeKind = "change"
    """How the edited face gets onto the real one; see `rigid.composite.compositor`."""
    fade: Fade = DEFAULT_FADE
    """How an edit comes and goes with the face."""
    steady: float = STEADY_SHARE
    """How much of the pictures before is in the generated ones (`rigid.composite.temporal_filter`); 0 for none."""
    inverted_after: float = 0.0
    """How far a face may move in its crop, crop sides, before the inverted one, which is not shown, is drawn anew; 0 is
    for every frame, at once. See `rigid.inversion.edit_change`."""
    edited_after: float = 0.0
    """How far a face may move in its crop, crop sides, before a frame that is hurried needs faces of its own, where the
    one before it had them; 0 is for every frame. Up to there, those of the frame before are moved along with it."""


@dataclass(frozen=True)
class StepResult:
    """What became of one frame."""

    frame: Pixels
    """RGB (H, W, 3) uint8; the very array that came in where nothing was edited."""
    face: bool
    """Whether a face was found."""
    edited: bool
    """Whether the frame differs by an edit."""
    stage_ms: dict[str, float]
    """Milliseconds of the stages that ran: align, invert, synthesize, blend."""
    faces: Faces | None = None
    """The aligned faces behind an edited frame."""
    covered: float = 0.0
    """What share of an edited face something else lies before, 0 to 1, as far as a face parser can tell."""
    error: str | None = None
    """Why the frame passes unedited although it should not, None when all went well."""
    numbers: tuple[int, ...] = ()
    """Which faces are in the frame; where one is edited only, it is 1."""


@dataclass
class StreamCounts:
    """What a stream has seen so far."""

    frames: int = 0
    faces: int = 0
    edited: int = 0
    errors: int = 0

    def add(self, result: StepResult) -> None:
        """Count one more frame."""
        self.frames += 1
        self.faces += result.face
        self.edited += result.edited
        self.errors += result.error is not None


class FaceStream:
    """Edits the face of one video, frame by frame; what lasts from frame to frame is its `StreamState`.

    The runtime may be shared between streams and is not closed with them. A frame goes through three stages, `locate`,
    `generate` and `blend`; `step` is all of them. Each stage takes the frames in order and one at a time, but different
    stages may have different frames in hand, on different threads. Other calls come while no stage is at work, except
    where they say so.
    """

    def __init__(
        self, runtime: Runtime, tracker: Tracker, library: EditLibrary, options: StreamOptions | None = None
    ) -> None:
        self.runtime = runtime
        self.counts = StreamCounts()
        self.options = options or StreamOptions()
        self.cadence = 1
        """The networks run for each so many frames; between them, what they made last is moved along with the face.

        1 for all. May be set from any thread; a change within the face then lags by up to that many frames.
        """
        self.inverted_after = self.options.inverted_after
        """As in its options; may be set from any thread."""
        self._tracker = tracker
        self._generating = GeneratingStage(runtime, library, self.options.fade)
        self._blending = BlendingStage(self.options.composite, self.options.steady)
        self._state = StreamState.initial(runtime.sizes)
        self._generating_alone = threading.Lock()

    @property
    def choice(self) -> FaceChoice:
        """Which faces are edited."""
        return FaceChoice()

    def step(self, frame: Pixels, edits: Mapping[str, float], timestamp: float) -> StepResult:
        """Edit one frame, uint8 RGB (H, W, 3), shown at `timestamp` seconds, with `edits` {attribute: strength}.

        Without a face, or with every strength 0, the frame passes through bit-identical; where a face comes or
        goes, or edits start or stop, the edit fades over `options.fade`. Whatever fails inside passes the frame
        through as well and is told in `error`; the networks then begin anew, on the late codes they last shared.
        ValueError only for a frame of another shape or type.
        """
        return self.blend(self.generate(self.locate(frame, timestamp), edits))

    def locate(self, frame: Pixels, timestamp: float) -> FrameRecord:
        """The first stage of `step`: find the face. ValueError for a frame of another shape or type."""
        check_frame(frame)
        return guard(FrameRecord(frame=frame, timestamp=timestamp), self._locate)

    def generate(self, located: FrameRecord, edits: Mapping[str, float]) -> FrameRecord:
        """The second stage of `step`: invert and synthesize, where an edit shows."""
        with self._generating_alone:
            return self._generate(located, edits)

    def catch_up(self) -> None:
        """Do what the last frame was generated without and the next one needs: best once the last one is shown.

        `generate` does it where that comes first. May be called from any thread, and waits for no other stage.
        """
        if self._generating_alone.acquire(blocking=False):
            try:
                self._catch_up()
            finally:
                self._generating_alone.release()

    def _generate(self, located: FrameRecord, edits: Mapping[str, float]) -> FrameRecord:
        state, edits = self._state, edits_of_face(edits, ONLY_FACE)
        self._begin_anew_after_faults()
        self._catch_up()
        elapsed = 0.0 if state.timestamp is None else located.timestamp - state.timestamp
        state.timestamp = located.timestamp
        state.memory = replace(state.memory, unseen=state.memory.unseen + usable_interval(elapsed))
        sparing = Sparing(self.cadence, self.inverted_after, self.options.edited_after)
        run = partial(self._generating.run, state=state, edits=edits, elapsed=elapsed, sparing=sparing)
        made = guard(replace(located, faults=state.known_faults), run)
        if made.fault is not None:
            state.forget(Lost.PICTURES | Lost.EDIT)
        return made

    def blend(self, made: FrameRecord) -> StepResult:
        """The last stage of `step`: the edited face into its frame."""
        if made.starts_over:
            self._state.forget(Lost.SHOWN)
        done = guard(made, partial(self._blending.run, state=self._state))
        if done.fault is not None:
            self._state.faults += made.fault is None
            self._state.forget(Lost.SHOWN)
            self._report(done.fault)
        result = _result_of(done)
        self.counts.add(result)
        return result

    def reanchor(self) -> None:
        """Move the late codes that all frames share to what the next ones show, as after the light has changed.

        It is done by itself after a cut, after a long break, and where the frames' own late codes have left the
        shared ones behind. May be called from any thread.
        """
        self._state.reanchor = True

    def save(self) -> bytes:
        """The stream's state, so that another stream of the same profile can go on where this one is."""
        self._begin_anew_after_faults()
        return state_to_bytes(self._state)

    def restore(self, data: bytes) -> None:
        """Take over a state that `save` gave; ValueError, and nothing changed, when `data` is not one.

        The place of the face is not part of it: the next frame shows it.
        """
        self._state = state_from_bytes(data, self.runtime.sizes)

    def close(self) -> None:
        """Close the tracker; safe to call twice."""
        self._tracker.close()

    def _catch_up(self) -> None:
        try:
            self._generating.catch_up(self._state)
        # whatever an engine raises: no frame is at fault, and the next one has everything drawn
        except Exception as error:
            self._state.forget(Lost.PICTURES)
            self._report(error)

    def _locate(self, record: FrameRecord) -> FrameRecord:
        with record.watch("align"):
            tracked = self._tracker.track(record.frame, record.timestamp)
            if tracked is None:
                return record
            frame, transform = record.frame, tracked.transform
            face = crop(frame, transform, self.runtime.sizes.image_size)
            sighting = Sighting(transform, tracked.landmarks_in_crop, face, frame.shape, tracked.faces)
            return replace(record, face=True, sighting=sighting)

    def _begin_anew_after_faults(self) -> None:
        """After frames that could not be blended; the edit fades in anew, where a jump back would flash."""
        state, faults = self._state, self._state.faults
        if faults != state.known_faults:
            state.known_faults = faults
            state.forget(Lost.PICTURES | Lost.EDIT)

    def _report(self, fault: Exception) -> None:
        if not self.counts.errors:
            logger.error("A frame could not be edited and passes through; later ones are only counted.", exc_info=fault)


def _result_of(done: FrameRecord) -> StepResult:
    error = None if done.fault is None else f"{type(done.fault).__name__}: {done.fault}"
    shown = done.frame if done.shown is None else done.shown
    told = done.watch.stage_ms, done.faces, done.covered, error, (ONLY_FACE,) if done.face else ()
    return StepResult(shown, done.face, done.shown is not None, *told)
