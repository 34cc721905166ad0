"""The recurrent stage put together from tiny networks and episodes made by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rigid.edits.attribute import Attribute
from rigid.edits.library import AttributeLibrary
from rigid.training.device import place
from rigid.training.flow import DisFlow
from rigid.training.loop import Losses
from rigid.training.material import Material, Source
from rigid.training.recurrent_losses import RecurrentLosses
from rigid.training.recurrent_options import RecurrentOptions
from rigid.training.recurrent_parts import Parts
from rigid.training.rollout import Networks
from tests.networks import SIZES, random_networks, untrained_recurrent_encoder
from tests.training.episodes import N_CODES, tiny_set


class Even(nn.Module):
    """A visible net that finds both neighbours as good as each other."""

    def forward(self, pair: Tensor) -> Tensor:
        return torch.full_like(pair[:, :1], 0.5)


class Distance(nn.Module):
    """Stands for LPIPS: mean squared difference of pictures a quarter the size."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return (F.avg_pool2d(x, 4) - F.avg_pool2d(y, 4)).square().mean((1, 2, 3))


class Painter(nn.Module):
    """A generator that shows its noise map's first channels on a ground of its codes' colour."""

    def forward(self, codes: Tensor, noise: Tensor | None = None) -> Tensor:
        ground = codes.mean(1)[:, :3, None, None].expand(-1, -1, SIZES.image_size, SIZES.image_size)
        return ground if noise is None else ground + F.interpolate(noise[:, :3].float(), scale_factor=8)


def tiny_library() -> AttributeLibrary:
    direction = np.random.default_rng(5).normal(0, 0.2, (N_CODES, SIZES.code_size)).astype(np.float32)
    attribute = Attribute("smile", "Smile", "expression", -1.0, 1.0, 0.0, "strength", "made by hand", direction)
    return AttributeLibrary([attribute], n_codes=N_CODES, code_size=SIZES.code_size)


def tiny_networks() -> Networks:
    """Random but fixed; the recurrent encoder is untrained, and the generator quick to learn to use."""
    networks = random_networks(seed=1)
    with torch.random.fork_rng():
        torch.manual_seed(2)
        encoder = place(untrained_recurrent_encoder())
    return Networks(
        place(networks.image_encoder),
        encoder,
        Painter(),
        SIZES.n_shared_codes,
        SIZES.hidden_shape,
    )


def tiny_losses(options: RecurrentOptions) -> RecurrentLosses:
    return RecurrentLosses(options.weights, Distance(), Even(), DisFlow())


def no_validation(networks: Networks, folder: Path) -> Losses:
    return {"val_mse": float(next(networks.recurrent_encoder.parameters()).detach().abs().mean())}


def tiny_parts(options: RecurrentOptions, folder: Path) -> Parts:
    """Two kinds of episodes, real ones and walks, kept in `folder`."""
    sources = [Source(tiny_set(folder / name, edited=name == "walks"), 0.5) for name in ("real", "walks")]
    material = Material(sources, tiny_library(), SIZES.n_shared_codes)
    return Parts(tiny_networks(), material, tiny_losses(options), no_validation)


def tiny_options(**values: Any) -> RecurrentOptions:
    """Options for `tiny_parts`; nothing is read from the data folder."""
    usual: dict[str, Any] = {"frames": 4, "single_steps": 3, "episode_steps": 3, "single_batch": 2, "quiet": 0.5}
    usual |= {"learning_rate": 1e-3, "single_learning_rate": 1e-3, "edit_weight": 0.5, "offset_weight": 0.1}
    return RecurrentOptions(data=Path("."), **usual | values)
