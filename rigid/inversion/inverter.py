"""One frame through the networks (Eq. 1 to 5): the face as codes and noise map, inverted and edited."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from rigid.arrays import Array
from rigid.edits.edit_effect import EditEffect
from rigid.geometry import Points
from rigid.inversion.edit_change import EditChange, Use
from rigid.inversion.face_window import face_corner, surround
from rigid.inversion.latents import Anchor, add_edit, share
from rigid.inversion.noise_smoothing import settle
from rigid.inversion.redrawing import Draw, Redrawn, drop_old_detail, measure_anew
from rigid.models.contract import RecurrentState, Runtime, Sizes
from rigid.stopwatch import Stopwatch


@dataclass(frozen=True, eq=False)
class Owed:
    """What is still to be done for a frame, but not before it has been shown."""

    draw: Draw
    codes: Array
    """Those of the inverted and the edited faces."""
    noise: Array
    """That of the inverted face."""
    edited: Array
    """E, (1, 3, S, S)."""
    effect: EditEffect
    landmarks: Points
    """(478, 2), crop pixels."""
    inverted: bool
    """Whether the inverted face is to be drawn."""
    redrawn: bool
    """Whether it is to be measured what is drawn anew."""


@dataclass(frozen=True, eq=False)
class Memory:
    """What is remembered of the frames before."""

    recurrent: RecurrentState
    """The networks' state."""
    anchor: Anchor = field(default_factory=Anchor)
    """How the shared late codes stand to what is seen."""
    unseen: float = 0.0
    """Seconds since the networks last had a face."""
    redrawn: Redrawn = field(default_factory=Redrawn)
    """What is drawn anew of the edited faces."""
    change: EditChange | None = None
    """What the edits changed, last; None where that is not known."""
    due: bool = False
    """Whether the inverted face of the frame it serves is to be drawn, after it was told from the edited one."""
    owed: Owed | None = None
    """What the last frame left for later."""

    @property
    def inferred(self) -> bool:
        """Whether the last inverted face was told from the edited one."""
        return self.change is not None and self.change.age > 0

    @classmethod
    def initial(cls, sizes: Sizes) -> Memory:
        """The memory before the first frame."""
        return cls(RecurrentState.initial(sizes))

    def for_next(self, edits: Mapping[str, float], landmarks: Points, farthest: float) -> Memory:
        """What of it the next frame may use: see `EditChange.find_use`."""
        use = Use.NONE if self.change is None else self.change.find_use(edits, landmarks, farthest)
        return replace(self, change=None if use is Use.NONE else self.change, due=use is Use.LAST)


class Inverter:
    """The way of faces through the networks of a runtime, which is not closed with it; remembers nothing itself."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def edit(
        self, inputs: Array, landmarks: Points, memory: Memory, effect: EditEffect, watch: Stopwatch, passes: int = 1
    ) -> tuple[Array, Memory]:
        """The pictures of the face inverted and edited, from the `memory` of the frames before, and that of this one.

        `inputs` (1, 3, S, S) in [-1, 1], `landmarks` (478, 2) in crop pixels → (2, 3, S, S) in [-1, 1]: the inverted
        and the edited face. (3, 3, S, S) where both the hair and the face are edited: then the face edited without its
        hair as well, since edits of the hair change generated skin, too. `passes`: how often it goes through a
        recurrent encoder, which the first time knows nothing of what the generator makes of this face. Where `memory`
        knows what the edits change, the inverted face is told from the edited one (`rigid.inversion.edit_change`), and
        where it is due, `catch_up` draws it. ArithmeticError when the engine returns values that are not finite.
        """
        pictures, after = self._pass(inputs, landmarks, memory, effect, watch)
        for _ in range(1, passes):
            if np.array_equal(after.recurrent.hidden, memory.recurrent.hidden):
                break  # there is no recurrent encoder
            again = replace(memory, recurrent=after.recurrent, redrawn=after.redrawn)
            pictures, after = self._pass(inputs, landmarks, again, effect, watch)
        return pictures, after

    def catch_up(self, memory: Memory) -> Memory:
        """The `memory` once what it owes is done. ArithmeticError as in `edit`."""
        owed, done = memory.owed, replace(memory, owed=None)
        if owed is None:
            return done
        if owed.redrawn:
            in_sides = owed.landmarks / self._runtime.sizes.image_size
            redrawn = measure_anew(memory.redrawn, owed.codes, owed.effect, in_sides, self._runtime, owed.draw)
            done = replace(done, redrawn=redrawn)
        if owed.inverted:
            drawn = owed.draw(owed.codes[:1], owed.noise)
            change = EditChange.between(np.concatenate([drawn, owed.edited]), owed.effect.edits, owed.landmarks)
            done = replace(done, recurrent=replace(memory.recurrent, previous_inverted=drawn), change=change)
        return done

    def _pass(
        self, inputs: Array, landmarks: Points, memory: Memory, effect: EditEffect, watch: Stopwatch
    ) -> tuple[Array, Memory]:
        sizes = self._runtime.sizes
        n_shared = sizes.n_shared_codes
        with watch("invert"):
            codes, noise, recurrent = self._runtime.invert(inputs, memory.recurrent)
            _require_finite(codes, noise, recurrent.hidden, recurrent.cell)
            noise = settle(noise, recurrent.previous_noise, inputs, recurrent.previous_input, sizes.newest_noise_share)
            shared = share(codes, memory.recurrent.late_codes, memory.anchor, n_shared, memory.unseen)
        with watch("synthesize"):
            edited = [add_edit(shared.codes, offset(shared.codes), n_shared) for offset in effect.offsets]
            all_codes = np.concatenate([shared.codes, *edited])
            in_sides = landmarks / sizes.image_size
            draw = partial(self._draw, inputs=inputs, landmarks=landmarks, effect=effect)
            edited_noise, redrawn = drop_old_detail(
                noise, all_codes, effect, in_sides, memory.redrawn, self._runtime, draw
            )
            noises = [noise, *(edited_noise for _ in edited)]
            pictures, change = self._draw_both(draw, all_codes, noises, memory.change, effect, landmarks)
        recurrent = recurrent.after(inputs, pictures[:1], pictures[1:2], shared.late_codes, noise)
        after = Memory(recurrent, shared.anchor, redrawn=redrawn, change=change)
        late = after.inferred and memory.due, redrawn.stale
        owed = Owed(draw, all_codes, noise, pictures[1:2], effect, landmarks, *late) if any(late) else None
        return pictures, replace(after, owed=owed)

    def _draw_both(
        self,
        draw: Draw,
        codes: Array,
        noises: list[Array],
        before: EditChange | None,
        effect: EditEffect,
        landmarks: Points,
    ) -> tuple[Array, EditChange | None]:
        """The inverted and the edited faces, and what changed; where that is known, one is told from the other."""
        alone = len(codes) == 2
        if before is not None and alone:
            edited = draw(codes[1:], noises[1])
            return before.undo(edited), before.one_frame_later()
        # one batch costs less than two
        pictures = draw(codes, np.concatenate(noises))
        return pictures, EditChange.between(pictures, effect.edits, landmarks) if alone else None

    def _draw(self, codes: Array, noise: Array, inputs: Array, landmarks: Points, effect: EditEffect) -> Array:
        """`codes` and `noise` (B, …) as pictures (B, 3, S, S): all of them, or where only the face is edited, that."""
        sizes = self._runtime.sizes
        corner = None
        if sizes.face_window is not None and not effect.hair:
            corner = face_corner(landmarks, sizes)
        if corner is None:
            drawn = self._runtime.synthesize(codes, noise)
        else:
            drawn = self._runtime.synthesize_face(codes, noise, np.full((len(codes), 2), corner, np.float32))
        _require_finite(drawn)
        return drawn if corner is None else surround(drawn, corner, inputs, sizes)


def _require_finite(*arrays: Array) -> None:
    if not all(np.isfinite(array).all() for array in arrays):
        raise ArithmeticError("the engine returned values that are not finite numbers")
