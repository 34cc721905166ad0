"""The noise map of the edited face: where an edit draws something else, the real face's detail is not to be in its way.

The noise map n_t holds the detail of the real face in its place. Where an edit draws another thing there (the lips and
teeth of a smile, rims of glasses, a fringe, shut lids), that detail belongs to what is gone and shows as crumbs or
gaps; there E is generated without it. Where that is, is measured on the face at hand, by the inverted and the edited
face without any noise map: where their edges differ far more than over the face as a whole, and where the face parser
sees another part in one than in the other. An edit that changes a face everywhere, such as age or make-up, leaves it
the detail that makes it the same person. Of a mouth or of the eyes that an edit is meant to change all is drawn anew or
nothing: the corner of an eye, or a tooth, that is left of the real one lies where the edited one has none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np

from rigid.arrays import Array
from rigid.edits.edit_effect import EditEffect
from rigid.face.landmarks import INNER_LIPS, INNER_MOUTH_CORNERS
from rigid.face.masks import eyes_mask, lips_mask, oval_mask, union
from rigid.fields import blur, largest, ramp, resize, rise
from rigid.geometry import Points
from rigid.models.contract import Runtime

Draw = Callable[[Array, Array], Array]
"""From codes and noise maps, (B, …) each, to pictures (B, 3, S, S); round the face they may be the real one's."""

ANEW = (1.5, 2.5)
"""How much more a place's edges must change than the face's do on average to be drawn anew, and to be so fully. The
most on five faces: smile 4.6, glasses 4.2, shut eyes 4.1, bangs 3.5, beard 3.0, mouth_open 2.8, lipstick 2.5, age 2.3,
make-up 2.2. From 2 on, glasses have gaps; from 1 on, age takes the person away (identity .92, at 1.5 .94)."""
NOTICED = (0.05, 0.1)
"""Change of the edges, [-1, 1] values, below which it is nothing, and from which on it counts."""
SOFTEST_EDGE = 16.0 / 256
"""What is smoother than this, crop sides, is colour, not edges."""
EDGE_SIGMA = 8.0 / 256
"""How far the change of an edge reaches, crop sides."""
MOVED = (0.3, 0.7)
"""Total variation between the probabilities of a place's parts from which it counts as another part, and fully."""
WHOLE = (0.1, 0.2)
"""Mean of what is drawn anew of a mouth or of the eyes from which all of it begins to be, and is."""
COMPARED = 128
"""Side of the pictures that are compared."""
WIDE_OPEN = (0.4, 0.8)
"""Height over width of the real mouth's opening from which its detail is kept after all, and kept fully: the codes
alone make little of a mouth that is wide open."""
WAIT = 2
"""Frames between two measurements while an edit changes slowly."""
FAR = 0.2
"""Change of a strength from which it is measured at once."""
STALE = 24
"""Frames after which it is measured again though the edits are the same: the face may turn, or smile itself."""
EASE = 0.5
"""How fast what is taken follows what was measured of the same edits, a frame; of others it holds at once."""


@dataclass(frozen=True, eq=False)
class Redrawn:
    """Where a stream draws its edited faces anew; all of it is unknown before the first."""

    edits: Mapping[str, float] | None = None
    """The edits it was measured for."""
    age: int = 0
    """Frames since then."""
    measured: Array | None = None
    """How far each place of the crop is to be drawn anew, (n, n) like the noise map, 0 to 1."""
    share: Array | None = None
    """How far it is by now."""

    @property
    def stale(self) -> bool:
        """Whether it is to be measured anew though the edits are the same: not before the frame has been shown."""
        return self.measured is not None and self.age >= STALE


def drop_old_detail(
    noise: Array, codes: Array, effect: EditEffect, landmarks: Points, before: Redrawn, runtime: Runtime, draw: Draw
) -> tuple[Array, Redrawn]:
    """(1, *noise_shape) for the edited face, from that of the inverted one, and what the next frame goes on from.

    `codes` (2 or 3, n_codes, code_size): the inverted and the edited face's, and maybe those of the face edited
    without its hair; `effect`: what they differ by; `landmarks` (478, 2) of the real face in crop sides; `draw`: the
    generator's pictures of them, for `runtime` to tell their parts.
    """
    if not noise.any():
        return noise, before
    now = replace(before, age=before.age + 1)
    if effect.edits != before.edits and now.age >= _find_longest_age(effect.edits, before.edits):
        now = measure_anew(now, codes, effect, landmarks, runtime, draw)
        # with half of the old detail a mouth is neither one nor the other; where the edit stays, nothing is to jump
        now = replace(now, share=now.measured)
    assert now.measured is not None and now.share is not None
    share = now.share + np.float32(EASE) * (now.measured - now.share)
    opened = rise(_opening(landmarks), *WIDE_OPEN)
    taken = share * (1 - opened * _mask_lips(landmarks, len(share))) if opened else share
    edited: Array = noise * (1 - taken)
    return edited, replace(now, share=share)


def measure_anew(
    before: Redrawn, codes: Array, effect: EditEffect, landmarks: Points, runtime: Runtime, draw: Draw
) -> Redrawn:
    """What is known `before`, measured on this face; for the arguments see `drop_old_detail`."""
    measured = complete_features(_measure(codes, landmarks, runtime, draw), landmarks, effect.changes)
    measured = resize(measured, runtime.sizes.noise_shape[-1])
    return replace(before, edits=dict(effect.edits), age=0, measured=measured)


def _find_longest_age(edits: Mapping[str, float], before: Mapping[str, float] | None) -> int:
    """How many frames old what was measured for other edits, `before`, may become, now that they are `edits`."""
    if before is None:
        return 0
    moved = max(abs(edits.get(name, 0) - before.get(name, 0)) for name in edits.keys() | before.keys())
    return 0 if moved > FAR else WAIT


def _measure(codes: Array, landmarks: Points, runtime: Runtime, draw: Draw) -> Array:
    """How far each place is drawn anew, (n, n), 0 to 1."""
    noise = np.zeros((len(codes), *runtime.sizes.noise_shape), np.float32)
    pictures = draw(codes, noise)
    inverted, *edited = (resize(np.asarray(cv2.merge(tuple(picture)), np.float32), COMPARED) for picture in pictures)
    face = oval_mask(landmarks * COMPARED, COMPARED)
    found = [find_new_edges(inverted, picture, face) for picture in edited]
    if runtime.sizes.n_classes:
        real, *drawn = runtime.parse(pictures)
        found += [resize(find_new_parts(real, parts), COMPARED) for parts in drawn]
    measured: Array = np.maximum.reduce(found)
    return measured


def find_new_edges(before: Array, after: Array, face: Array) -> Array:
    """Where edges change far more than over the `face`, (n, n), 0 to 1; pictures (n, n, 3), `face` (n, n)."""
    change, size = after - before, len(face)
    edges = blur(largest(np.abs(change - blur(change, SOFTEST_EDGE * size))), EDGE_SIGMA * size)
    average = float((edges * face).sum() / max(float(face.sum()), 1.0))
    anew: Array = ramp(edges / max(average, 1e-6), *ANEW) * ramp(edges, *NOTICED) * face
    return anew


def find_new_parts(before: Array, after: Array) -> Array:
    """Where one part of a face is drawn in another's place, (n, n), 0 to 1; both are the parser's maps (C, n, n)."""
    moved = np.abs(after - before).sum(0, dtype=np.float32) / 2
    return ramp(moved, *MOVED)


def complete_features(measured: Array, landmarks: Points, changes: Mapping[str, float]) -> Array:
    """What was `measured` (n, n), and all of the mouth and the eyes where enough of them is, as far as they may change.

    `landmarks` (478, 2) of the real face in crop sides; `changes`: see `EditEffect.changes`.
    """
    size, at = len(measured), landmarks * len(measured)
    lips, eyes = lips_mask(at, size, 0.0), eyes_mask(at, size)
    parts = (lips, lips_mask(at, size), changes["mouth"]), (eyes, eyes, changes["lids"])
    return union(measured, *(np.float32(share * _find_whole(measured, core)) * whole for core, whole, share in parts))


def _find_whole(measured: Array, feature: Array) -> float:
    return rise(float((measured * feature).sum()) / max(float(feature.sum()), 1.0), *WHOLE)


def _mask_lips(landmarks: Points, size: int) -> Array:
    """The lips and what is between them, (size, size)."""
    return resize(lips_mask(landmarks * (4 * size), 4 * size), size)


def _opening(landmarks: Points) -> float:
    """Height over width of the gap between the lips."""
    (upper, lower), (left, right) = (landmarks[pair] for pair in (INNER_LIPS, INNER_MOUTH_CORNERS))
    return float(np.linalg.norm(lower - upper) / max(float(np.linalg.norm(right - left)), 1e-6))
