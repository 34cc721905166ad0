"""The stages by name, their presets, and how one is run."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rigid.assets import AssetStore
from rigid.training.generator import GeneratorOptions, GeneratorStage
from rigid.training.image_encoder import ImageEncoderOptions, ImageEncoderStage
from rigid.training.loop import LoopOptions, Losses, Say, Stage, run, save_options


@dataclass(frozen=True)
class Plan:
    """A stage with its preset filled in, ready to run."""

    stage: str
    options: GeneratorOptions | ImageEncoderOptions
    loop: LoopOptions

    def describe(self) -> str:
        """All options as JSON."""
        return json.dumps(
            {"stage": self.stage, **asdict(self.options), "loop": asdict(self.loop)}, indent=2, default=str
        )


PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "generator": {
        "mobile-256": {},
        "smoke": {"train_samples": 8, "validation_samples": 4, "steps": 4, "batch": 2},
    },
    "image-encoder": {
        "mobile-256": {},
        "mobile-256-continue": {
            "initial": "shipped",
            "code_steps": 0,
            "picture_steps": 3000,
            "delta_start": 0,
            "delta_every": 1,
        },
        "smoke": {
            "pairs": 24,
            "code_steps": 3,
            "picture_steps": 3,
            "code_batch": 4,
            "generated_batch": 2,
            "real_batch": 2,
            "clip_frames": 2,
            "delta_start": 1,
        },
    },
}
REAL_FACES = ("image-encoder",)
"""Stages that need a folder of real faces."""
LOOPS = {
    "mobile-256": {"log_every": 25, "save_every": 50, "validate_every": 500},
    "mobile-256-continue": {"log_every": 25, "save_every": 50, "validate_every": 500},
    "smoke": {"log_every": 1, "save_every": 2, "validate_every": 100},
}


def plan(stage: str, preset: str, data: Path | None) -> Plan:
    """The stage `stage` with `preset`; ValueError names an unknown one, or the folder that is missing."""
    if stage not in PRESETS:
        raise ValueError(f"There is no stage {stage!r}; the stages are: {', '.join(PRESETS)}.")
    if preset not in PRESETS[stage]:
        raise ValueError(f"{stage} has no preset {preset!r}; choose one of: {', '.join(PRESETS[stage])}.")
    values = PRESETS[stage][preset]
    options: GeneratorOptions | ImageEncoderOptions
    if stage in REAL_FACES:
        if data is None:
            raise ValueError(f"{stage} learns from real faces too; --data must name a folder of aligned faces.")
        options = ImageEncoderOptions(data=data, **values)
    else:
        options = GeneratorOptions(**values)
    return Plan(stage, options, LoopOptions(options.steps, **LOOPS[preset]))


def train(todo: Plan, store: AssetStore, folder: Path, *, resume: bool, say: Say) -> Losses:
    """Run a plan in `folder` and return the last validation's measures.

    Raises ValueError when `folder` holds a run and `resume` is false, and NotFinite on a broken loss.
    """
    if (folder / "checkpoint.pt").exists() and not resume:
        raise ValueError(f"{folder} already holds a run; add --resume to go on with it, or name another --out.")
    save_options(folder, todo.stage, todo.options)
    return run(_build(todo.options, store, folder), todo.loop, folder, resume=resume, say=say)


def _build(options: GeneratorOptions | ImageEncoderOptions, store: AssetStore, folder: Path) -> Stage:
    if isinstance(options, GeneratorOptions):
        return GeneratorStage(options, store, folder)
    return ImageEncoderStage(options, store, folder)
