"""The last stage of a frame: the edited face goes onto the real one, and into its frame."""

from __future__ import annotations

from dataclasses import replace

from rigid.arrays import Array
from rigid.composite.compositor import CompositeKind, Faces, compose
from rigid.composite.edit_masks import FaceMasks, how_covered, masks_by_landmarks, masks_by_parser
from rigid.composite.paste import paste
from rigid.composite.temporal_filter import Steadied, TemporalFilter
from rigid.fields import to_crop
from rigid.stream.fading import opacity_at
from rigid.stream.frame_record import FrameRecord, Sighting
from rigid.stream.stream_state import Lost, StreamState


class BlendingStage:
    """Puts edited faces into their frames; what lasts from frame to frame is in the state that it is given."""

    def __init__(self, composite: CompositeKind, steady: float) -> None:
        """`steady`: how much of the pictures before is in the generated ones."""
        self._composite = composite
        self._filter = TemporalFilter(steady)

    def run(self, made: FrameRecord, state: StreamState) -> FrameRecord:
        """Eq. 7: the edited face un-aligned into the frame.

        What was generated before a fault was known passes: shown once more, the edit would flash.
        """
        sighting = made.sighting
        if sighting is None or made.pictures is None or made.faults < state.faults:
            return made
        with made.watch("blend"):
            real = sighting.real
            masks = _masks(made, sighting, real)
            steadied = self._steady(real, made.pictures, made, masks, state)
            faces = steadied.faces
            masks = _with_held(masks, steadied.masks)
            composite = compose(self._composite, faces, masks, made.effect, sighting.landmarks)
            shown = paste(made.frame, composite, sighting.transform, opacity_at(made.level))
        if not made.face:
            # what a lost face leaves in the crop is nothing to go on with
            state.forget(Lost.SHOWN)
        covered = 0.0 if made.parts is None else how_covered(made.parts[0])
        return replace(made, shown=shown, faces=faces, covered=covered)

    def _steady(
        self, real: Array, pictures: Array, made: FrameRecord, masks: FaceMasks, state: StreamState
    ) -> Steadied:
        """What to show: moved along with the real face where it is an earlier frame's."""
        if made.pictures_reused and state.shown is not None:
            return self._filter.move_along(real, state.shown)
        faces = Faces(real, *(to_crop(image) for image in pictures))
        if made.inferred:
            faces = replace(faces, drawn_fault=_find_drawn_fault(made, state.shown))
        held = (masks.face, masks.hair) if made.effect.hair else (masks.face,)
        state.shown = self._filter.steady(faces, made.effect.edits, state.shown, held)
        return state.shown


def _with_held(masks: FaceMasks, held: tuple[Array, ...]) -> FaceMasks:
    """`masks` with those of the face and of the hair as they are `held` steady, as many as are."""
    now = (masks.face, masks.hair)
    face, hair = held + now[len(held) :]
    return replace(masks, face=face, hair=hair)


def _masks(made: FrameRecord, sighting: Sighting, real: Array) -> FaceMasks:
    """Where the edit may act in I, `real`."""
    if made.parts is None:
        masks = masks_by_landmarks(sighting.landmarks, len(real))
    else:
        effect = made.effect
        hair, features = effect.hair > 0, effect.needs_features
        masks = masks_by_parser(made.parts, real, effect.fringe, hair=hair, features=features)
    return masks.behind([one.landmarks_in(sighting.transform) for one in made.nearer])


def _find_drawn_fault(made: FrameRecord, shown: Steadied | None) -> Array | None:
    """e where O was last drawn."""
    if made.drawn_fault is not None or shown is None:
        return made.drawn_fault
    return shown.faces.fault
