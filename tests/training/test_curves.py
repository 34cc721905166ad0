"""Curves of a run, as a PNG and for TensorBoard."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from rigid.training.curves import open_board, read_log, running_mean, write_curves


def write_log(path: Path) -> None:
    lines = [{"step": i, "seconds": 1.0, "loss": 1 / i} for i in (*range(1, 30), 29)]
    lines[-1]["loss"] = 0.5
    lines.append({"step": 29, "seconds": 2.0, "val_mse": float("nan")})
    path.write_text("\n".join(json.dumps(line) for line in lines))


def test_a_step_logged_twice_counts_once(tmp_path: Path) -> None:
    write_log(tmp_path / "log.jsonl")
    curves = read_log(tmp_path / "log.jsonl")
    assert list(curves) == ["loss"] and len(curves["loss"]) == 29 and curves["loss"][-1] == (29, 0.5)


def test_the_curves_are_drawn(tmp_path: Path) -> None:
    write_log(tmp_path / "log.jsonl")
    write_curves(tmp_path / "log.jsonl", tmp_path / "curves.png")
    picture = cv2.imread(str(tmp_path / "curves.png"))
    assert picture is not None and np.ptp(picture) > 100
    assert sorted(path.name for path in tmp_path.iterdir()) == ["curves.png", "log.jsonl"]


def test_the_running_mean_is_shorter_at_the_ends() -> None:
    assert running_mean(np.array([0.0, 3.0, 6.0, 9.0]), 1).tolist() == [1.5, 3.0, 6.0, 7.5]


def test_tensorboard_gets_its_events(tmp_path: Path) -> None:
    said: list[str] = []
    board = open_board(tmp_path, said.append)
    board.add_scalar("loss", 0.5, 1)
    board.close()
    events = list((tmp_path / "tensorboard").iterdir())
    assert not said and len(events) == 1 and b"loss" in events[0].read_bytes()


def test_without_tensorboard_that_is_said_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    said: list[str] = []
    assert open_board(tmp_path, said.append) is None
    assert len(said) == 1 and "rigid-live[train]" in said[0] and not list(tmp_path.iterdir())
