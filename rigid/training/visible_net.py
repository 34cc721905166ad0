"""Stage `visible-net`: the map that composes a frame of its warped neighbours, learnt on real triplets (Eq. 8)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from rigid.assets.store import AssetStore
from rigid.models.profiles import WEIGHTS, sizes_of
from rigid.models.visibility import VisibleNet
from rigid.reporting import Say
from rigid.training.device import DEVICE, place
from rigid.training.distributed import average_gradients, average_values, rank, world
from rigid.training.episodes import Batch, Episode, EpisodeSet, to_batch
from rigid.training.flow import load_flow
from rigid.training.framing import Cut
from rigid.training.loop import Losses, Stage, check_finite
from rigid.training.material import load_or_make_clips
from rigid.training.pictures import write_grid
from rigid.training.shipping import write_weights
from rigid.training.warping import compose_between, warp

VISIBLE_NET_FILE = "visible_net.safetensors"


@dataclass(frozen=True)
class VisibleNetOptions:
    """What the stage is trained on and how."""

    data: Path
    """Folder of real clips with an `index.json`."""
    profile: str = "mobile-256"
    seed: int = 0
    flow: Path | None = None
    """A flow estimator saved by `torch.export.save`; None for OpenCV's DIS."""
    steps: int = 100_000
    batch: int = 8
    """Triplets a step, in each process."""
    learning_rate: float = 1e-4
    frames: int = 6
    """Frames of the episodes that triplets are taken from."""
    clip_episodes: int = 8
    """Episodes of each clip."""
    window: int = 160
    """Side of the frames, a multiple of 32."""


def load_visible(path: Path | None, profile: str) -> VisibleNet:
    """The frozen visible net in `path`, or, for None, the one that ships for `profile`; ValueError without one."""
    file = path or WEIGHTS / profile / VISIBLE_NET_FILE
    if not file.is_file():
        raise ValueError(
            f"There is no visible net at {file}; train one (rigid-live train visible-net) and name it by --visible."
        )
    network = VisibleNet()
    try:
        network.load_state_dict({name: value.float() for name, value in load_file(file).items()})
    except (SafetensorError, RuntimeError) as error:
        raise ValueError(f"{file} holds no visible net, or a damaged one; train one or name another.") from error
    return place(network.eval().requires_grad_(False))


def build_episodes(options: VisibleNetOptions, store: AssetStore, folder: Path, say: Say) -> dict[str, EpisodeSet]:
    """The episodes of both splits, made now unless the run folder keeps them."""
    sizes, estimate = sizes_of(options.profile), load_flow(options.flow)
    cut = Cut(options.frames, options.clip_episodes, sizes.image_size, options.window, sizes.code_size)
    return {
        split: load_or_make_clips(folder, options.data, split, cut, estimate, store, say) for split in ("train", "val")
    }


class VisibleNetStage(Stage):
    """Trains the visible net; see `Stage`."""

    def __init__(self, options: VisibleNetOptions, make_episodes: Callable[[], dict[str, EpisodeSet]]):
        self.options = options
        episodes = make_episodes()
        self.train, self.held_out = episodes["train"], episodes["val"]
        # only now: whether episodes were made or kept, the net begins the same
        torch.manual_seed(options.seed)
        self.network: nn.Module = place(VisibleNet())
        if world() > 1 and DEVICE.type == "cuda":
            self.network = nn.SyncBatchNorm.convert_sync_batchnorm(self.network)
        self.optimizer = torch.optim.Adam(self.network.parameters(), options.learning_rate)

    def step(self, index: int) -> Losses:
        """Take one step; a loss that is not finite stops it before anything changes."""
        random = np.random.default_rng((self.options.seed, index))
        self.network.train()
        batch = self._draw(random)
        loss = F.l1_loss(self._between(batch), batch.windows[:, 1])
        values = average_values({"loss": loss.item()})
        check_finite(values, f"of {', '.join(batch.names)}")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        average_gradients(self.network.parameters())
        self.optimizer.step()
        return values

    @torch.no_grad()
    def validate(self, folder: Path) -> Losses:
        """ℓ₁ between Î_t and I_t on held-out triplets, and that of the neighbours' plain mean; a grid of some."""
        self.network.eval()
        batches = [self._held_out(i) for i in range(len(self.held_out))]
        composed = [self._between(batch) for batch in batches]
        errors = [F.l1_loss(x, batch.windows[:, 1]) for x, batch in zip(composed, batches, strict=True)]
        means = [F.l1_loss(_mean_of_neighbours(batch), batch.windows[:, 1]) for batch in batches]
        shown = slice(None, None, max(1, len(batches) // 8))
        real = torch.cat([batch.windows[:1, 1] for batch in batches[shown]])
        write_grid(folder / "visible_net.png", [real, torch.cat([x[:1] for x in composed[shown]])])
        return {"val_l1": torch.stack(errors).mean().item(), "val_l1_mean": torch.stack(means).mean().item()}

    def export(self, folder: Path) -> None:
        write_weights(folder / VISIBLE_NET_FILE, self.network.state_dict())

    @property
    def parts(self) -> dict[str, Any]:
        return {"network": self.network, "optimizer": self.optimizer}

    def _draw(self, random: np.random.Generator) -> Batch:
        """This process's part of the batch."""
        total = self.options.batch * world()
        chosen = random.integers(len(self.train), size=total)
        starts = random.integers(self.options.frames - 2, size=total)
        children = random.spawn(total)
        mine = range(rank(), total, world())
        return _triplets(
            [self.train[int(chosen[i])].part(int(starts[i]), 3) for i in mine], [children[i] for i in mine]
        )

    def _held_out(self, index: int) -> Batch:
        episode = self.held_out[index].part(index % (self.options.frames - 2), 3)
        return _triplets([episode], [np.random.default_rng(index)])

    def _between(self, batch: Batch) -> Tensor:
        before, after = batch.windows[:, 0], batch.windows[:, 2]
        return compose_between(self.network, before, after, batch.flows_back[:, 0], batch.flows_on[:, 1])


def _triplets(episodes: Sequence[Episode], randoms: Sequence[np.random.Generator]) -> Batch:
    """Three frames on end of each episode; edits have no part in this."""
    return to_batch(episodes, np.zeros((len(episodes), 1, 1), np.float32), randoms)


def _mean_of_neighbours(batch: Batch) -> Tensor:
    """Eq. 8 with half of each neighbour everywhere."""
    earlier = warp(batch.windows[:, 0], batch.flows_back[:, 0])
    return (earlier + warp(batch.windows[:, 2], batch.flows_on[:, 1])) / 2
