"""The one training loop: options saved, losses logged, checkpoints that resume exactly.

Under `torchrun` every process runs it; the first alone writes files.
"""

from __future__ import annotations

import json
import math
import os
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from rigid.atomic_files import write_json
from rigid.reporting import Say
from rigid.training.curves import open_board, write_curves
from rigid.training.distributed import any_of, average_values, rank, wait_for_all

Losses = dict[str, float]
Report = Callable[[int, Losses], None]


class NotFinite(RuntimeError):
    """A loss was NaN or infinite; the last good checkpoint stands."""


class BadBatch(NotFinite):
    """A stage saw such a loss before it changed anything: its state is still good."""


def check_finite(losses: Losses, batch: str) -> None:
    """BadBatch, naming the batch, unless all `losses` are finite."""
    bad = {name: value for name, value in losses.items() if not math.isfinite(value)}
    if bad:
        raise BadBatch(f"{', '.join(f'{name} is {value}' for name, value in bad.items())} in the batch {batch}")


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
    validate_stopped: bool = True
    """Whether a run that is stopped before its end is validated too, which takes a while."""


@dataclass(frozen=True)
class Progress:
    """How far a run has come, over all its resumptions."""

    step: int
    of: int
    seconds: float = 0.0
    """Time by the wall's clock, validations included."""
    cpu_seconds: float = 0.0
    """Time of all cores together: what it came to on a machine that does other work besides."""
    finished: bool = False
    """Whether all steps are done and the weights are written."""


class Clock:
    """Adds this process's time to what a run took before."""

    def __init__(self, before: Progress) -> None:
        self._before = before
        self._started = time.monotonic(), time.process_time()

    def at(self, step: int) -> Progress:
        """The progress once `step` steps are done."""
        wall, cpu = time.monotonic() - self._started[0], time.process_time() - self._started[1]
        return replace(
            self._before, step=step, seconds=self._before.seconds + wall, cpu_seconds=self._before.cpu_seconds + cpu
        )


def read_progress(folder: Path) -> Progress | None:
    """How far the run in `folder` has come; None before its first save."""
    path = folder / "progress.json"
    return Progress(**json.loads(path.read_text())) if path.exists() else None


class Stage(ABC):
    """One thing to train. All that decides the next step lies in its `parts`."""

    @property
    @abstractmethod
    def parts(self) -> dict[str, Any]:
        """Networks, optimisers and schedules by name, each with a `state_dict`."""

    @abstractmethod
    def step(self, index: int) -> Losses:
        """Take one optimiser step; the losses that were seen."""

    @abstractmethod
    def validate(self, folder: Path) -> Losses:
        """Measures on held-out data; may write picture grids into `folder`."""

    @abstractmethod
    def export(self, folder: Path) -> None:
        """Write the weights as they ship into `folder`."""

    def state_dict(self) -> dict[str, Any]:
        """The states of all parts."""
        return {name: part.state_dict() for name, part in self.parts.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from what `state_dict` gave."""
        for name, part in self.parts.items():
            part.load_state_dict(state[name])


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
    begun = _load(stage, checkpoint) if resume and checkpoint.exists() else Progress(0, options.steps)
    clock = Clock(replace(begun, of=options.steps))
    done, measures, stopping = begun.step, Losses(), False
    with _stop_on_signal() as stopped, _open_report(folder, options.steps, say) as report:
        while done < options.steps and not stopping:
            losses = _step(stage, done, checkpoint, clock)
            done += 1
            stopping = any_of(stopped())
            last = done == options.steps or stopping
            if done % options.log_every == 0 or last:
                report(done, losses)
            if (done % options.save_every == 0 or last) and rank() == 0:
                _save(stage, checkpoint, clock.at(done))
            if done % options.validate_every == 0 and not last:
                measures = _validate(stage, folder, done, report)
        if done == options.steps or options.validate_stopped:
            measures = _validate(stage, folder, done, report)
    if rank() == 0:
        _note(folder, replace(clock.at(done), finished=done == options.steps))
    return measures


def _step(stage: Stage, index: int, checkpoint: Path, clock: Clock) -> Losses:
    """One step of the stage, its losses the means over all processes; NotFinite says where the good state is."""
    try:
        losses = average_values(stage.step(index))
    except BadBatch as error:
        if rank() == 0:
            _save(stage, checkpoint, clock.at(index))
        raise NotFinite(f"step {index}: {error}; the state before it is in {checkpoint}") from error
    if not all(math.isfinite(value) for value in losses.values()):
        raise NotFinite(f"step {index}: {losses}; the last good state is in {checkpoint}")
    return losses


def _validate(stage: Stage, folder: Path, done: int, report: Report) -> Losses:
    measures: Losses = {}
    if rank() == 0:
        measures = stage.validate(folder)
        report(done, measures)
        stage.export(folder)
        write_curves(folder / "log.jsonl", folder / "curves.png")
    wait_for_all()
    return measures


@contextmanager
def _open_report(folder: Path, steps: int, say: Say) -> Iterator[Report]:
    """What takes values as they come: a line for the user, one in `log.jsonl`, and TensorBoard's curves."""
    if rank() > 0:
        yield lambda done, values: None
        return
    started = time.monotonic()
    board = open_board(folder, say)
    with (folder / "log.jsonl").open("a", buffering=1) as log:

        def report(done: int, values: Losses) -> None:
            seconds = time.monotonic() - started
            log.write(json.dumps({"step": done, "seconds": round(seconds, 1), **values}) + "\n")
            for name, value in values.items() if board is not None else ():
                board.add_scalar(name, value, done)
            say(f"{done}/{steps} {seconds:.0f}s " + " ".join(f"{name} {value:.4f}" for name, value in values.items()))

        try:
            yield report
        finally:
            if board is not None:
                board.close()


def _save(stage: Stage, path: Path, progress: Progress) -> None:
    temporary = path.with_suffix(".part")
    torch.save({"progress": asdict(progress), "stage": stage.state_dict()}, temporary)
    os.replace(temporary, path)
    _note(path.parent, progress)


def _note(folder: Path, progress: Progress) -> None:
    write_json(folder / "progress.json", asdict(progress))


def _load(stage: Stage, path: Path) -> Progress:
    saved = torch.load(path, map_location="cpu", weights_only=True)
    stage.load_state_dict(saved["stage"])
    saved_at, noted = Progress(**saved["progress"]), read_progress(path.parent)
    # what a validation took after the last save counts as well
    return noted if noted is not None and noted.step == saved_at.step else saved_at


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
