"""Stage `recurrent`: the recurrent encoder learns to invert and edit coherently; all else is frozen (§3.4).

Two phases. First single frames, each after one step without gradients, learn inversion alone: many faces a
second, no edited frames, no flow. Then whole episodes learn all of Eq. 16.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rigid.training.device import DEVICE
from rigid.training.distributed import average_gradients, average_values, rank, world
from rigid.training.episodes import Batch
from rigid.training.loop import Losses, Stage, check_finite
from rigid.training.rates import set_rate
from rigid.training.recurrent_options import RecurrentOptions
from rigid.training.recurrent_parts import RECURRENT_FILE, Parts
from rigid.training.rollout import (
    Codes,
    Memory,
    advance,
    compensate,
    encode_episode,
    plain_change,
    quiet_memory,
    roll,
    show,
)
from rigid.training.shipping import write_weights


class RecurrentStage(Stage):
    """Trains the recurrent encoder; see `Stage`."""

    def __init__(self, options: RecurrentOptions, make_parts: Callable[[], Parts]):
        self.options = options
        parts = make_parts()
        self.networks, self.material, self.losses = parts.networks, parts.material, parts.losses
        self._validate = parts.validate
        self.encoder = self.networks.recurrent_encoder.train().requires_grad_()
        self.average = torch.optim.swa_utils.AveragedModel(
            self.encoder, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(options.average), use_buffers=True
        )
        self.optimizer = torch.optim.Adam(self.encoder.parameters(), options.learning_rate)

    def step(self, index: int) -> Losses:
        """Take one step; a loss that is not finite stops it before anything changes."""
        set_rate(self.optimizer, self.options.learning_rate_at(index))
        # one to draw with, one for what several processes have to choose alike
        random, alike = (np.random.default_rng((self.options.seed, index, use)) for use in range(2))
        single = index < self.options.single_steps
        count = self.options.single_batch if single else self.options.episode_batch
        batch = self.material.draw(random, count, 2 if single else self.options.frames)
        quiet = random.random(count * world())[rank() :: world()] < self.options.quiet
        advance_one = self._single if single else self._episode
        losses = advance_one(batch, torch.from_numpy(quiet).to(DEVICE), alike)
        values = average_values({name: value.item() for name, value in losses.items()})
        check_finite(values, f"of {', '.join(batch.names)}")
        return values | {"gradient": self._descend(losses["loss"])}

    def validate(self, folder: Path) -> Losses:
        """MSE and LPIPS of live inversion on the validation clips, means over clips; a grid of them."""
        return self._validate(replace(self.networks, recurrent_encoder=self._average()), folder)

    def export(self, folder: Path) -> None:
        write_weights(folder / RECURRENT_FILE, self._average().state_dict())

    @property
    def parts(self) -> dict[str, Any]:
        return {"encoder": self.encoder, "average": self.average, "optimizer": self.optimizer}

    def _single(self, batch: Batch, quiet: Tensor, random: np.random.Generator) -> dict[str, Tensor]:
        """The second of two frames; the first only makes what is handed on."""
        codes = encode_episode(self.networks, batch.inputs, batch.edits)
        memory = self._second_memory(batch, codes, quiet)
        if self.options.change_weight:
            step = advance(self.networks, batch.inputs[:, 1], codes, 1, memory)
            return self.losses.of_single(batch, step, 1, random, plain_change(self.networks, codes, 1))
        edited = batch.known if self.options.edit_weight else []
        step = advance(self.networks, batch.inputs[:, 1], codes, 1, memory, edited)
        return self.losses.of_single(batch, step, 1, random)

    @torch.no_grad()
    def _second_memory(self, batch: Batch, codes: Codes, quiet: Tensor) -> Memory:
        """What the first frame hands to the second: its pictures, or, where all is quiet, the real face."""
        first = batch.inputs[:, 0]
        found = compensate(self.networks, first, quiet_memory(self.networks, first))
        inverted, edited, loud = first.clone(), first.clone(), (~quiet).nonzero().flatten().tolist()
        if loud:
            inverted[loud], edited[loud] = show(self.networks, codes, 0, found, loud, loud)
        return Memory(first, inverted, edited, found.hidden, found.cell, found.noise)

    def _episode(self, batch: Batch, quiet: Tensor, random: np.random.Generator) -> dict[str, Tensor]:
        codes = encode_episode(self.networks, batch.inputs, batch.edits)
        steps = list(roll(self.networks, batch.inputs, codes, quiet, self.options.truncation))
        held = range(batch.frames) if self.options.change_weight else ()
        changes = [plain_change(self.networks, codes, t) for t in held]
        return self.losses.of_episode(batch, steps, random, changes)

    def _descend(self, loss: Tensor) -> float:
        """One step of the optimiser; the norm of the gradient, before it was clipped."""
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        average_gradients(self.encoder.parameters())
        norm = torch.nn.utils.clip_grad_norm_(self.encoder.parameters(), self.options.clip_norm)
        self.optimizer.step()
        self.average.update_parameters(self.encoder)
        return norm.item()

    def _average(self) -> nn.Module:
        network = self.average.module
        assert isinstance(network, nn.Module)
        return network.eval()
