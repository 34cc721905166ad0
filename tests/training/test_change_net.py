"""The learned composite's stage, on changes whose truth is the edited face with the real details."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from rigid.change_model import ChangeModel
from rigid.models import build
from rigid.models.build import new_change_net
from rigid.training.change_net import ChangeNetOptions, ChangeNetStage, Parts
from rigid.training.changes import Changes, kept_changes
from rigid.training.loop import LoopOptions, run

SIZE = 32


class MeanDifference(torch.nn.Module):
    """Stands in for LPIPS."""

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return (x - y).abs().mean((1, 2, 3))


def changes(seed: int, count: int = 8) -> Changes:
    """The left half of every truth has the real details; the right half none, and is darker."""
    random = np.random.default_rng(seed)

    def picture(low: int, high: int) -> NDArray[np.uint8]:
        return random.integers(low, high, (count, 3, SIZE, SIZE), np.uint8)

    inverted = np.full((count, 3, SIZE, SIZE), 100, np.uint8)
    detail, edited = picture(0, 50), inverted + np.uint8(40)
    truth = edited.copy()
    truth[..., : SIZE // 2] += detail[..., : SIZE // 2]
    truth[..., SIZE // 2 :] -= 30
    return Changes(inverted + detail, inverted, edited, inverted + detail, truth)


def parts() -> Parts:
    return Parts(changes(0), changes(1, 4), MeanDifference(), MeanDifference())


def stage(steps: int) -> ChangeNetStage:
    return ChangeNetStage(ChangeNetOptions(steps=steps, batch=4, learning_rate=3e-3), parts)


def test_it_learns_where_to_keep_and_what_to_add(tmp_path: Path) -> None:
    trained = stage(40)
    losses = [trained.step(index)["loss"] for index in range(40)]
    assert np.mean(losses[-5:]) < 0.6 * np.mean(losses[:5])
    measures = trained.validate(tmp_path)
    assert measures["val_l1"] < 0.7 * measures["val_l1_pasted"]
    assert (tmp_path / "change_net.png").exists()


def test_it_resumes_exactly(tmp_path: Path) -> None:
    def train(name: str, stop: int, *, resume: bool = False) -> dict[str, torch.Tensor]:
        run(stage(4), LoopOptions(stop, save_every=1), tmp_path / name, resume=resume, say=lambda _: None)
        return load_file(tmp_path / name / "change_net.safetensors")

    whole = train("whole", 4)
    train("parts", 2)
    resumed = train("parts", 4, resume=True)
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


def test_changes_are_made_once(tmp_path: Path) -> None:
    made = []

    def make(seed: int) -> Changes:
        made.append(seed)
        return changes(seed, 2)

    first = kept_changes(tmp_path / "changes.npz", lambda: map(make, (0, 1)))
    again = kept_changes(tmp_path / "changes.npz", lambda: map(make, (2, 3)))
    assert made == [0, 1] and len(first) == len(again) == 4
    np.testing.assert_array_equal(first.truth, again.truth)


def test_what_was_trained_composes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage(1).export(tmp_path)
    monkeypatch.setattr(build, "WEIGHTS", tmp_path)
    model = ChangeModel(build.build_change_net())
    pictures = np.random.default_rng(0).uniform(-1, 1, (64, 64, 12)).astype(np.float32)
    kept, residual = model(pictures)
    assert kept.shape == (32, 32) and residual.shape == (32, 32, 3)
    expected = new_change_net()(torch.from_numpy(pictures).permute(2, 0, 1)[None])
    np.testing.assert_allclose(kept, expected[0][0, 0].detach(), atol=0.01)
