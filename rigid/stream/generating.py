"""The second stage of a frame: the face is inverted and synthesized, where an edit shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from rigid.arrays import Pixels
from rigid.composite.compositor import Faces
from rigid.edits.edit_effect import EditLibrary
from rigid.face.alignment import crop
from rigid.fields import to_crop
from rigid.inversion.edit_change import find_movement
from rigid.inversion.inverter import Inverter
from rigid.models.contract import Runtime
from rigid.stream.fading import Fade, are_alike, follow, looks_alike, thumbnail
from rigid.stream.frame_record import FrameRecord, Sighting
from rigid.stream.stream_state import Drawn, Lost, StreamState

FIRST_PASSES = 2
"""How often a stream's first frame goes through a recurrent encoder, since it is shown edited at once."""
LONGEST_GAP = 3.0
"""Seconds without a face generated after which nothing of it is gone on with, its late codes neither."""


class Sparing(NamedTuple):
    """How often what takes longest is done."""

    cadence: int
    """See `rigid.stream.face_stream.FaceStream.cadence`; 1 is for every frame."""
    inverted_after: float
    """See `rigid.stream.face_stream.StreamOptions.inverted_after`."""
    edited_after: float
    """See `rigid.stream.face_stream.StreamOptions.edited_after`."""


class GeneratingStage:
    """Makes the inverted and the edited face; what lasts from frame to frame is in the state that it is given."""

    def __init__(self, runtime: Runtime, library: EditLibrary, fade: Fade) -> None:
        self._runtime, self._library, self._fade = runtime, library, fade
        self._inverter = Inverter(runtime)

    def run(
        self, record: FrameRecord, state: StreamState, edits: Mapping[str, float], elapsed: float, sparing: Sparing
    ) -> FrameRecord:
        """Generate what `edits` make of a located frame, `elapsed` seconds after the last one."""
        sighting = record.sighting or self._follow_last(record, state)
        first, wanted = state.level is None, record.face and any(edits.values())
        level = self._fade.advance(state.level, wanted, elapsed) if sighting else 0.0
        state.level, state.sighting = level, sighting if record.face or level > 0 else None
        cut = record.face and sighting is not None and _forget_after_cut(state, sighting.crop)
        effect = self._library.effect(edits, level=level, gain=self._runtime.sizes.edit_gain)
        begun = replace(record, sighting=sighting, level=level, effect=effect, starts_over=cut)
        if sighting is None or level == 0:
            return _rest(begun, state)
        if not effect.offsets:
            return self._parse(_rest(begun, state), sighting, state)
        made = self._draw(begun, state, sighting, FIRST_PASSES if first else 1, sparing)
        made = replace(made, effect=replace(effect, redrawn=state.memory.redrawn.share))
        return self._parse(made, sighting, state)

    def _parse(self, record: FrameRecord, sighting: Sighting, state: StreamState) -> FrameRecord:
        """What the face parser makes of the real and of the edited face, where there is one."""
        if not self._runtime.sizes.n_classes or record.pictures is None:
            return record
        known = None if state.drawn is None else state.drawn.parts
        faces = [sighting.inputs, record.pictures[1:2]] if known is None else [sighting.inputs]
        with record.watch("parse"):
            parts = self._runtime.parse(np.concatenate(faces))
        if known is not None:
            return replace(record, parts=np.concatenate([parts, known]))
        if state.drawn is not None:
            state.drawn = replace(state.drawn, parts=parts[1:])
        return replace(record, parts=parts)

    def catch_up(self, state: StreamState) -> None:
        """Do what the last frame left for later: the inverted face that it was shown without."""
        owed = state.memory.owed
        state.memory = self._inverter.catch_up(state.memory)
        if owed is None or not owed.inverted:
            return
        memory = state.memory.recurrent
        assert memory.previous_input is not None and memory.previous_inverted is not None
        real, inverted = (to_crop(picture[0]) for picture in (memory.previous_input, memory.previous_inverted))
        state.drawn_fault = Faces(real, inverted, inverted).fault

    def _follow_last(self, record: FrameRecord, state: StreamState) -> Sighting | None:
        """Where a face that is no longer found has gone, while its edit fades; None after a cut.

        The edit is made anew on this frame's own pixels: a held picture would stand still over a moving scene.
        """
        last, frame = state.sighting, record.frame
        with record.watch("align"):
            if last is None or not state.level or last.frame_shape != frame.shape:
                return None
            size = self._runtime.sizes.image_size
            now = crop(frame, last.transform, size)
            if not looks_alike(last.crop, now):
                return None
            transform = follow(last.transform, last.crop, now, last.landmarks)
            return replace(last, transform=transform, crop=crop(frame, transform, size))

    def _draw(
        self, record: FrameRecord, state: StreamState, sighting: Sighting, passes: int, sparing: Sparing
    ) -> FrameRecord:
        """The record with the inverted and the edited face to show; what the networks remember of them is kept."""
        if state.drawn is not None and self._will_do(state.drawn, record, sighting, sparing):
            # what they made for an earlier frame; their memory stays where it is
            state.drawn = replace(state.drawn, age=state.drawn.age + 1)
            return replace(record, pictures=state.drawn.pictures, pictures_reused=True)
        if state.memory.unseen > LONGEST_GAP:
            state.forget(Lost.CODES)
        elif state.reanchor:
            state.memory = replace(state.memory, anchor=state.memory.anchor.asked_to_move())
        farthest = sparing.inverted_after * self._runtime.sizes.image_size
        before = state.memory.for_next(record.effect.edits, sighting.landmarks, farthest)
        pictures, memory = self._inverter.edit(
            sighting.inputs, sighting.landmarks, before, record.effect, record.watch, passes
        )
        # what a lost face leaves in the crop is nothing for the networks to remember
        state.drawn = Drawn(pictures, record.effect.edits, sighting.landmarks) if record.face else None
        state.memory = memory if record.face else replace(state.memory, redrawn=memory.redrawn)
        state.reanchor = state.reanchor and not record.face
        fault, state.drawn_fault = state.drawn_fault, None
        return replace(record, pictures=pictures, inferred=memory.inferred, drawn_fault=fault)

    def _will_do(self, drawn: Drawn, record: FrameRecord, sighting: Sighting, sparing: Sparing) -> bool:
        """Whether what was `drawn` may be moved along with the face, in place of generating anew."""
        if not record.face:
            return False
        if drawn.age + 1 < sparing.cadence:
            return True
        alike = record.hurried and not drawn.age and drawn.edits == record.effect.edits
        farthest = sparing.edited_after * self._runtime.sizes.image_size
        return alike and find_movement(drawn.landmarks, sighting.landmarks) < farthest


def _rest(record: FrameRecord, state: StreamState) -> FrameRecord:
    """Generate nothing: the real face stands for both where an edit moves landmarks only.

    With nothing to show the networks rest. Inverting alone would not keep their memory sound: it is trained
    on what the generator made of the frames before, and knows frames without only as an episode's first.
    So an edit may start at any frame, as if the stream began there, and fades in meanwhile.
    """
    state.forget(Lost.PICTURES)
    pictures = record.sighting.inputs.repeat(2, 0) if record.sighting is not None and record.level > 0 else None
    return replace(record, pictures=pictures, starts_over=True)


def _forget_after_cut(state: StreamState, face: Pixels) -> bool:
    """Whether `face` cannot be the last frame's: another face's texture (Eq. 3) is not its own."""
    last, now = state.thumbnail, thumbnail(face)
    cut = last is not None and not are_alike(last, now)
    if cut:
        state.forget(Lost.PICTURES | Lost.CODES)
    state.thumbnail = now
    return cut
