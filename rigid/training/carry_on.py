"""All own networks, trained in turns for as long as it is left alone: each turn goes on from what the last one gave."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count, islice
from pathlib import Path
from typing import Any

from rigid.assets.store import AssetStore
from rigid.atomic_files import replacing, write_json
from rigid.reporting import Say
from rigid.training.image_encoder import IMAGE_ENCODER_FILE
from rigid.training.loop import LoopOptions, Progress, read_progress
from rigid.training.pool import BLOCK
from rigid.training.recurrent_parts import RECURRENT_FILE
from rigid.training.stages import LIGHT_RECURRENT, PRESETS, Plan, plan, train

WEIGHTS_OF = {"image-encoder": IMAGE_ENCODER_FILE, "recurrent": RECURRENT_FILE}
"""The stages in the order that pays most, and the weights that each gives.

What the codes say holds every edit; the recurrent encoder then learns what the better codes leave over.
"""
Values = dict[str, Any]
IMAGE_ENCODER: Values = {
    "faces": 400,
    "grow_every": 10,
    "code_steps": 0,
    "picture_steps": 1_200,
    "mouth_share": 0.67,
    "picture_learning_rate": 3e-4,
    "delta_start": 0,
    "delta_every": 1,
    "fused": True,
    "real_batch": 6,
    "generated_batch": 2,
}
RECURRENT: Values = LIGHT_RECURRENT | {
    "single_steps": 160,
    "single_batch": 4,
    "episode_steps": 80,
    "single_learning_rate": 3e-4,
    "learning_rate": 1e-4,
    "walks": 60,
}
TURNS: dict[str, dict[str, Values]] = {
    # two cores that do other work besides: a turn is an evening
    "mobile-256": {"image-encoder": IMAGE_ENCODER, "recurrent": RECURRENT},
    # a big GPU: a turn is some minutes
    "mobile-256-gpu": {
        "image-encoder": IMAGE_ENCODER
        | {
            "faces": 8_000,
            "grow_every": 1,
            "picture_steps": 3_000,
            "picture_learning_rate": 6e-4,
            "real_batch": 48,
            "generated_batch": 32,
        },
        "recurrent": RECURRENT
        | {"single_steps": 1_500, "single_batch": 32, "episode_steps": 500, "episode_batch": 6, "walks": 600},
    },
    "smoke": {
        "image-encoder": PRESETS["image-encoder"]["smoke"] | {"code_steps": 0, "delta_start": 0, "mouth_share": 0.67},
        "recurrent": PRESETS["recurrent"]["smoke"],
    },
}
LOOPS = {
    "mobile-256": LoopOptions(0, log_every=5, save_every=10, validate_every=100, validate_stopped=False),
    "mobile-256-gpu": LoopOptions(0, log_every=50, save_every=250, validate_every=500, validate_stopped=False),
    "smoke": LoopOptions(0, log_every=1, save_every=2, validate_every=100, validate_stopped=False),
}


@dataclass(frozen=True)
class Turn:
    """One bounded run of a stage."""

    number: int
    stage: str
    folder: Path

    @property
    def weights(self) -> Path:
        """What it gives once it is finished."""
        return self.folder / WEIGHTS_OF[self.stage]

    @property
    def progress(self) -> Progress | None:
        """How far it has come; None before its first save."""
        return read_progress(self.folder)

    @property
    def finished(self) -> bool:
        """Whether its weights are there."""
        return self.progress is not None and self.progress.finished


def turns_in(folder: Path) -> Iterator[Turn]:
    """The turns in `folder`, those that were and, without end, those to come."""
    for number in count():
        stage = list(WEIGHTS_OF)[number % len(WEIGHTS_OF)]
        yield Turn(number, stage, folder / f"{number:03d}-{stage}")


def carry_on(preset: str, data: Path | None, store: AssetStore, folder: Path, *, turns: int | None, say: Say) -> None:
    """Train turn after turn in `folder` until a signal stops it, or until `turns` in all are done.

    The same call goes on where the last one was stopped, to the bit on a CPU. Once the recurrent encoder has learned
    to stand beside the newest image encoder, both lie in `folder/candidate`. ValueError as `plan` and `train` raise it.
    """
    if preset not in TURNS:
        raise ValueError(f"carry-on has no preset {preset!r}; choose one of: {', '.join(TURNS)}.")
    newest: dict[str, Path] = {}
    for turn in islice(turns_in(folder), turns):
        if not turn.finished:
            say(f"turn {turn.number}: {turn.stage}, in {turn.folder}")
            todo = plan_turn(preset, turn, data, newest)
            train(todo, store, turn.folder, resume=True, say=say, material=folder / "material")
            write_hours(folder)
        if not turn.finished:
            return
        newest[turn.stage] = turn.weights
        if len(newest) == len(WEIGHTS_OF) and turn.stage == list(WEIGHTS_OF)[-1]:
            offer(newest, folder / "candidate")


def plan_turn(preset: str, turn: Turn, data: Path | None, newest: dict[str, Path]) -> Plan:
    """The stage of `turn` begun from the newest weights: those of the turns before it, or those that ship."""
    todo = plan(turn.stage, "smoke" if preset == "smoke" else "mobile-256", data)
    values: Values = TURNS[preset][turn.stage] | {"initial": newest.get(turn.stage, "shipped"), "seed": turn.number}
    round_number = turn.number // len(WEIGHTS_OF)
    if turn.stage == "image-encoder":
        # the pool goes on from where the last turn's ended
        before = values["picture_steps"] // values["grow_every"] * values.get("block", BLOCK)
        values |= {"faces": values["faces"] + round_number * before}
    else:
        values |= {"image_encoder": newest.get("image-encoder"), "walk_sets": 1 + round_number}
    options = replace(todo.options, **values)
    return Plan(turn.stage, options, replace(LOOPS[preset], steps=options.steps))


def offer(newest: dict[str, Path], folder: Path) -> None:
    """Put the newest weights of all networks, which belong together, into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in newest.values():
        with replacing(folder / path.name) as part:
            part.write_bytes(path.read_bytes())


def write_hours(folder: Path) -> None:
    """Write `hours.json`: what each network came to in `folder`, in hours by the clock and of one core."""
    hours: dict[str, dict[str, float]] = {}
    for turn in turns_in(folder):
        progress = turn.progress
        if progress is None:
            break
        total = hours.setdefault(turn.stage, {"steps": 0, "hours": 0.0, "core_hours": 0.0})
        total["steps"] += progress.step
        total["hours"] += progress.seconds / 3600
        total["core_hours"] += progress.cpu_seconds / 3600
    write_json(folder / "hours.json", hours)
