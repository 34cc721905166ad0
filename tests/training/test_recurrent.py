"""The recurrent stage on tiny networks: it learns, resumes to the bit, stops at what is no number, is shared out."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from rigid.reporting import say_nothing
from rigid.training.device import DEVICE
from rigid.training.loop import LoopOptions, Losses, NotFinite, run
from rigid.training.recurrent import RecurrentStage
from rigid.training.recurrent_options import RecurrentOptions
from tests.ports import free_port
from tests.training.parts import tiny_options, tiny_parts

ROOT = Path(__file__).parents[2]


def stage_in(folder: Path, options: RecurrentOptions) -> RecurrentStage:
    return RecurrentStage(options, lambda: tiny_parts(options, folder))


def train(folder: Path, options: RecurrentOptions, *, steps: int | None = None, resume: bool = False) -> Losses:
    loop = LoopOptions(steps or options.steps, log_every=1, save_every=2, validate_every=100)
    return run(stage_in(folder, options), loop, folder, resume=resume, say=say_nothing)


def losses_of(stage: RecurrentStage, steps: range) -> list[float]:
    return [stage.step(index)["loss"] for index in steps]


@pytest.mark.parametrize(("single", "episodes"), [(30, 0), (0, 20)])
def test_each_phase_learns(tmp_path: Path, single: int, episodes: int) -> None:
    options = tiny_options(single_steps=single, episode_steps=episodes, learning_rate=1e-2, single_learning_rate=1e-2)
    stage = stage_in(tmp_path, options)
    losses = losses_of(stage, range(options.steps))
    again = losses_of(stage, range(6))
    assert np.mean(again) < 0.8 * np.mean(losses[:6]), "on the very batches it began with"


@pytest.mark.slow
def test_a_resumed_run_ends_where_an_unbroken_one_does(tmp_path: Path) -> None:
    options = tiny_options()
    whole = train(tmp_path / "whole", options)
    train(tmp_path / "parts", options, steps=4)
    assert train(tmp_path / "parts", options, resume=True) == whole
    files = [load_file(tmp_path / name / "recurrent_encoder.safetensors") for name in ("whole", "parts")]
    assert all(torch.equal(value, files[1][name]) for name, value in files[0].items())
    assert all(value.dtype == torch.float16 for value in files[0].values())


def test_what_is_frozen_stays(tmp_path: Path) -> None:
    stage = stage_in(tmp_path, tiny_options())
    parts = (stage.networks.image_encoder, stage.networks.generator)
    before = [{name: value.clone() for name, value in part.state_dict().items()} for part in parts]
    moving = {name: value.clone() for name, value in stage.encoder.state_dict().items()}
    losses_of(stage, range(6))
    for part, old in zip(parts, before, strict=True):
        assert all(torch.equal(value, old[name]) for name, value in part.state_dict().items())
    learnt = {name: value for name, value in stage.encoder.state_dict().items() if value.dim() > 1}
    assert not any(torch.equal(value, moving[name]) for name, value in learnt.items())


@pytest.mark.slow
def test_a_loss_that_is_no_number_names_its_batch_and_keeps_the_state(tmp_path: Path) -> None:
    options = tiny_options(single_batch=1)
    train(tmp_path, options, steps=1)
    stage = stage_in(tmp_path, options)
    original = stage.losses.of_single

    def broken(*arguments: object) -> dict[str, torch.Tensor]:
        losses = original(*arguments)  # type: ignore[arg-type]
        return losses | {"lpips": losses["lpips"] * torch.nan}

    stage.losses.of_single = broken  # type: ignore[method-assign, assignment]
    with pytest.raises(NotFinite, match=r"step 1: lpips is nan in the batch of drift \d; the state before it"):
        run(stage, LoopOptions(6), tmp_path, resume=True, say=say_nothing)
    saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert saved["progress"]["step"] == 1
    assert all(torch.isfinite(value).all() for value in saved["stage"]["encoder"].values())
    assert train(tmp_path, options, resume=True)


@pytest.mark.parametrize("name", ["ibfcc", "tc"])
def test_ablations_leave_a_loss_out(tmp_path: Path, name: str) -> None:
    losses = stage_in(tmp_path, tiny_options(single_steps=0, without=(name,))).step(0)
    assert name not in losses and "l2" in losses


def test_the_learning_rate_warms_up_and_falls_in_each_phase() -> None:
    options = tiny_options(single_steps=100, episode_steps=100, single_learning_rate=1.0, final_rate=0.1)
    options = replace(options, learning_rate=0.5)
    rates = [options.learning_rate_at(index) for index in range(200)]
    assert max(rates[:100]) == pytest.approx(1, abs=0.01) and max(rates[100:]) == pytest.approx(0.5, abs=0.01)
    assert rates[0] < 0.1 and rates[100] < 0.1
    assert rates[99] == pytest.approx(0.1, abs=0.01) and rates[199] == pytest.approx(0.05, abs=0.01)


WORKER = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from rigid.training.distributed import join_processes, rank
from tests.training.test_recurrent import train_little
folder = Path(sys.argv[1])
with join_processes():
    result = train_little(folder, batch=1)
    if rank() == 0:
        torch.save(result, folder / "result.pt")
"""


def train_little(folder: Path, batch: int) -> tuple[list[float], dict[str, Tensor]]:
    """The losses of four steps with so many samples in each process, and what the encoder then is."""
    options = tiny_options(single_steps=2, episode_steps=2, single_batch=batch, episode_batch=batch)
    stage = stage_in(folder, options)
    return losses_of(stage, range(options.steps)), stage.encoder.state_dict()


def start_two(folder: Path) -> list[subprocess.Popen[bytes]]:
    """Train a little in two processes, which are told what `torchrun` tells those that it starts."""
    told = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    environment = os.environ | told | {"CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)}
    return [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(folder)],
            env=environment | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            cwd=ROOT,
        )
        for rank in range(2)
    ]


@pytest.mark.slow
def test_two_processes_do_what_one_does_with_the_joint_batch(tmp_path: Path) -> None:
    start_state = tiny_parts(tiny_options(), tmp_path).networks.recurrent_encoder.state_dict()
    workers = start_two(tmp_path)
    losses, encoder = train_little(tmp_path, batch=2)
    assert [worker.wait(300) for worker in workers] == [0, 0]
    shared_losses, shared_encoder = torch.load(tmp_path / "result.pt", weights_only=True, map_location=DEVICE)
    assert shared_losses == pytest.approx(losses, rel=1e-2)
    for name, value in encoder.items():
        moved = (value - start_state[name]).norm()
        assert (shared_encoder[name] - value).norm() < 0.1 * moved + 1e-6, name
