"""For whom it works: identity, edit strength, LPIPS and signs of faults by groups of people."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rigid.arrays import Array
from rigid.atomic_files import write_json
from rigid.composite.compositor import CompositeKind
from rigid.discovery.labels import StagedLabeller
from rigid.discovery.recipes import RECIPES
from rigid.evaluation import metrics
from rigid.evaluation.cells import Cell, Take, Unusable, make_cell, take_from, take_of
from rigid.evaluation.fairness_report import Fairness, Person, write_fairness
from rigid.evaluation.generated import Generated
from rigid.evaluation.groups import Balance, groups_of
from rigid.evaluation.measure import Meters
from rigid.evaluation.results import check_out, file_stamp, hash_of, to_number, without_nan
from rigid.evaluation.strength import changes, measure_of
from rigid.fields import from_pixels
from rigid.files.clips import Clip, find_clips
from rigid.files.video_reader import VideoError
from rigid.reporting import CountDone, Say
from rigid.stream.face_stream import Tracker

FAIRNESS_VERSION = 2
"""The number is raised whenever a measure changes its meaning; people of another version are measured anew."""
DRAWN_FACES, PERSON_FRAMES = 48, 4
FAIRNESS_EDITS = {"smile": 1.0, "age": 1.0, "beard": 1.0}
PEOPLE_SEED = 20
MOST_DRAWN = 12
"""At most so many faces are drawn for each that is wanted."""
TRUNCATION = (0.8, 1.0)
INTERVAL = 0.04
"""Seconds between a generated clip's frames."""


@dataclass(frozen=True)
class FairnessJob:
    """What is asked for."""

    out: Path
    edits: Mapping[str, float]
    videos: Path | None = None
    """A folder of clips; generated faces alone without."""
    faces: int = DRAWN_FACES
    """Generated faces, balanced by skin tone and gender presentation."""
    frames: int = PERSON_FRAMES
    """Frames of each face's clip."""
    split: str | None = None
    names: Sequence[str] = ()
    composite: CompositeKind = "change"

    def check(self) -> list[Clip]:
        """The clips; ValueError, one sentence, when the job cannot be as it is."""
        if not self.edits or not all(self.edits.values()):
            raise ValueError("Every edit needs a strength other than 0; give --set smile=1, or leave --set out.")
        check_out(self.out)
        if self.videos is None:
            if not self.faces:
                raise ValueError("There is nobody to measure; give --videos, or --faces above 0.")
            return []
        return find_clips(self.videos, self.split, self.names)


@dataclass(frozen=True)
class FairnessTools:
    """What a job is done with; each part may be stood in for."""

    generated: Generated
    meters: Meters
    labeller: StagedLabeller
    make_tracker: Callable[[], Tracker]
    facts: Mapping[str, object]
    """What, besides the job, results depend on: profile, engine, weights, attributes."""
    say: Say = print


def measure_fairness(
    job: FairnessJob, tools: FairnessTools, command: str, progress: CountDone = lambda done: None
) -> Fairness:
    """Do the job and write `fairness.json` and `fairness.md` to `job.out`; `progress` takes the people done.

    People who were measured under the same options before are taken from there.
    """
    clips = job.check()
    (job.out / "people").mkdir(parents=True, exist_ok=True)
    found = Fairness()
    runner = _Runner(job, tools)
    for done, (number, codes) in enumerate(runner.draw_balanced(found), 1):
        person = runner.measure_generated(number, codes)
        found.generated += [person] if person is not None else []
        progress(done)
    for done, clip in enumerate(clips, 1):
        try:
            found.clips.append(runner.measure_filmed(clip))
        except (VideoError, Unusable) as error:
            found.skipped[clip.name] = str(error)
            tools.say(f"{clip.name} is left out: {str(error).rstrip('.')}.")
        progress(job.faces + done)
    if not found.generated and not found.clips:
        raise ValueError("Nobody could be measured; give clips that show a face, or --faces above 0.")
    asked = {"edits": dict(job.edits), "frames": job.frames, "composite": job.composite}
    write_fairness(job.out, found, {**tools.facts, **asked}, command)
    return found


class _Runner:
    """Measures person by person, or takes them from where they were kept."""

    def __init__(self, job: FairnessJob, tools: FairnessTools) -> None:
        self._job, self._tools = job, tools
        self._size = tools.generated.runtime.sizes.image_size

    def draw_balanced(self, found: Fairness) -> Iterator[tuple[int, Array]]:
        """Draw numbers and codes (n_codes, 512) of faces, as many of each bin as there is room for."""
        generated, balance = self._tools.generated, Balance(self._job.faces)
        for number in range(MOST_DRAWN * self._job.faces):
            if balance.full:
                return
            codes = generated.codes(1, PEOPLE_SEED + number, TRUNCATION)[0]
            found.drawn += 1
            seen = groups_of(generated.picture(codes), self._tools.labeller)
            if seen is not None and balance.takes(seen[0]):
                yield number, codes

    def measure_generated(self, number: int, codes: Array) -> Person | None:
        """Measure the face of `codes`, moving; None where it moves out of sight."""
        path, named = self._place(f"face-{number}", {"face": [PEOPLE_SEED, number]})
        kept = _load(path, named)
        if kept is not None:
            return kept
        pictures = self._tools.generated.walk(codes, self._job.frames, number)
        shots = [(picture, INTERVAL * i) for i, picture in enumerate(pictures)]
        return self._person(take_of(path.stem, shots, self._tools.make_tracker, self._size), path, named)

    def measure_filmed(self, clip: Clip) -> Person:
        """Measure the face of a clip; VideoError when it cannot be read, Unusable without a face to measure."""
        path, named = self._place(clip.name, {"clip": file_stamp(clip)})
        kept = _load(path, named)
        if kept is not None:
            return kept
        person = self._person(take_from(clip, self._tools.make_tracker, self._job.frames, self._size), path, named)
        if person is None:
            raise Unusable("no face that could be measured was found in all of its middle frames")
        return person

    def _place(self, name: str, own: Mapping[str, object]) -> tuple[Path, str]:
        """Where a person is kept, and what names the options."""
        job = self._job
        options = {"edits": dict(job.edits), "frames": job.frames, "composite": job.composite, **own}
        return job.out / "people" / f"{name}.json", hash_of(
            {**self._tools.facts, **options, "fairness": FAIRNESS_VERSION}
        )

    def _person(self, take: Take | None, path: Path, named: str) -> Person | None:
        """Measured, and kept in `path`."""
        seen = None if take is None else groups_of(take.real[-1], self._tools.labeller)
        if take is None or seen is None:
            return None
        groups, labels = seen
        job, generated = self._job, self._tools.generated
        cells = {
            name: make_cell(take, generated.runtime, generated.library, {name: strength}, job.composite, job.frames)
            for name, strength in job.edits.items()
        }
        person = Person(
            take.name,
            groups,
            metrics.mean(self._identity(take, cell) for cell in cells.values()),
            {name: self._strength(name, labels, cell) for name, cell in cells.items()},
            self._lpips(next(iter(cells.values()))),
            metrics.mean(float(not cell.signs.faults()) for cell in cells.values()),
        )
        write_json(path, without_nan({"hash": named, "person": asdict(person)}))
        return person

    def _identity(self, take: Take, cell: Cell) -> float:
        embed, landmarks = self._tools.meters.embedder, take.faces[-1].landmarks
        return float(embed(take.frames[-1], landmarks) @ embed(cell.delivered[-1], landmarks))

    def _strength(self, name: str, labels: Array, cell: Cell) -> float:
        strength, measures = self._job.edits[name], self._tools.labeller.measures
        if not _has_room(name, strength, labels, measures):
            return math.nan
        after = self._tools.labeller(cell.after[None])[0]
        return changes(labels, after, {name: strength}, measures)[name]

    def _lpips(self, cell: Cell) -> float:
        if cell.inverted is None:
            return math.nan
        return metrics.lpips_distance(self._tools.meters.lpips, from_pixels(cell.before), cell.inverted)


def _has_room(name: str, strength: float, labels: Array, measures: Sequence[str]) -> bool:
    """Whether a face with these `labels` can be changed as `name` does, by the attribute's recipe."""
    recipe = next((recipe for recipe in RECIPES if recipe.name == name), None)
    measure = measure_of(name, measures)
    if recipe is None or measure is None:
        return True
    value = float(labels[list(measures).index(measure)])
    return value <= recipe.ceiling if strength > 0 else value >= recipe.floor


def _load(path: Path, named: str) -> Person | None:
    try:
        kept = json.loads(path.read_text("utf-8"))
        if kept["hash"] != named:
            return None
        person = kept["person"]
        numbers = {key: to_number(person[key]) for key in ("identity", "lpips", "without_signs")}
        strengths = {name: to_number(value) for name, value in person["strengths"].items()}
        return Person(person["name"], dict(person["groups"]), strengths=strengths, **numbers)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # missing, or not what this program wrote
