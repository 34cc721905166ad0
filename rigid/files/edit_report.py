"""What is told of an edited file: what was counted, what it took, what could not be kept."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rigid.stream.face_stream import StepResult

Progress = Callable[[int, int | None], None]
"""Takes the frames done and the frames there probably are, None where that is not known."""
TIMED_STAGES = ("decode", "align", "invert", "synthesize", "parse", "blend", "encode")
COUNTS = ("frames", "face_frames", "edited_frames", "failed_frames")


@dataclass
class EditReport:
    """What was done."""

    profile: str
    engine: str
    frames: int = 0
    face_frames: int = 0
    edited_frames: int = 0
    failed_frames: int = 0
    """Frames that passed unedited because something failed."""
    seconds: float = 0.0
    """What the whole job took, loading the engine left out."""
    faces: list[int] = field(default_factory=list)
    """The numbers of all faces that were seen."""
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What of the input could not be kept as it was, one sentence each."""
    stages: dict[str, list[float]] = field(default_factory=lambda: {stage: [] for stage in TIMED_STAGES})
    """Milliseconds of every frame that went through a stage."""

    def as_json(self) -> dict[str, object]:
        """The report as `--report` writes it; `stage_ms` are medians, 0 for a stage that never ran."""
        return {
            **self.counts(),
            "faces": self.faces,
            "seconds": round(self.seconds, 3),
            "fps": round(self.frames / self.seconds, 3) if self.seconds else 0.0,
            "profile": self.profile,
            "engine": self.engine,
            "stage_ms": {s: round(statistics.median(times), 3) if times else 0.0 for s, times in self.stages.items()},
            "warnings": self.warnings,
            "notes": self.notes,
        }

    def counts(self) -> dict[str, int]:
        """How many frames there were, and what became of them."""
        return {name: getattr(self, name) for name in COUNTS}

    def save(self) -> dict[str, Any]:
        """What another run needs to go on counting."""
        return {**self.counts(), "faces": self.faces}

    def take_up(self, saved: Mapping[str, Any]) -> None:
        """Go on from what `save` of another run gave."""
        for name in COUNTS:
            setattr(self, name, int(saved[name]))
        self.faces = [int(number) for number in saved["faces"]]

    def add(self, result: StepResult) -> None:
        """Count one frame."""
        self.frames += 1
        self.face_frames += result.face
        self.edited_frames += result.edited
        self.failed_frames += result.error is not None
        self.faces += sorted(set(result.numbers).difference(self.faces))
        if result.error is not None and self.failed_frames == 1:
            self.warnings.append(f"Frame {self.frames} could not be edited: {result.error}.")
        for stage, milliseconds in result.stage_ms.items():
            self.stages[stage].append(milliseconds)
