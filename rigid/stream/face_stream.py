"""One viewer's way through the method: a frame in, the same frame with its face edited out.

Knows no asyncio, no HTTP and no engine: it is given a runtime, a face tracker and the attributes.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from rigid.composite.compositor import CompositeKind, Faces, compose
from rigid.composite.edit_masks import FaceMasks, how_covered, masks_by_landmarks, masks_by_parser
from rigid.composite.paste import paste
from rigid.composite.temporal_filter import SHARE, Steadying
from rigid.face.alignment import TrackedFace, crop
from rigid.inversion.inverter import AlignedFace, Inverter, Offsets
from rigid.inversion.latents import Anchor
from rigid.models.contract import Array, RecurrentState, Runtime
from rigid.stopwatch import Stopwatch
from rigid.stream.fading import (
    Fade,
    are_alike,
    follow,
    looks_alike,
    opacity_at,
    strength_at,
    thumbnail,
    usable_interval,
)
from rigid.stream.stage_records import Generated, Located, Sighting
from rigid.stream.stream_state import StreamState, state_from_bytes, state_to_bytes

Pixels = NDArray[np.uint8]
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


class FaceStream:
    """Edits the face of one video, frame by frame, and owns everything that lasts from frame to frame.

    The runtime may be shared between streams and is not closed with them. A frame goes through three stages, `locate`,
    `generate` and `blend`; `step` is all of them. Each stage takes the frames in order and one at a time, but different
    stages may have different frames in hand, on different threads. Other calls come while no stage is at work, except
    where they say so.
    """

    def __init__(
        self, runtime: Runtime, tracker: Tracker, library: Offsets, options: StreamOptions | None = None
    ) -> None:
        self.runtime = runtime
        self.counts = StreamCounts()
        self.options = options or StreamOptions()
        self._tracker = tracker
        self._invert = Inverter(runtime, library)
        self._steadying = Steadying(self.options.steady)
        self._state = StreamState.initial(runtime.sizes)
        self._last: Sighting | None = None
        self._timestamp: float | None = None
        self._found = False
        self._reanchor = False
        self.cadence = 1
        """The networks run for each so many frames; between them, what they made last is moved along with the face.

        1 for all. May be set from any thread; a change within the face then lags by up to that many frames.
        """
        self._made: Array | None = None
        self._made_ago = 0
        self._forgotten = False
        self._faults = 0
        """Frames that could not be blended; `blend` alone counts them."""
        self._known_faults = 0

    def step(self, frame: Pixels, edits: Mapping[str, float], timestamp: float) -> StepResult:
        """Edit one frame, uint8 RGB (H, W, 3), shown at `timestamp` seconds, with `edits` {attribute: strength}.

        Without a face, or with every strength 0, the frame passes through bit-identical; where a face comes or
        goes, or edits start or stop, the edit fades over `options.fade`. Whatever fails inside passes the frame
        through as well and is told in `error`; the networks then begin anew, on the late codes they last shared.
        ValueError only for a frame of another shape or type.
        """
        result = self.blend(self.generate(self.locate(frame, timestamp), edits))
        self._recover()
        return result

    def locate(self, frame: Pixels, timestamp: float) -> Located:
        """The first stage of `step`: find the face. ValueError for a frame of another shape or type."""
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or 0 in frame.shape:
            raise ValueError(f"A frame is uint8 RGB (H, W, 3), but this one is {frame.dtype} {frame.shape}.")
        watch = Stopwatch()
        try:
            with watch("align"):
                tracked = self._tracker.track(frame, timestamp)
                sighting = None if tracked is None else self._sight(frame, tracked)
        # whatever a tracker raises, the viewer keeps a picture
        except Exception as error:
            return Located(frame, timestamp, watch, error=error)
        return Located(frame, timestamp, watch, sighting)

    def generate(self, located: Located, edits: Mapping[str, float]) -> Generated:
        """The second stage of `step`: invert and synthesize, where an edit shows."""
        self._recover()
        elapsed = 0.0 if self._timestamp is None else located.timestamp - self._timestamp
        self._timestamp, self._found, self._forgotten = located.timestamp, located.sighting is not None, False
        self._state = replace(self._state, unseen=self._state.unseen + usable_interval(elapsed))
        try:
            if located.error is not None:
                raise located.error
            return self._generated(located, edits, elapsed)
        # whatever an engine raises, the viewer keeps a picture
        except Exception as error:
            self._rest()
            return Generated(located.frame, located.watch, self._found, self._known_faults, error=error)

    def place(self, located: Located) -> Sighting | None:
        """Where the face that `locate` found lies; None without one. May be called while other stages are at work."""
        return located.sighting

    def blend(self, made: Generated) -> StepResult:
        """The last stage of `step`: the edited face into its frame."""
        if made.anew:
            self._steadying.forget()
        try:
            if made.error is not None:
                raise made.error
            result = self._blended(made)
        # whatever a filter raises, the viewer keeps a picture
        except Exception as error:
            self._faults += made.error is None
            self._steadying.forget()
            result = self._failed(made, error)
        self._count(result)
        return result

    def reanchor(self) -> None:
        """Move the late codes that all frames share to what the next ones show, as after the light has changed.

        It is done by itself after a cut, after a long break, and where the frames' own late codes have left the
        shared ones behind. May be called from any thread.
        """
        self._reanchor = True

    def save(self) -> bytes:
        """The stream's state, so that another stream of the same profile can go on where this one is."""
        return state_to_bytes(self._state)

    def restore(self, data: bytes) -> None:
        """Take over a state that `save` gave; ValueError, and nothing changed, when `data` is not one.

        The place of the face is not part of it: the next frame shows it.
        """
        self._state = state_from_bytes(data, self.runtime.sizes)
        self._steadying.forget()
        self._last = None
        self._timestamp = None
        self._drop()

    def close(self) -> None:
        """Close the tracker; safe to call twice."""
        self._tracker.close()

    def _generated(self, located: Located, edits: Mapping[str, float], elapsed: float) -> Generated:
        frame, watch, sighting = located.frame, located.watch, located.sighting
        if sighting is None:
            with watch("align"):
                sighting = self._follow_last(frame)
        wanted = self._found and any(edits.values())
        level = self.options.fade.advance(self._state.level, wanted, elapsed) if sighting else 0.0
        self._last = sighting if self._found or level > 0 else None
        if self._found and sighting is not None:
            self._forget_after_cut(sighting.crop)
        # With nothing to show the networks rest. Inverting alone would not keep their memory sound: it is trained
        # on what the generator made of the frames before, and knows frames without only as an episode's first.
        # So an edit may start at any frame, as if the stream began there, and fades in meanwhile.
        shown = sighting if level > 0 else None
        shown_edits = {name: strength * strength_at(level) for name, strength in edits.items()}
        pictures, parts, generated = None, None, False
        if shown is not None:
            generated = not self._invert.leaves_codes(shown_edits)
            # where an edit moves landmarks only, the real face stands for both
            pictures = self._pictures(shown, shown_edits, watch) if generated else _to_inputs(shown.crop).repeat(2, 0)
            parts = self._parse(shown, pictures, watch)
        if not generated:
            self._drop()
        self._state = self._state.with_level(level, generated)
        anew, again = self._forgotten or not generated, self._made_ago > 0
        made = pictures, parts, shown_edits, self._invert.reach(shown_edits), again
        return Generated(frame, watch, self._found, self._known_faults, anew, level, shown, *made)

    def _sight(self, frame: Pixels, tracked: TrackedFace) -> Sighting:
        face = crop(frame, tracked.transform, self.runtime.sizes.image_size)
        return Sighting(tracked.transform, tracked.landmarks_in_crop, face, frame.shape, tracked.faces)

    def _follow_last(self, frame: Pixels) -> Sighting | None:
        """Where a face that is no longer found has gone, while its edit fades; None after a cut.

        The edit is made anew on this frame's own pixels: a held picture would stand still over a moving scene.
        """
        last = self._last
        if last is None or not self._state.level or last.frame_shape != frame.shape:
            return None
        size = self.runtime.sizes.image_size
        now = crop(frame, last.transform, size)
        if not looks_alike(last.crop, now):
            return None
        transform = follow(last.transform, last.crop, now, last.landmarks)
        return replace(last, transform=transform, crop=crop(frame, transform, size))

    def _parse(self, sighting: Sighting, pictures: Array, watch: Stopwatch) -> Array | None:
        """What the face parser makes of the real and of the edited face, (2, C, n, n); None without one."""
        if not self.runtime.sizes.n_classes:
            return None
        with watch("parse"):
            return self.runtime.parse(np.concatenate([_to_inputs(sighting.crop), pictures[1:2]]))

    def _pictures(self, sighting: Sighting, edits: Mapping[str, float], watch: Stopwatch) -> Array:
        """The inverted and the edited face to show, and what the networks remember of them."""
        if self._made is not None and self._found and self._made_ago + 1 < self.cadence:
            # what they made for an earlier frame; their memory stays where it is
            self._made_ago += 1
            return self._made
        face = AlignedFace(_to_inputs(sighting.crop), sighting.landmarks)
        passes = FIRST_PASSES if self._state.level is None else 1
        inverted = self._invert(face, self._remembered().memory, edits, watch, passes)
        # what a lost face leaves in the crop is nothing for the networks to remember
        self._made, self._made_ago = (inverted.pictures if self._found else None), 0
        if self._found:
            memory, anchor = inverted.next_state(), inverted.shared.anchor
            self._state = replace(self._state, recurrent=memory, anchor=anchor, unseen=0.0)
            self._reanchor = False
        return inverted.pictures

    def _remembered(self) -> StreamState:
        """The state to go on from: a new one where the last is too old, late codes on the move where asked."""
        state = self._state
        if state.unseen > LONGEST_GAP:
            return replace(state, recurrent=RecurrentState.initial(self.runtime.sizes), anchor=Anchor())
        return replace(state, anchor=state.anchor.asked_to_move()) if self._reanchor else state

    def _forget_after_cut(self, face: Pixels) -> None:
        """Begin anew when `face` cannot be the last frame's: another face's texture (Eq. 3) is not its own."""
        last, now = self._state.thumbnail, thumbnail(face)
        if last is not None and not are_alike(last, now):
            initial = RecurrentState.initial(self.runtime.sizes)
            self._state = replace(self._state, recurrent=initial, anchor=Anchor())
            self._forgotten = True
            self._drop()
        self._state = replace(self._state, thumbnail=now)

    def _blended(self, made: Generated) -> StepResult:
        """Eq. 7: the edited face un-aligned into the frame.

        What was generated before a fault was known passes: shown once more, the edit would flash.
        """
        if made.sighting is None or made.pictures is None or made.faults < self._faults:
            return StepResult(made.frame, face=made.face, edited=False, stage_ms=made.watch.stage_ms)
        with made.watch("blend"):
            landmarks, real = made.sighting.landmarks, _to_values(made.sighting.crop)
            masks = _masks(made, real)
            faces = self._steadied(real, made.pictures, made, masks)
            composite = compose(self.options.composite, faces, masks, made.reach, landmarks)
            shown = paste(made.frame, composite, made.sighting.transform, opacity_at(made.level))
        if not made.face:
            # what a lost face leaves in the crop is nothing to go on with
            self._steadying.forget()
        covered = 0.0 if made.parts is None else how_covered(made.parts[0])
        return StepResult(shown, made.face, True, made.watch.stage_ms, faces, covered)

    def _steadied(self, real: Array, pictures: Array, made: Generated, masks: FaceMasks) -> Faces:
        """The faces to show: moved along with the real one where they are an earlier frame's."""
        moved = self._steadying.moved_along(real) if made.again else None
        if moved is not None:
            return moved
        # a fringe, or strands of dyed hair, want more holding
        drawn = np.float32(made.reach.hair) * masks.hair if made.reach.hair else None
        return self._steadying(Faces(real, *(_to_crop(image) for image in pictures)), made.edits, drawn)

    def _failed(self, made: Generated, error: Exception) -> StepResult:
        """The frame as it came; the edit fades in anew afterwards, where a jump back would flash."""
        if not self.counts.errors:
            logger.error("A frame could not be edited and passes through; later ones are only counted.", exc_info=error)
        message = f"{type(error).__name__}: {error}"
        return StepResult(made.frame, face=made.face, edited=False, stage_ms=made.watch.stage_ms, error=message)

    def _rest(self) -> None:
        """Begin anew, on the late codes there are."""
        self._state = self._state.with_level(0.0)
        self._drop()

    def _drop(self) -> None:
        """Go on from none of what was generated."""
        self._made = None
        self._invert.forget()

    def _recover(self) -> None:
        """After a frame that could not be blended, begin anew."""
        faults = self._faults
        if faults != self._known_faults:
            self._known_faults = faults
            self._state = self._state.with_level(0.0)
            self._drop()

    def _count(self, result: StepResult) -> None:
        self.counts.frames += 1
        self.counts.faces += result.face
        self.counts.edited += result.edited
        self.counts.errors += result.error is not None


def _masks(made: Generated, real: Array) -> FaceMasks:
    """Where the edit may act in I, `real`."""
    assert made.sighting is not None
    if made.parts is None:
        return masks_by_landmarks(made.sighting.landmarks, len(real))
    return masks_by_parser(made.parts, real, made.reach.hair * made.reach.forehead)


def _to_values(face: Pixels) -> Array:
    """A crop (S, S, 3) as float32 in [-1, 1]."""
    return face.astype(np.float32) / np.float32(127.5) - np.float32(1)


def _to_crop(image: Array) -> Array:
    """(3, S, S) → (S, S, 3)."""
    face: Array = cv2.merge(tuple(image))
    return face


def _to_inputs(face: Pixels) -> Array:
    """A crop (S, S, 3) as the networks take it: float32 (1, 3, S, S) in [-1, 1]."""
    return np.ascontiguousarray(_to_values(face).transpose(2, 0, 1)[None])
