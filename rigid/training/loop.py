"""The one training loop: options saved, losses logged, checkpoints that resume exactly."""

from __future__ import annotations

import json
import math
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import torch

Losses = dict[str, float]
Say = Callable[[str], None]


class NotFinite(RuntimeError):
    """A loss was NaN or infinite; the last good checkpoint stands."""


@dataclass(frozen=True)
class LoopOptions:
    """How long a stage runs and how often it reports."""

    steps: int
    """Optimiser steps in all."""
    log_every: int = 50
    """Steps between two lines of the log."""
    save_every: int = 250
    """Steps between two checkpoints."""
    validate_every: int = 500
    """Steps between two validations; also run at the end."""


class Stage(Protocol):
    """One thing to train. All that decides the next step lies in `state_dict`."""

    def step(self, index: int) -> Losses:
        """One optimiser step; the losses that were seen."""

    def validate(self, folder: Path) -> Losses:
        """Measures on held-out data; may write picture grids into `folder`."""

    def export(self, folder: Path) -> None:
        """Write the weights as they ship into `folder`."""

    def state_dict(self) -> dict[str, Any]:
        """Networks, optimisers and random states."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` gave."""


def save_options(folder: Path, stage: str, options: object) -> None:
    """Write `training_options.json` beside the checkpoints."""
    assert not isinstance(options, type)
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"stage": stage, **asdict(options)}, indent=2, default=str)  # type: ignore[call-overload]
    (folder / "training_options.json").write_text(text + "\n")


def run(stage: Stage, options: LoopOptions, folder: Path, *, resume: bool, say: Say = print) -> Losses:
    """Train until `options.steps`, or until SIGINT or SIGTERM; returns the last validation's measures."""
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / "checkpoint.pt"
    first = _load(stage, checkpoint) if resume and checkpoint.exists() else 0
    measures: Losses = {}
    started = time.monotonic()
    with _stop_on_signal() as stopped, (folder / "log.jsonl").open("a") as log:
        for index in range(first, options.steps):
            losses = stage.step(index)
            if not all(math.isfinite(value) for value in losses.values()):
                raise NotFinite(f"step {index}: {losses}; the last good state is in {checkpoint}")
            done = index + 1
            last = done == options.steps or stopped()
            if done % options.log_every == 0 or last:
                _report(log.write, say, done, options.steps, losses, time.monotonic() - started)
                log.flush()
            if done % options.save_every == 0 or last:
                _save(stage, checkpoint, done)
            if done % options.validate_every == 0 or last:
                measures = stage.validate(folder)
                _report(log.write, say, done, options.steps, measures, time.monotonic() - started)
                stage.export(folder)
            if last:
                break
    return measures


def _report(write: Callable[[str], object], say: Say, done: int, steps: int, values: Losses, seconds: float) -> None:
    write(json.dumps({"step": done, "seconds": round(seconds, 1), **values}) + "\n")
    say(f"{done}/{steps} {seconds:.0f}s " + " ".join(f"{name} {value:.4f}" for name, value in values.items()))


def _save(stage: Stage, path: Path, done: int) -> None:
    temporary = path.with_suffix(".part")
    torch.save({"step": done, "stage": stage.state_dict()}, temporary)
    os.replace(temporary, path)


def _load(stage: Stage, path: Path) -> int:
    saved = torch.load(path, map_location="cpu", weights_only=True)
    stage.load_state_dict(saved["stage"])
    return int(saved["step"])


@contextmanager
def _stop_on_signal() -> Iterator[Callable[[], bool]]:
    asked: list[int] = []

    def ask(number: int, _: FrameType | None) -> None:
        asked.append(number)

    previous = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
