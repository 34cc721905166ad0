"""One viewer's way through the method: a frame in, the same frame with its face edited out.

Knows no asyncio, no HTTP and no engine: it is given a runtime, a face tracker and the attributes.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import cv2
import numpy as np

from rigid.arrays import Array, Pixels
from rigid.composite.compositor import CompositeKind, Faces, compose
from rigid.composite.edit_masks import FaceMasks, how_covered, masks_by_landmarks, masks_by_parser
from rigid.composite.paste import paste
from rigid.composite.temporal_filter import SHARE, TemporalFilter
from rigid.edits.edit_effect import EditLibrary
from rigid.face.alignment import TrackedFace, crop
from rigid.inversion.inverter import Inverter
from rigid.models.contract import Runtime
from rigid.stream.fading import (
    Fade,
    are_alike,
    follow,
    looks_alike,
    opacity_at,
    thumbnail,
    usable_interval,
)
from rigid.stream.frame_record import FrameRecord, Sighting, guard
from rigid.stream.stream_state import Lost, StreamState, state_from_bytes, state_to_bytes

logger = logging.getLogger(__name__)
DEFAULT_FADE = Fade(seconds=0.25, frames=2)
FIRST_PASSES = 2
"""How often a stream's first frame goes through a recurrent encoder, since it is shown edited at once."""
LONGEST_GAP = 3.0
"""Seconds without a face generated after which nothing of it is gone on with, its late codes neither."""


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
    steady: float = SHARE
    """How much of the pictures before is in the generated ones (`rigid.composite.temporal_filter`); 0 for none."""


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
        self._tracker = tracker
        self._library = library
        self._inverter = Inverter(runtime)
        self._filter = TemporalFilter(self.options.steady)
        self._state = StreamState.initial(runtime.sizes)

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
        self.check(frame)
        return guard(FrameRecord(frame=frame, timestamp=timestamp), self._locate)

    @staticmethod
    def check(frame: Pixels) -> None:
        """ValueError for a frame that is not uint8 RGB (H, W, 3)."""
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or 0 in frame.shape:
            raise ValueError(f"A frame is uint8 RGB (H, W, 3), but this one is {frame.dtype} {frame.shape}.")

    def generate(self, located: FrameRecord, edits: Mapping[str, float]) -> FrameRecord:
        """The second stage of `step`: invert and synthesize, where an edit shows."""
        state = self._state
        self._begin_anew_after_faults()
        elapsed = 0.0 if state.timestamp is None else located.timestamp - state.timestamp
        state.timestamp = located.timestamp
        state.memory = replace(state.memory, unseen=state.memory.unseen + usable_interval(elapsed))
        begun = replace(located, faults=state.known_faults)
        made = guard(begun, partial(self._generate, edits=edits, elapsed=elapsed))
        if made.fault is not None:
            state.forget(Lost.PICTURES | Lost.EDIT)
        return made

    def blend(self, made: FrameRecord) -> StepResult:
        """The last stage of `step`: the edited face into its frame."""
        if made.anew:
            self._state.forget(Lost.SHOWN)
        done = guard(made, self._blend)
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

    def _locate(self, record: FrameRecord) -> FrameRecord:
        with record.watch("align"):
            tracked = self._tracker.track(record.frame, record.timestamp)
            if tracked is None:
                return record
            return replace(record, face=True, sighting=self._sight(record.frame, tracked))

    def _sight(self, frame: Pixels, tracked: TrackedFace) -> Sighting:
        face = crop(frame, tracked.transform, self.runtime.sizes.image_size)
        return Sighting(tracked.transform, tracked.landmarks_in_crop, face, frame.shape, tracked.faces)

    def _generate(self, record: FrameRecord, *, edits: Mapping[str, float], elapsed: float) -> FrameRecord:
        state, sighting = self._state, record.sighting or self._follow_last(record)
        first, wanted = state.level is None, record.face and any(edits.values())
        level = self.options.fade.advance(state.level, wanted, elapsed) if sighting else 0.0
        state.level, state.sighting = level, sighting if record.face or level > 0 else None
        cut = record.face and sighting is not None and self._forget_after_cut(sighting.crop)
        effect = self._library.effect(edits, level=level, gain=self.runtime.sizes.edit_gain)
        begun = replace(record, sighting=sighting, level=level, effect=effect, anew=cut)
        if sighting is None or level == 0:
            return self._rest(begun)
        made = self._invert(begun, sighting, first) if effect.offsets else self._rest(begun)
        return self._parse(made, sighting)

    def _rest(self, record: FrameRecord) -> FrameRecord:
        """Generate nothing: the real face stands for both where an edit moves landmarks only.

        With nothing to show the networks rest. Inverting alone would not keep their memory sound: it is trained
        on what the generator made of the frames before, and knows frames without only as an episode's first.
        So an edit may start at any frame, as if the stream began there, and fades in meanwhile.
        """
        self._state.forget(Lost.PICTURES)
        pictures = record.sighting.inputs.repeat(2, 0) if record.sighting is not None and record.level > 0 else None
        return replace(record, pictures=pictures, anew=True)

    def _invert(self, record: FrameRecord, sighting: Sighting, first: bool) -> FrameRecord:
        pictures = self._pictures(record, sighting, first)
        memory, age = self._state.memory, self._state.pictures_age
        effect = replace(record.effect, forehead=memory.redrawn.forehead)
        return replace(record, pictures=pictures, effect=effect, again=age > 0)

    def _parse(self, record: FrameRecord, sighting: Sighting) -> FrameRecord:
        """What the face parser makes of the real and of the edited face, where there is one."""
        if not self.runtime.sizes.n_classes or record.pictures is None:
            return record
        with record.watch("parse"):
            parts = self.runtime.parse(np.concatenate([sighting.inputs, record.pictures[1:2]]))
        return replace(record, parts=parts)

    def _follow_last(self, record: FrameRecord) -> Sighting | None:
        """Where a face that is no longer found has gone, while its edit fades; None after a cut.

        The edit is made anew on this frame's own pixels: a held picture would stand still over a moving scene.
        """
        last, frame = self._state.sighting, record.frame
        with record.watch("align"):
            if last is None or not self._state.level or last.frame_shape != frame.shape:
                return None
            size = self.runtime.sizes.image_size
            now = crop(frame, last.transform, size)
            if not looks_alike(last.crop, now):
                return None
            transform = follow(last.transform, last.crop, now, last.landmarks)
            return replace(last, transform=transform, crop=crop(frame, transform, size))

    def _forget_after_cut(self, face: Pixels) -> bool:
        """Whether `face` cannot be the last frame's: another face's texture (Eq. 3) is not its own."""
        last, now = self._state.thumbnail, thumbnail(face)
        cut = last is not None and not are_alike(last, now)
        if cut:
            self._state.forget(Lost.PICTURES | Lost.CODES)
        self._state.thumbnail = now
        return cut

    def _pictures(self, record: FrameRecord, sighting: Sighting, first: bool) -> Array:
        """The inverted and the edited face to show, and what the networks remember of them."""
        state = self._state
        if state.pictures is not None and record.face and state.pictures_age + 1 < self.cadence:
            # what they made for an earlier frame; their memory stays where it is
            state.pictures_age += 1
            return state.pictures
        if state.memory.unseen > LONGEST_GAP:
            state.forget(Lost.CODES)
        elif state.reanchor:
            state.memory = replace(state.memory, anchor=state.memory.anchor.asked_to_move())
        passes = FIRST_PASSES if first else 1
        pictures, memory = self._inverter.edit(
            sighting.inputs, sighting.landmarks, state.memory, record.effect, record.watch, passes
        )
        # what a lost face leaves in the crop is nothing for the networks to remember
        state.pictures, state.pictures_age = (pictures if record.face else None), 0
        state.memory = memory if record.face else replace(state.memory, redrawn=memory.redrawn)
        state.reanchor = state.reanchor and not record.face
        return pictures

    def _blend(self, made: FrameRecord) -> FrameRecord:
        """Eq. 7: the edited face un-aligned into the frame.

        What was generated before a fault was known passes: shown once more, the edit would flash.
        """
        state, sighting = self._state, made.sighting
        if sighting is None or made.pictures is None or made.faults < state.faults:
            return made
        with made.watch("blend"):
            real = _to_crop(sighting.inputs[0])
            masks = _masks(made, sighting, real)
            faces = self._steady(real, made.pictures, made, masks)
            composite = compose(self.options.composite, faces, masks, made.effect, sighting.landmarks)
            shown = paste(made.frame, composite, sighting.transform, opacity_at(made.level))
        if not made.face:
            # what a lost face leaves in the crop is nothing to go on with
            state.forget(Lost.SHOWN)
        covered = 0.0 if made.parts is None else how_covered(made.parts[0])
        return replace(made, shown=shown, faces=faces, covered=covered)

    def _steady(self, real: Array, pictures: Array, made: FrameRecord, masks: FaceMasks) -> Faces:
        """The faces to show: moved along with the real one where they are an earlier frame's."""
        state, effect = self._state, made.effect
        if made.again and state.shown is not None:
            return self._filter.move_along(real, state.shown)
        # a fringe, or strands of dyed hair, want more holding
        drawn = np.float32(effect.hair) * masks.hair if effect.hair else None
        faces = Faces(real, *(_to_crop(image) for image in pictures))
        state.shown = self._filter.steady(faces, effect.edits, state.shown, drawn)
        return state.shown.faces

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
    return StepResult(shown, done.face, done.shown is not None, done.watch.stage_ms, done.faces, done.covered, error)


def _masks(made: FrameRecord, sighting: Sighting, real: Array) -> FaceMasks:
    """Where the edit may act in I, `real`."""
    if made.parts is None:
        masks = masks_by_landmarks(sighting.landmarks, len(real))
    else:
        masks = masks_by_parser(made.parts, real, made.effect.hair * made.effect.forehead)
    return masks.behind([one.landmarks_in(sighting.transform) for one in made.nearer])


def _to_crop(image: Array) -> Array:
    """(3, S, S) → (S, S, 3)."""
    face: Array = cv2.merge(tuple(image))
    return face
