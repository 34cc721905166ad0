"""The training loop, driven by a stage of one linear layer."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from rigid.reporting import say_nothing
from rigid.training.loop import LoopOptions, Losses, NotFinite, Stage, read_progress, run


class Killed(BaseException):
    """Stands for a process that ends without a word."""


class LineStage(Stage):
    """Learns y = 3x - 1; may be told to break, or to ask for a stop, at a step."""

    def __init__(self, *, breaks_at: int | None = None, stops_at: int | None = None) -> None:
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(1, 1)
        self.optimizer = torch.optim.Adam(self.layer.parameters(), 0.05)
        self.breaks_at, self.stops_at = breaks_at, stops_at

    def step(self, index: int) -> Losses:
        x = torch.randn(16, 1, generator=torch.Generator().manual_seed(index))
        loss = (self.layer(x) - (3 * x - 1)).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        if index == self.stops_at:
            os.kill(os.getpid(), signal.SIGTERM)
        return {"loss": float("nan") if index == self.breaks_at else loss.item()}

    def validate(self, folder: Path) -> Losses:
        return {"weight": self.layer.weight.item()}

    def export(self, folder: Path) -> None:
        (folder / "line.txt").write_text(str(self.layer.weight.item()))

    @property
    def parts(self) -> dict[str, Any]:
        return {"layer": self.layer, "optimizer": self.optimizer}


def options(steps: int) -> LoopOptions:
    return LoopOptions(steps, log_every=1, save_every=2, validate_every=100)


def test_the_loss_falls_and_the_log_holds_it(tmp_path: Path) -> None:
    run(LineStage(), options(60), tmp_path, resume=False, say=say_nothing)
    losses = [json.loads(line).get("loss") for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert losses[59] < 0.5 * losses[0]
    assert (tmp_path / "line.txt").exists()


def test_a_resumed_run_ends_where_an_unbroken_one_does(tmp_path: Path) -> None:
    whole = run(LineStage(), options(9), tmp_path / "whole", resume=False, say=say_nothing)
    run(LineStage(), options(5), tmp_path / "parts", resume=False, say=say_nothing)
    parts = run(LineStage(), options(9), tmp_path / "parts", resume=True, say=say_nothing)
    assert parts == whole


def test_a_signal_saves_and_stops_and_the_run_goes_on_from_there(tmp_path: Path) -> None:
    whole = run(LineStage(), options(9), tmp_path / "whole", resume=False, say=say_nothing)
    run(LineStage(stops_at=4), options(9), tmp_path / "parts", resume=False, say=say_nothing)
    assert torch.load(tmp_path / "parts" / "checkpoint.pt", weights_only=True)["progress"]["step"] == 5
    assert run(LineStage(), options(9), tmp_path / "parts", resume=True, say=say_nothing) == whole


@pytest.mark.slow
def test_the_time_of_all_parts_is_added_up_and_the_end_is_noted(tmp_path: Path) -> None:
    run(LineStage(), options(5), tmp_path, resume=False, say=say_nothing)
    first = read_progress(tmp_path)
    assert first is not None and first.finished and first.seconds > 0
    run(LineStage(stops_at=6), options(9), tmp_path, resume=True, say=say_nothing)
    stopped = read_progress(tmp_path)
    assert stopped is not None and (stopped.step, stopped.of, stopped.finished) == (7, 9, False)
    assert stopped.seconds > first.seconds and stopped.cpu_seconds > first.cpu_seconds


def test_a_run_killed_between_two_saves_ends_where_an_unbroken_one_does(tmp_path: Path) -> None:
    def die(line: str) -> None:
        if line.startswith("5/"):
            raise Killed

    whole = run(LineStage(), options(9), tmp_path / "whole", resume=False, say=say_nothing)
    with pytest.raises(Killed):
        run(LineStage(), options(9), tmp_path / "parts", resume=False, say=die)
    assert run(LineStage(), options(9), tmp_path / "parts", resume=True, say=say_nothing) == whole


def test_a_signal_in_the_last_step_still_leaves_the_weights(tmp_path: Path) -> None:
    unvalidated = replace(options(5), validate_stopped=False)
    run(LineStage(stops_at=4), unvalidated, tmp_path / "last", resume=False, say=say_nothing)
    progress = read_progress(tmp_path / "last")
    assert progress is not None and progress.finished and (tmp_path / "last" / "line.txt").exists()
    run(LineStage(stops_at=2), unvalidated, tmp_path / "earlier", resume=False, say=say_nothing)
    progress = read_progress(tmp_path / "earlier")
    assert progress is not None and not progress.finished and not (tmp_path / "earlier" / "line.txt").exists()


def test_a_run_killed_in_its_last_validation_is_validated_anew(tmp_path: Path) -> None:
    class Fragile(LineStage):
        def validate(self, folder: Path) -> Losses:
            raise Killed

    whole = run(LineStage(), options(4), tmp_path / "whole", resume=False, say=say_nothing)
    with pytest.raises(Killed):
        run(Fragile(), options(4), tmp_path / "parts", resume=False, say=say_nothing)
    progress = read_progress(tmp_path / "parts")
    assert progress is not None and progress.step == 4 and not progress.finished
    assert run(LineStage(), options(4), tmp_path / "parts", resume=True, say=say_nothing) == whole


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_good_state(tmp_path: Path) -> None:
    with pytest.raises(NotFinite, match="step 5"):
        run(LineStage(breaks_at=5), options(9), tmp_path, resume=False, say=say_nothing)
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["progress"]["step"] == 4
