"""Stage `change-net`: the learned composite, taught by generated faces whose true edited selves are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rigid.assets import AssetStore
from rigid.attributes.library import load_library
from rigid.blend import feather
from rigid.models.build import (
    build_generator,
    build_image_encoder,
    build_lpips,
    build_recurrent_encoder,
    new_change_net,
    new_recurrent_encoder,
)
from rigid.models.change_net import compose
from rigid.models.profiles import has_recurrent_encoder, sizes_of
from rigid.training.changes import Changes, changes_of, kept_changes
from rigid.training.device import DEVICE, half_precision, placed
from rigid.training.fast_inference import from_bytes
from rigid.training.flow import load_flow
from rigid.training.framing import Cut, usual_mask
from rigid.training.layout import pixels_last
from rigid.training.loop import Losses, check_finite
from rigid.training.material import kept_walks
from rigid.training.pictures import write_grid
from rigid.training.rollout import Networks
from rigid.training.shipping import write_weights
from rigid.training.windows import same_window

FILE = "change_net.safetensors"
OUTSIDE = 0.1
"""Weight of what lies outside the inner face, which is not shown."""


@dataclass(frozen=True)
class ChangeNetOptions:
    """What the stage is trained on and how."""

    profile: str = "mobile-256"
    seed: int = 0
    walks: int = 160
    """Generated episodes to train on."""
    held_out: int = 16
    """Further ones to validate on."""
    frames: int = 2
    """Of each."""
    misread: float = 0.4
    """How far codes are drawn to another face's at most."""
    steps: int = 600
    batch: int = 4
    learning_rate: float = 1e-3
    perceptual_weight: float = 0.5
    residual_weight: float = 0.02
    """Of the residual's mean size: what the real pixels can show is not to be painted."""


@dataclass(frozen=True)
class Parts:
    """What the stage is put together from."""

    train: Changes
    held_out: Changes
    lpips: nn.Module
    exact_lpips: nn.Module


def build_parts(options: ChangeNetOptions, store: AssetStore, folder: Path) -> Parts:
    """The frames of the run folder, made now unless they are kept there, through the profile's shipped encoders."""
    sizes, library = sizes_of(options.profile), load_library(options.profile)
    generator = placed(build_generator(options.profile, store))
    recurrent = (build_recurrent_encoder if has_recurrent_encoder(options.profile) else new_recurrent_encoder)(
        options.profile
    )
    networks = Networks(
        placed(build_image_encoder(options.profile)),
        placed(recurrent.eval().requires_grad_(False)),
        generator,
        sizes.n_shared_codes,
        sizes.hidden_shape,
        sizes.newest_noise_share,
    )
    # the smallest window there is: nothing here looks at it
    cut = Cut(options.frames, 0, sizes.image_size, 32, sizes.code_size)

    def changes(count: int, seed: int) -> Changes:
        walks = kept_walks(
            folder, options.profile, generator, library, cut, load_flow(None), store, count=count, seed=seed
        )
        return kept_changes(folder / f"changes-{seed}.npz", lambda: changes_of(walks, networks, options.misread, seed))

    first = 2 * options.seed + 101
    lpips = placed(build_lpips(store, exact=False))
    return Parts(changes(options.walks, first), changes(options.held_out, first + 1), lpips, placed(build_lpips(store)))


class ChangeNetStage:
    """Trains the net; see `Stage`."""

    def __init__(self, options: ChangeNetOptions, make_parts: Callable[[], Parts]):
        self.options = options
        self.parts = make_parts()
        torch.manual_seed(options.seed)
        self.network = placed(new_change_net())
        self.optimizer = torch.optim.Adam(self.network.parameters(), options.learning_rate)
        face = torch.from_numpy(feather(usual_mask(self.parts.train.inputs.shape[-1])))
        self.weight = (OUTSIDE + (1 - OUTSIDE) * face).to(DEVICE)

    def step(self, index: int) -> Losses:
        """One step; a loss that is not finite stops it before anything changes."""
        random = np.random.default_rng((self.options.seed, index))
        chosen = random.integers(len(self.parts.train), size=self.options.batch)
        batch = self.parts.train.part(chosen)
        losses = self._losses(batch, random)
        values = {name: value.item() for name, value in losses.items()}
        check_finite(values, f"of frames {', '.join(map(str, chosen))}")
        for group in self.optimizer.param_groups:
            group["lr"] = self.options.learning_rate * (0.52 + 0.48 * float(np.cos(np.pi * index / self.options.steps)))
        self.optimizer.zero_grad(set_to_none=True)
        losses["loss"].backward()
        self.optimizer.step()
        return values

    @torch.no_grad()
    def validate(self, folder: Path) -> Losses:
        """ℓ₁ and LPIPS to the truth on held-out frames: of this net, and of pasting E; a grid of some."""
        held_out, found = self.parts.held_out, []
        for start in range(0, len(held_out), 6):
            batch = held_out.part(slice(start, start + 6))
            shown, truth = self._composed(batch)[0].clamp(-1, 1), from_bytes(batch.truth)
            found.append([*self._distances(shown, truth), *self._distances(from_bytes(batch.edited), truth)])
        some = held_out.part(slice(None, None, max(1, len(held_out) // 8)))
        rows = [some.inputs, some.edited, some.truth]
        grid = [*(from_bytes(row) for row in rows[:2]), self._composed(some)[0].clamp(-1, 1), from_bytes(rows[2])]
        write_grid(folder / "change_net.png", grid)
        means = np.mean(found, 0)
        return dict(zip(("val_l1", "val_lpips", "val_l1_pasted", "val_lpips_pasted"), map(float, means), strict=True))

    def export(self, folder: Path) -> None:
        write_weights(folder / FILE, self.network.state_dict())

    def state_dict(self) -> dict[str, Any]:
        return {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])

    def _losses(self, batch: Changes, random: np.random.Generator) -> dict[str, Tensor]:
        shown, residual = self._composed(batch)
        truth = from_bytes(batch.truth)
        l1 = self._l1(shown, truth)
        if random.random() < 0.5:
            views = same_window(shown, truth, random)
        else:
            views = F.avg_pool2d(shown, 2), F.avg_pool2d(truth, 2)
        with half_precision():
            lpips = self.parts.lpips(*(pixels_last(view) for view in views)).mean()
        size = residual.abs().mean()
        loss = l1 + self.options.perceptual_weight * lpips.float() + self.options.residual_weight * size
        return {"loss": loss, "l1": l1, "lpips": lpips, "residual": size}

    def _composed(self, batch: Changes) -> tuple[Tensor, Tensor]:
        """The edited faces (B, 3, S, S), and the residual in them."""
        real, inverted, edited, inputs = (
            from_bytes(pictures) for pictures in (batch.real, batch.inverted, batch.edited, batch.inputs)
        )
        with half_precision():
            pictures = F.avg_pool2d(torch.cat((real, inverted, edited, inputs), 1), 2)
            kept, residual = self.network(pixels_last(pictures))
        return compose(edited, real, inverted, kept.float(), residual.float()), residual.float()

    def _l1(self, shown: Tensor, truth: Tensor) -> Tensor:
        return (self.weight * (shown - truth).abs()).mean() / self.weight.mean()

    def _distances(self, shown: Tensor, truth: Tensor) -> tuple[float, float]:
        return self._l1(shown, truth).item(), self.parts.exact_lpips(shown, truth).mean().item()
