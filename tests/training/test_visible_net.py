"""The visible net's stage, on triplets of which one neighbour is hidden."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from rigid.reporting import say_nothing
from rigid.training.episodes import Episode, EpisodeSet, load_or_make_episodes
from rigid.training.loop import LoopOptions, Losses, run
from rigid.training.visible_net import VisibleNetOptions, VisibleNetStage, load_visible
from tests.training.episodes import tiny_episode


def half_hidden(seed: int) -> Episode:
    """A drifting picture; half of the first and of the last frame is black: of any triplet, of one neighbour."""
    episode = tiny_episode(seed)
    windows = episode.windows.copy()
    windows[::3, :, :, 16:] = 0
    return replace(episode, windows=windows)


def sets(folder: Path) -> dict[str, EpisodeSet]:
    def make(first: int) -> Iterator[Episode]:
        return (half_hidden(seed) for seed in range(first, first + 2))

    return {
        "train": load_or_make_episodes(folder / "train", lambda: make(0)),
        "val": load_or_make_episodes(folder / "val", lambda: make(3)),
    }


def options(steps: int) -> VisibleNetOptions:
    return VisibleNetOptions(Path("."), steps=steps, batch=4, learning_rate=3e-3, frames=4, window=32)


def train(folder: Path, steps: int, *, stop: int | None = None, resume: bool = False) -> Losses:
    stage = VisibleNetStage(options(steps), lambda: sets(folder / "episodes"))
    loop = LoopOptions(stop or steps, log_every=1, save_every=2)
    return run(stage, loop, folder, resume=resume, say=say_nothing)


@pytest.mark.slow
def test_it_learns_and_ships(tmp_path: Path) -> None:
    stage = VisibleNetStage(options(30), lambda: sets(tmp_path))
    losses = [stage.step(index)["loss"] for index in range(30)]
    assert np.mean(losses[-5:]) < 0.6 * np.mean(losses[:5])
    measures = stage.validate(tmp_path)
    assert measures["val_l1"] < 0.8 * measures["val_l1_mean"], "better than the mean of both"
    assert (tmp_path / "visible_net.png").exists()
    stage.export(tmp_path)
    network = load_visible(tmp_path / "visible_net.safetensors", "mobile-256")
    pair = torch.rand(1, 6, 32, 32)
    stage.network.eval()
    assert torch.allclose(network(pair), stage.network(pair), atol=0.02) and not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.slow
def test_a_resumed_run_ends_where_an_unbroken_one_does(tmp_path: Path) -> None:
    whole = train(tmp_path / "whole", 5)
    train(tmp_path / "parts", 5, stop=3)
    assert train(tmp_path / "parts", 5, resume=True) == whole
    files = [load_file(tmp_path / name / "visible_net.safetensors") for name in ("whole", "parts")]
    assert all(torch.equal(value, files[1][name]) for name, value in files[0].items())


def test_a_missing_or_foreign_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no visible net at .*nowhere.*train visible-net"):
        load_visible(tmp_path / "nowhere.safetensors", "mobile-256")
    save_file({"weight": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    with pytest.raises(ValueError, match=r"foreign\.safetensors holds no visible net"):
        load_visible(tmp_path / "foreign.safetensors", "mobile-256")
    (tmp_path / "damaged.safetensors").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"damaged\.safetensors holds no visible net"):
        load_visible(tmp_path / "damaged.safetensors", "mobile-256")
