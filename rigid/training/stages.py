"""The stages by name, their presets, and how one is run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any

from rigid.assets.store import AssetStore
from rigid.reporting import Say, say_nothing
from rigid.training.distributed import join_processes, rank, world
from rigid.training.generator import GeneratorOptions, GeneratorStage
from rigid.training.image_encoder import ImageEncoderOptions, ImageEncoderStage
from rigid.training.loop import LoopOptions, Losses, Stage, run, save_options
from rigid.training.narrow_generator import NarrowOptions, NarrowStage, build_narrow_parts
from rigid.training.parser import ParserOptions, ParserStage
from rigid.training.parser import build_parts as build_parser_parts
from rigid.training.recurrent import RecurrentStage
from rigid.training.recurrent_losses import TRAINED_ABLATIONS
from rigid.training.recurrent_options import RecurrentOptions
from rigid.training.recurrent_parts import build_parts
from rigid.training.visible_net import VisibleNetOptions, VisibleNetStage, build_episodes

StageOptions = (
    GeneratorOptions | NarrowOptions | ImageEncoderOptions | VisibleNetOptions | RecurrentOptions | ParserOptions
)


@dataclass(frozen=True)
class Plan:
    """A stage with its preset filled in, ready to run."""

    stage: str
    options: StageOptions
    loop: LoopOptions

    def describe(self) -> str:
        """Describe all options, ready for JSON."""
        return json.dumps(
            {"stage": self.stage, **asdict(self.options), "loop": asdict(self.loop)}, indent=2, default=str
        )


LIGHT_RECURRENT: dict[str, Any] = {
    "single_steps": 600,
    "single_batch": 5,
    "episode_steps": 320,
    # the encoder starts from nothing and has hours, not days
    "single_learning_rate": 1e-3,
    "learning_rate": 3e-4,
    "final_rate": 0.1,
    "edit_weight": 0.5,
    "offset_weight": 1.0,
    "change_weight": 2.0,
    "quiet": 0.5,
}
PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "generator": {
        "mobile-256": {},
        "smoke": {"train_samples": 8, "validation_samples": 4, "steps": 4, "batch": 2},
    },
    "narrow-generator": {
        "mobile-256": {},
        "mobile-256-continue": {
            "initial": "shipped",
            "dyed": 0.4,
            "clip_frames": 6,
            "stills": 120,
            "learning_rate": 0.0015,
            "steps": 4000,
        },
        "smoke": {"clip_frames": 1, "stills": 1, "closed_form": 2, "steps": 4, "batch": 2},
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
            "faces": 8,
            "block": 8,
            "grow_every": 4,
            "code_steps": 3,
            "picture_steps": 3,
            "code_batch": 4,
            "generated_batch": 2,
            "real_batch": 2,
            "clip_frames": 2,
            "delta_start": 1,
        },
    },
    "visible-net": {
        # real motion between neighbouring frames is small and there are few clips: it has learnt long before
        "mobile-256": {"steps": 1500, "learning_rate": 1e-3},
        "rigid-256": {"profile": "rigid-256", "window": 256},
        "smoke": {"steps": 6, "batch": 2, "learning_rate": 1e-3, "frames": 4, "clip_episodes": 2, "window": 64},
    },
    "recurrent": {
        "mobile-256": LIGHT_RECURRENT,
        "mobile-256-continue": LIGHT_RECURRENT
        | {"initial": "shipped", "single_steps": 240, "episode_steps": 120, "single_learning_rate": 6e-4},
        "rigid-256": {
            "profile": "rigid-256",
            "episode_steps": 100_000,
            "window": 256,
            "stills_share": 0.0,
            "walks_share": 0.0,
            "clip_episodes": 40,
        },
        "smoke": {
            "single_steps": 2,
            "episode_steps": 2,
            "single_batch": 2,
            "single_learning_rate": 1e-3,
            "learning_rate": 1e-3,
            "frames": 3,
            "average": 0.5,
            "edit_weight": 0.5,
            "change_weight": 2.0,
            "quiet": 0.5,
            "clip_episodes": 1,
            "stills": 1,
            "walks": 2,
            "window": 64,
            "validation_frames": 3,
        },
    },
    "parser": {
        "mobile-256": {},
        "mobile-256-continue": {"initial": "shipped", "steps": 3000, "learning_rate": 1e-3},
        "smoke": {"faces": 8, "held_out": 4, "steps": 4, "batch": 2},
    },
}
OPTIONS: dict[str, type[StageOptions]] = {
    "generator": GeneratorOptions,
    "narrow-generator": NarrowOptions,
    "image-encoder": ImageEncoderOptions,
    "visible-net": VisibleNetOptions,
    "recurrent": RecurrentOptions,
    "parser": ParserOptions,
}
LOOPS: dict[str, dict[str, Any]] = {
    "mobile-256": {"log_every": 25, "save_every": 50, "validate_every": 500},
    "mobile-256-continue": {"log_every": 25, "save_every": 50, "validate_every": 500},
    "rigid-256": {"log_every": 50, "save_every": 500, "validate_every": 5000},
    "smoke": {"log_every": 1, "save_every": 2, "validate_every": 100},
}
RECURRENT_LOOP: dict[str, Any] = {"log_every": 10, "save_every": 50, "validate_every": 200}
"""The loop of the smallest preset in use: an hour is a few hundred steps."""


def plan(
    stage: str,
    preset: str,
    data: Path | None,
    *,
    wide: Path | None = None,
    visible: Path | None = None,
    flow: Path | None = None,
    without: Sequence[str] = (),
) -> Plan:
    """The stage `stage` with `preset`; ValueError names what is unknown, missing, or not for this stage.

    `wide`: the weights of the generator's wide end; `visible`: a trained visible net; `flow`: a flow estimator;
    `without`: ablations.
    """
    if stage not in PRESETS:
        raise ValueError(f"There is no stage {stage!r}; the stages are: {', '.join(PRESETS)}.")
    if preset not in PRESETS[stage]:
        raise ValueError(f"{stage} has no preset {preset!r}; choose one of: {', '.join(PRESETS[stage])}.")
    given = {
        "--wide": ("wide", wide),
        "--visible": ("visible", visible),
        "--flow": ("flow", flow),
        "--without": ("without", tuple(without)),
    }
    kind = OPTIONS[stage]
    values = PRESETS[stage][preset] | _take(stage, kind, given)
    for name in without:
        if name not in TRAINED_ABLATIONS:
            raise ValueError(f"--without has no {name!r}; choose of: {', '.join(TRAINED_ABLATIONS)}.")
    needed = {field.name for field in fields(kind) if field.default is MISSING}
    if "wide" in needed and wide is None:
        raise ValueError(
            f"{stage} starts from a wide end; --wide must name the wide_generator.safetensors of train generator."
        )
    if "data" in _names(kind):
        if data is None and "data" in needed:
            raise ValueError(f"{stage} learns from real faces too; --data must name a folder of them.")
        values["data"] = data
    options = kind(**values)
    loop = RECURRENT_LOOP if stage == "recurrent" and preset.startswith("mobile-256") else LOOPS[preset]
    return Plan(stage, options, LoopOptions(options.steps, **loop))


def _take(stage: str, kind: type[StageOptions], given: dict[str, tuple[str, Any]]) -> dict[str, Any]:
    """The options that were given, by name; ValueError for one that the stage does not take."""
    chosen = {flag: pair for flag, pair in given.items() if pair[1]}
    for flag, (name, _) in chosen.items():
        if name not in _names(kind):
            raise ValueError(f"{stage} takes no {flag}.")
    return {name: value for name, value in chosen.values()}


def _names(kind: type[StageOptions]) -> set[str]:
    return {field.name for field in fields(kind)}


def train(
    todo: Plan, store: AssetStore, folder: Path, *, resume: bool, say: Say, material: Path | None = None
) -> Losses:
    """Run a plan in `folder` and return the last validation's measures.

    `material`: where what is learned from is kept; the run's own folder unless several share it.

    Raises ValueError when `folder` holds a run and `resume` is false, and NotFinite on a broken loss.
    """
    if (folder / "checkpoint.pt").exists() and not resume:
        raise ValueError(f"{folder} already holds a run; add --resume to go on with it, or name another --out.")
    with join_processes():
        _check_processes(todo)
        if rank() == 0:
            save_options(folder, todo.stage, todo.options)
        said = say if rank() == 0 else say_nothing
        return run(_build(todo.options, store, material or folder, said), todo.loop, folder, resume=resume, say=said)


def _check_processes(todo: Plan) -> None:
    """ValueError for a stage that cannot be shared out among processes."""
    if world() > 1 and not isinstance(todo.options, VisibleNetOptions | RecurrentOptions):
        raise ValueError(f"{todo.stage} trains in one process; start it without torchrun.")


def _build(options: StageOptions, store: AssetStore, folder: Path, say: Say) -> Stage:
    if isinstance(options, GeneratorOptions):
        return GeneratorStage(options, store, folder)
    if isinstance(options, NarrowOptions):
        return NarrowStage(options, lambda: build_narrow_parts(options, store))
    if isinstance(options, ImageEncoderOptions):
        return ImageEncoderStage(options, store, folder)
    if isinstance(options, VisibleNetOptions):
        return VisibleNetStage(options, lambda: build_episodes(options, store, folder, say))
    if isinstance(options, ParserOptions):
        return ParserStage(options, lambda: build_parser_parts(options, store, folder))
    return RecurrentStage(options, lambda: build_parts(options, store, folder, say))
