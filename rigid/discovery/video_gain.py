"""How much longer an edit must be in video than for the codes alone: found on real clips, stated on others.

In a stream the noise map holds a part of an edit back, masks keep what lies outside the face, and the composite keeps
real detail; how much of an edit that costs depends on what it changes. An attribute's `video_gain` makes up for it, and
so does its `motion_gain`, by which the real pixels are moved as the edit moves the landmarks of generated faces.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from rigid.assets.store import AssetStore
from rigid.discovery.calibrate import MOST_LOST
from rigid.discovery.footage import Footage, take_clips
from rigid.discovery.labels import load_labeller
from rigid.discovery.recipes import RECIPES, Recipe
from rigid.discovery.statement import read_statements, write_statement
from rigid.edits.attribute import Attribute
from rigid.edits.attribute_file import rewrite_header
from rigid.edits.attribute_header import AttributeHeader
from rigid.edits.library import AttributeLibrary, load_attribute
from rigid.face.alignment import FaceLandmarker, FaceTracker
from rigid.files.clips import Clip
from rigid.models.contract import Runtime, Sizes
from rigid.reporting import Say, say_nothing

LEAST_GAIN, MOST_GAIN = 0.5, 2.0
"""Gains tried; beyond, faces are seen to break."""
LEAST_MOTION_TRIED, MOST_MOTION_TRIED = 0.1, 2.5
"""Gains of motion tried."""
BY_MOTION = ("shape", "pose")
"""Groups whose edits, with those of the brows, are left to motion, where that reaches `ENOUGH` of the target."""
ENOUGH = 0.8
GAINS_TRIED = 3
LEAST_SLOPE = 0.1
"""Share of the target that a gain of 1 must bring: a change that grows by less says nothing of how much longer an edit
would have to be."""
CLOSE_TO_TARGET = 0.15
"""A change this close to the target, relatively, needs no other gain."""
LEAST_SHARE = 0.5
"""Where no gain reaches this share of the target, a longer edit would break the face sooner than show."""
RECIPE_OF = {recipe.name: recipe for recipe in RECIPES}


@dataclass(frozen=True)
class Reached:
    """The mean change of an attribute's measure in video, on `faces` with room for it."""

    change: float
    faces: int
    lost: float
    """Share of the faces no longer found as one."""


@contextmanager
def open_footage(clips: Sequence[Clip], per_clip: int, runtime: Runtime, store: AssetStore) -> Iterator[Footage]:
    """`per_clip` places of each clip, streamed by `runtime`; ValueError when no clip shows a face."""
    task = store.file("face-landmarks", "face_landmarker.task")
    takes = list(take_clips(clips, lambda: FaceTracker(FaceLandmarker(task)), per_clip))
    if not takes:
        raise ValueError("No clip shows a face in the places looked at; take more of them.")
    landmarker = FaceLandmarker(task, blendshapes=True, pose=True)
    try:
        yield Footage.of(takes, runtime, load_labeller(store, landmarker))
    finally:
        landmarker.close()


def measure_reached(footage: Footage, attribute: Attribute, recipe: Recipe, strength: float) -> Reached | None:
    """Measure what `attribute` at `strength`, 1 or -1, does to its measure; None when no face has room for it."""
    column = footage.labeller.measures.index(recipe.measure)
    before = footage.measures[:, column]
    room = np.flatnonzero(before <= recipe.ceiling if strength > 0 else before >= recipe.floor)
    if not room.size:
        return None
    n_codes, code_size = attribute.direction.shape
    library = AttributeLibrary([attribute], n_codes=n_codes, code_size=code_size)
    change = footage.changes(library, {attribute.name: strength}, room)[:, column]
    found = change[np.isfinite(change)]
    mean = float(found.mean()) if found.size else np.nan
    return Reached(mean, int(found.size), 1 - found.size / room.size)


@dataclass(frozen=True)
class Gains:
    """An attribute's `video_gain` and `motion_gain`."""

    video: float = 1.0
    motion: float = 0.0

    def of(self, attribute: Attribute) -> Attribute:
        """`attribute` with these."""
        return replace(attribute, video_gain=self.video, motion_gain=self.motion)


def fit_gains(footage: Footage, attribute: Attribute, recipe: Recipe, report: Say = say_nothing) -> Gains:
    """The gains by which strength 1 comes closest to the attribute's target in `footage`.

    An edit of shape, pose or brows is left to motion alone, if the attribute brings one that does: what the generator
    draws there does not fit the real face's outline, or comes with another mouth. Another edit keeps its length and
    gets motion for what it lacks. Without motion it is made longer, unless no length shows half of it. Where it goes
    too far, it is made shorter. Motion on the way back alone stays. ValueError when no face has room, or every gain
    tried loses faces.
    """
    if attribute.target is None:
        raise ValueError(f"{attribute.name} states no target.")
    target = attribute.target

    def share(gains: Gains) -> float:
        """The share of the target that is reached; NaN where faces are lost."""
        seen = measure_reached(footage, gains.of(attribute), recipe, 1.0)
        if seen is None:
            raise ValueError(f"No face in the clips has room for {attribute.name}.")
        found = seen.change / target if seen.lost <= MOST_LOST else np.nan
        of_both = f"gain {gains.video:.2f}, motion {gains.motion:.2f}"
        report(f"{attribute.name}: {of_both}: {found:.2f} of the target on {seen.faces} faces")
        return found

    moves = attribute.motion is not None and bool(attribute.motion[0].any())
    if moves and (attribute.group in BY_MOTION or recipe.moves == "brows"):
        gain, most = _search(lambda gain: share(Gains(0.0, gain)), (1.0, None), (LEAST_GAIN, MOST_MOTION_TRIED), 0.0)
        if most >= ENOUGH:
            return Gains(0.0, gain)
    alone = share(Gains())
    if moves and alone < 1 - CLOSE_TO_TARGET:
        start = (float(np.clip(1 - alone, LEAST_MOTION_TRIED, MOST_MOTION_TRIED)), None)
        gain, _ = _search(lambda gain: share(Gains(1.0, gain)), start, (LEAST_MOTION_TRIED, MOST_MOTION_TRIED), alone)
        return Gains(1.0, gain)
    gain, most = _search(lambda gain: share(Gains(gain)), (1.0, alone), (LEAST_GAIN, MOST_GAIN), 0.0)
    return Gains(gain if most >= LEAST_SHARE else 1.0, 0.0 if moves else attribute.motion_gain)


def _search(
    share: Callable[[float], float], start: tuple[float, float | None], bounds: tuple[float, float], at_zero: float
) -> tuple[float, float]:
    """The gain whose share of the target is closest to 1, and that share, by the secant method.

    `start`: the first gain, and its share where that is known; `at_zero`: the share of gain 0. ValueError when every
    gain tried loses faces.
    """
    (gain, known), (least, most) = start, bounds
    tried: list[tuple[float, float, float]] = []
    for _ in range(GAINS_TRIED):
        seen = share(gain) if known is None else known
        known = None
        if not np.isfinite(seen):
            most = gain = (least + gain) / 2
            continue
        slope = _slope(tried, gain, seen, at_zero)
        tried.append((abs(seen - 1), gain, seen))
        wanted = gain + (1 - seen) / slope if slope > LEAST_SLOPE else (most if seen < 1 else least)
        following = float(np.clip(wanted, least, most))
        if abs(seen - 1) < CLOSE_TO_TARGET or following == gain:
            break
        gain = following
    if not tried:
        raise ValueError("every gain loses faces.")
    _, gain, seen = min(tried)
    return round(gain, 2), seen


def _slope(tried: Sequence[tuple[float, float, float]], gain: float, seen: float, at_zero: float) -> float:
    """How the share grows with the gain, from the gain tried before, or from 0."""
    _, other, before = tried[-1] if tried else (0.0, 0.0, at_zero)
    return (seen - before) / (gain - other) if gain != other else 0.0


def fit_folder(folder: Path, names: Sequence[str], footage: Footage, report: Say = say_nothing) -> None:
    """Set the `video_gain` and `motion_gain` of the attribute files in `folder`.

    One that cannot be fitted is reported and left. `names`: which; all that have a recipe and a target when empty.
    ValueError for a name that is not there.
    """
    for path, attribute in load_calibrated(folder, names, footage.runtime.sizes):
        try:
            gains = fit_gains(footage, attribute, RECIPE_OF[attribute.name], report)
        except ValueError as error:
            report(f"{attribute.name}: left as it is: {error}")
            continue
        rewrite_header(
            path,
            lambda header, gains=gains: replace(header, video_gain=gains.video, motion_gain=gains.motion),  # type: ignore[misc]
        )


def state_folder(folder: Path, names: Sequence[str], footage: Footage, report: Say = say_nothing) -> None:
    """Write what each attribute reaches in `footage` into its file, and into its statement where there is one."""
    statements = read_statements(folder / "statements")
    for path, attribute in load_calibrated(folder, names, footage.runtime.sizes):
        seen = _measure_ways(footage, attribute)
        changes = {where: round(one.change, 4) for where, one in seen.items()}
        faces = {where: one.faces for where, one in seen.items()}
        report(f"{attribute.name}: target {attribute.target:+.3g}: {changes} on {faces}")
        rewrite_header(path, partial(_with_seen, changes=changes, faces=faces))
        statement = statements.get(attribute.name)
        if statement is not None:
            kept = replace(statement, reached=statement.reached | changes, faces=statement.faces | faces)
            write_statement(folder / "statements" / f"{attribute.name}.json", kept)


def _with_seen(header: AttributeHeader, changes: dict[str, float], faces: dict[str, int]) -> AttributeHeader:
    counts = {f"{where}_faces": float(count) for where, count in faces.items()}
    return replace(header, calibration=header.calibration | changes, measured=header.measured | counts)


def _measure_ways(footage: Footage, attribute: Attribute) -> dict[str, Reached]:
    recipe = RECIPE_OF[attribute.name]
    ways = {"video": 1.0} | ({"video_back": -1.0} if recipe.two_way else {})
    seen = {where: measure_reached(footage, attribute, recipe, strength) for where, strength in ways.items()}
    return {where: one for where, one in seen.items() if one is not None and one.faces}


def load_calibrated(folder: Path, names: Sequence[str], sizes: Sizes) -> list[tuple[Path, Attribute]]:
    """Load the attributes in `folder` that have a recipe and a target, in their order; with `names`, only these.

    ValueError for a name that is not there.
    """
    paths = sorted(folder.glob("*.safetensors"))
    there = {path.stem: load_attribute(path, n_codes=sizes.n_codes, code_size=sizes.code_size) for path in paths}
    usable = {name for name, one in there.items() if name in RECIPE_OF and one.target is not None}
    for name in names:
        if name not in usable:
            raise ValueError(f"{folder} has no calibrated attribute {name!r}; it has: {', '.join(sorted(usable))}.")
    chosen = [path for path in paths if path.stem in (names or usable)]
    return sorted(((path, there[path.stem]) for path in chosen), key=lambda one: one[1].order)
