"""One viewer's way through the method: a frame in, the same frame with its face edited out.

Knows no asyncio, no HTTP and no engine: it is given a runtime, a face tracker and the attributes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rigid.align import TrackedFace, crop
from rigid.blend import paste
from rigid.composite import CompositeKind, TransferState
from rigid.compositing import open_compositor
from rigid.geometry import Points, Transform
from rigid.latents import Anchor, Shared, add_edit, share
from rigid.models.contract import Array, RecurrentState, Runtime
from rigid.presence import (
    Fade,
    are_alike,
    follow,
    looks_alike,
    opacity_at,
    strength_at,
    thumbnail,
    usable_interval,
)
from rigid.settling import settled
from rigid.state import StreamState, state_from_bytes, state_to_bytes

Pixels = NDArray[np.uint8]
logger = logging.getLogger(__name__)
DEFAULT_FADE = Fade(seconds=0.25, frames=3)
LONGEST_GAP = 3.0
"""Seconds without a face generated after which nothing of it is gone on with, its late codes neither."""
FIRST_PASSES = 2
"""How often a frame that is shown edited at once goes through a recurrent encoder: the first time it knows nothing
of what the generator makes of this face."""


class Tracker(Protocol):
    """Finds the face to edit; `rigid.align.FaceTracker` is one."""

    def track(self, frame: Pixels, timestamp: float) -> TrackedFace | None:
        """The face in `frame`, uint8 RGB (H, W, 3), at `timestamp` seconds; None without one."""

    def close(self) -> None:
        """Free what it holds."""


class Offsets(Protocol):
    """What edits do to the codes; `rigid.attributes.library.AttributeLibrary` is one."""

    def offset(self, edits: Mapping[str, float], codes: Array | None = None) -> Array:
        """float32 (n_codes, code_size) to add to the codes (Eq. 5).

        Where an edit depends on them, (B, n_codes, code_size) for the given `codes` (B, n_codes, code_size).
        """


@dataclass(frozen=True)
class StreamOptions:
    """How a stream looks."""

    composite: CompositeKind = "transfer"
    """How the edited face gets onto the real one; see `rigid.composite`."""
    fade: Fade = DEFAULT_FADE
    """How an edit comes and goes with the face."""


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
    error: str | None = None
    """Why the frame passes unedited although it should not, None when all went well."""


@dataclass
class StreamCounts:
    """What a stream has seen so far."""

    frames: int = 0
    faces: int = 0
    edited: int = 0
    errors: int = 0


@dataclass
class _Stopwatch:
    """The milliseconds that named stages took."""

    stage_ms: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.stage_ms[stage] = self.stage_ms.get(stage, 0.0) + (time.perf_counter() - start) * 1e3


@dataclass(frozen=True)
class _Sighting:
    """Where the face is: seen in this frame, or followed from the last one for as long as its edit fades."""

    transform: Transform
    """Frame → crop."""
    landmarks: Points
    """(478, 2), crop pixels."""
    crop: Pixels
    """(S, S, 3)."""
    frame_shape: tuple[int, ...]


@dataclass(frozen=True)
class _Inverted:
    """A crop as the generator's codes, and the networks' state after it."""

    inputs: Array
    shared: Shared
    noise: Array
    recurrent: RecurrentState

    def next_state(self, pair: Array) -> RecurrentState:
        return self.recurrent.after(self.inputs, pair[:1], pair[1:], self.shared.late_codes, self.noise)


class FaceStream:
    """Edits the face of one video, frame by frame, and owns everything that lasts from frame to frame.

    The runtime may be shared between streams and is not closed with them. Calls come from one thread at a time.
    """

    def __init__(
        self, runtime: Runtime, tracker: Tracker, library: Offsets, options: StreamOptions | None = None
    ) -> None:
        self.runtime = runtime
        self.counts = StreamCounts()
        self.options = options or StreamOptions()
        self._tracker = tracker
        self._library = library
        self._compositor = open_compositor(self.options.composite)
        self._state = StreamState.initial(runtime.sizes)
        self._last: _Sighting | None = None
        self._timestamp: float | None = None
        self._found = False
        self._reanchor = False
        self.cadence = 1
        """The networks run for each so many frames; between them, what they made last is blended onto the face.

        1 for all. May be set from any thread; motion within the face then lags by up to that many frames.
        """
        self._made: Array | None = None
        self._made_ago = 0

    def step(self, frame: Pixels, edits: Mapping[str, float], timestamp: float) -> StepResult:
        """Edit one frame, uint8 RGB (H, W, 3), shown at `timestamp` seconds, with `edits` {attribute: strength}.

        Without a face, or with every strength 0, the frame passes through bit-identical; where a face comes or
        goes, or edits start or stop, the edit fades over `options.fade`. Whatever fails inside passes the frame
        through as well and is told in `error`; the networks then begin anew, on the late codes from before this
        frame. ValueError only for a frame of another shape or type.
        """
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or 0 in frame.shape:
            raise ValueError(f"A frame is uint8 RGB (H, W, 3), but this one is {frame.dtype} {frame.shape}.")
        watch = _Stopwatch()
        elapsed = 0.0 if self._timestamp is None else timestamp - self._timestamp
        self._timestamp, self._found = timestamp, False
        self._state = replace(self._state, unseen=self._state.unseen + usable_interval(elapsed))
        try:
            result = self._step(frame, edits, timestamp, elapsed, watch)
        # whatever an engine or a filter raises, the viewer keeps a picture
        except Exception as error:
            result = self._failed(frame, error, watch)
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
        self._last = None
        self._timestamp = None
        self._made = None

    def close(self) -> None:
        """Close the tracker and what the composite holds; safe to call twice."""
        self._tracker.close()
        self._compositor.close()

    def _step(
        self, frame: Pixels, edits: Mapping[str, float], timestamp: float, elapsed: float, watch: _Stopwatch
    ) -> StepResult:
        with watch("align"):
            tracked = self._tracker.track(frame, timestamp)
            self._found = tracked is not None
            sighting = self._follow_last(frame) if tracked is None else self._sight(frame, tracked)
        wanted = self._found and any(edits.values())
        level = self.options.fade.advance(self._state.level, wanted, elapsed) if sighting else 0.0
        self._last = sighting if self._found or level > 0 else None
        if sighting is None or (not self._found and level == 0):
            self._made = None
            self._state = self._state.with_level(level)
            return StepResult(frame, face=False, edited=False, stage_ms=watch.stage_ms)
        return self._show(frame, sighting, edits, level, watch)

    def _sight(self, frame: Pixels, tracked: TrackedFace) -> _Sighting:
        face = crop(frame, tracked.transform, self.runtime.sizes.image_size)
        return _Sighting(tracked.transform, tracked.landmarks_in_crop, face, frame.shape)

    def _follow_last(self, frame: Pixels) -> _Sighting | None:
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

    def _show(
        self, frame: Pixels, sighting: _Sighting, edits: Mapping[str, float], level: float, watch: _Stopwatch
    ) -> StepResult:
        """Where an edit shows, invert, synthesize and blend.

        With nothing to show the networks rest. Inverting alone would not keep their memory sound: it is trained
        on what the generator made of the frames before, and knows frames without only as an episode's first.
        So an edit may start at any frame, as if the stream began there, and fades in meanwhile.
        """
        if self._found:
            self._forget_after_cut(sighting.crop)
        if level == 0:
            self._made = None
        else:
            frame = self._edit(frame, sighting, edits, level, watch)
        self._state = self._state.with_level(level)
        return StepResult(frame, face=self._found, edited=level > 0, stage_ms=watch.stage_ms)

    def _edit(
        self, frame: Pixels, sighting: _Sighting, edits: Mapping[str, float], level: float, watch: _Stopwatch
    ) -> Pixels:
        shown_edits = {name: strength * strength_at(level) for name, strength in edits.items()}
        inputs = _to_inputs(sighting.crop)
        if self._made is not None and self._found and self._made_ago + 1 < self.cadence:
            return self._edit_again(frame, sighting, inputs, self._made, level, watch)
        inverted, pair = self._generate(inputs, self._remembered(), shown_edits, watch)
        with watch("blend"):
            shown, transfer = self._blend(frame, sighting, inputs, pair, level)
        self._state = replace(self._state, transfer=transfer)
        # what a lost face leaves in the crop is nothing for the networks to remember
        self._made, self._made_ago = (pair if self._found else None), 0
        if self._found:
            memory, anchor = inverted.next_state(pair), inverted.shared.anchor
            self._state = replace(self._state, recurrent=memory, anchor=anchor, unseen=0.0)
            self._reanchor = False
        return shown

    def _edit_again(
        self, frame: Pixels, sighting: _Sighting, inputs: Array, pair: Array, level: float, watch: _Stopwatch
    ) -> Pixels:
        """Blend what the networks made for an earlier frame; their memory stays where it is."""
        self._made_ago += 1
        with watch("blend"):
            shown, transfer = self._blend(frame, sighting, inputs, pair, level)
        self._state = replace(self._state, transfer=transfer)
        return shown

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
            self._state = replace(self._state, recurrent=initial, transfer=TransferState(), anchor=Anchor())
            self._made = None
        self._state = replace(self._state, thumbnail=now)

    def _generate(
        self, inputs: Array, state: StreamState, edits: Mapping[str, float], watch: _Stopwatch
    ) -> tuple[_Inverted, Array]:
        """Eq. 1 to 5: the inverted and the edited face, (2, 3, S, S), from one memory to the next."""
        inverted, pair = self._pass(inputs, state, state.recurrent, edits, watch)
        for _ in range(1, FIRST_PASSES if state.level is None else 1):
            if np.array_equal(inverted.recurrent.hidden, state.recurrent.hidden):
                break  # there is no recurrent encoder
            inverted, pair = self._pass(inputs, state, inverted.next_state(pair), edits, watch)
        return inverted, pair

    def _pass(
        self, inputs: Array, state: StreamState, memory: RecurrentState, edits: Mapping[str, float], watch: _Stopwatch
    ) -> tuple[_Inverted, Array]:
        sizes = self.runtime.sizes
        n_shared = sizes.n_shared_codes
        with watch("invert"):
            codes, noise, recurrent = self.runtime.invert(inputs, memory)
            _require_finite(codes, noise, recurrent.hidden, recurrent.cell)
            noise = settled(noise, recurrent.previous_noise, inputs, recurrent.previous_input, sizes.newest_noise_share)
            shared = share(codes, memory.late_codes, state.anchor, n_shared, state.unseen)
        with watch("synthesize"):
            offset = np.float32(sizes.edit_gain) * self._library.offset(edits, shared.codes)
            edited = add_edit(shared.codes, offset, n_shared)
            # one batch costs less than two
            pair = self.runtime.synthesize(np.concatenate([shared.codes, edited]), np.concatenate([noise] * 2))
            _require_finite(pair)
        return _Inverted(inputs, shared, noise, recurrent), pair

    def _blend(
        self, frame: Pixels, sighting: _Sighting, inputs: Array, pair: Array, level: float
    ) -> tuple[Pixels, TransferState]:
        """Eq. 7: the edited face un-aligned into the frame, and what the composite remembers of it."""
        real, inverted, edited = (np.ascontiguousarray(image.transpose(1, 2, 0)) for image in (inputs[0], *pair))
        self._compositor.state = self._state.transfer
        composite = self._compositor(real, inverted, edited, sighting.landmarks)
        shown = paste(frame, composite, None, sighting.transform, opacity_at(level))
        return shown, self._compositor.state

    def _failed(self, frame: Pixels, error: Exception, watch: _Stopwatch) -> StepResult:
        """The frame as it came; the edit fades in anew afterwards, where a jump back would flash."""
        if not self.counts.errors:
            logger.exception("A frame could not be edited and passes through; later ones are only counted.")
        self._state = self._state.with_level(0.0)
        self._made = None
        message = f"{type(error).__name__}: {error}"
        return StepResult(frame, face=self._found, edited=False, stage_ms=watch.stage_ms, error=message)

    def _count(self, result: StepResult) -> None:
        self.counts.frames += 1
        self.counts.faces += result.face
        self.counts.edited += result.edited
        self.counts.errors += result.error is not None


def _require_finite(*arrays: Array) -> None:
    if not all(np.isfinite(array).all() for array in arrays):
        raise ArithmeticError("the engine returned values that are not finite numbers")


def _to_inputs(face: Pixels) -> Array:
    """A crop (S, S, 3) as the networks take it: float32 (1, 3, S, S) in [-1, 1]."""
    return np.ascontiguousarray(face.transpose(2, 0, 1)[None], np.float32) / np.float32(127.5) - np.float32(1)
