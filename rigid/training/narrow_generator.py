"""Stage `narrow-generator`: the end of the generator with fewer features, made from the wide one of `generator`.

It begins as what `narrow` makes of the wide end in closed form and is then distilled from it, on patches of
pictures that streams make: real faces, inverted by the encoders that ship and edited. Pixels, wavelets, LPIPS.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from rigid.assets.store import AssetStore
from rigid.models.build import build_lpips, build_mobile_generator, build_untuned_generator
from rigid.models.mobile_stylegan import MobileStyleGAN, haar
from rigid.models.weights import TUNED_PARTS
from rigid.training.device import half_precision, place
from rigid.training.loop import Losses, Stage
from rigid.training.narrowing import End, narrow
from rigid.training.pictures import write_grid
from rigid.training.rates import cosine, typical_size
from rigid.training.shipping import Initial, read_part, write_weights
from rigid.training.stream_pictures import StreamPictures, draw_pictures

LPIPS_EVERY = 3
"""Steps from one that looks at LPIPS too, which costs as much as the rest of a step, to the next."""


@dataclass(frozen=True)
class NarrowOptions:
    """What the stage is trained on and how."""

    data: Path
    wide: Path
    """The weights of the wide end, as the stage `generator` writes them."""
    profile: str = "mobile-256"
    initial: Initial = "new"
    """The narrower end to begin with: "new" is solved from the wide one, "shipped" what ships, or a file."""
    seed: int = 0
    clip_frames: int = 3
    """Frames of each clip, of each of which the inverted and the edited face are learned from."""
    stills: int = 40
    dyed: float = 0.0
    """Share of the pictures whose hair is edited, beside what is drawn of that by chance."""
    closed_form: int = 24
    """Pictures from which the narrower end is solved."""
    batch: int = 4
    patch: int = 32
    """Side of a patch in the features that enter the end, a quarter of its side in the picture."""
    margin: int = 12
    """Pixels along a patch's edges that are not compared, as they do not see what lies beyond."""
    learning_rate: float = 0.004
    """The learning rate of each parameter, as a share of its typical size."""
    square_weight: float = 2.0
    wavelet_weight: float = 0.5
    perceptual_weight: float = 0.3
    steps: int = 2400


@dataclass(frozen=True)
class NarrowParts:
    """What the stage is put together from."""

    wide: End
    generator: MobileStyleGAN
    """With the narrower end."""
    train: StreamPictures
    validation: StreamPictures
    lpips: nn.Module


def build_narrow_parts(options: NarrowOptions, store: AssetStore) -> NarrowParts:
    """The wide generator of `options.wide`, the profile's narrower one, and pictures of the data's faces."""
    wide = build_untuned_generator(options.profile, store)
    read_part(wide, options.wide, TUNED_PARTS)
    place(wide)
    train, validation = (
        draw_pictures(
            wide, options.profile, options.data, split, options.clip_frames, options.stills, options.seed, options.dyed
        )
        for split in ("train", "val")
    )
    lpips = place(build_lpips(store, exact=False))
    ours = build_mobile_generator(options.profile, store)
    if isinstance(options.initial, Path):
        read_part(ours, options.initial, TUNED_PARTS)
    return NarrowParts(End(wide), ours, train, validation, lpips)


class NarrowStage(Stage):
    """Distils the narrower end; see `Stage`."""

    def __init__(self, options: NarrowOptions, make_parts: Callable[[], NarrowParts]):
        self.options = options
        made = make_parts()
        self.train, self.validation, self.lpips = made.train, made.validation, made.lpips
        self.generator = made.generator
        self.end = End(made.generator)
        if options.initial == "new":
            random = np.random.default_rng(options.seed)
            chosen = random.choice(len(self.train), min(options.closed_form, len(self.train)), replace=False)
            narrow(made.wide, self.end, (self.train.whole(int(number))[:2] for number in chosen))
        place(self.end).requires_grad_()
        self.optimizer = torch.optim.Adam(
            [{"params": [p], "lr": options.learning_rate * typical_size(p)} for p in self.end.parameters()],
            betas=(0.9, 0.99),
        )
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self._rate)

    def _rate(self, index: int) -> float:
        """A short warm-up, then a cosine to a fiftieth."""
        return min(1.0, (index + 1) / 30) * cosine(min(1.0, index / self.options.steps), 0.02)

    def step(self, index: int) -> Losses:
        options = self.options
        random = np.random.default_rng((options.seed, index))
        patches = self.train.patches(random.integers(len(self.train), size=options.batch), options.patch, random)
        with half_precision():
            made = functional_call(self.end, self._noise(patches.corners), (patches.features, patches.codes)).float()
        inner = (..., slice(options.margin, -options.margin), slice(options.margin, -options.margin))
        made, target = made[inner], patches.pictures[inner]
        pixel = F.l1_loss(made, target)
        wavelet = F.l1_loss(haar(made)[1], haar(target)[1])
        loss = pixel + options.wavelet_weight * wavelet + options.square_weight * F.mse_loss(made, target)
        if index % LPIPS_EVERY == 0:
            one = slice(turn := index // LPIPS_EVERY % options.batch, turn + 1)
            with half_precision():
                loss = loss + options.perceptual_weight * self.lpips(made[one], target[one]).mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.schedule.step()
        return {"loss": loss.item(), "pixel": pixel.item(), "wavelet": wavelet.item()}

    def _noise(self, corners: list[tuple[int, int]]) -> dict[str, Tensor]:
        """The end's fixed noise as it lies in the patches at `corners`, (B, 1, 2S, 2S) by its name."""
        side = 2 * self.options.patch
        return {
            name: torch.cat([noise[..., 2 * y : 2 * y + side, 2 * x : 2 * x + side] for y, x in corners])
            for name, noise in self.end.named_buffers()
        }

    @torch.no_grad()
    def validate(self, folder: Path) -> Losses:
        """MSE and LPIPS to the wide end's pictures of the validation clips; a grid of both, the wide one's above."""
        errors, distances, shown = [], [], []
        for number in range(len(self.validation)):
            features, codes, picture = self.validation.whole(number)
            with half_precision():
                made = self.end(features, codes).float()
                distances.append(self.lpips(made, picture).mean().item())
            errors.append((made - picture).square().mean().item())
            shown.append((picture, made))
        wide, ours = (torch.cat(pictures) for pictures in zip(*shown[:8], strict=True))
        write_grid(folder / "narrow_generator.png", [wide, ours])
        return {"mse": float(np.mean(errors)), "lpips": float(np.mean(distances))}

    def export(self, folder: Path) -> None:
        tuned = {k: v for k, v in self.generator.state_dict().items() if k.startswith(TUNED_PARTS)}
        write_weights(folder / "generator.safetensors", tuned)

    @property
    def parts(self) -> dict[str, Any]:
        return {"end": self.end, "optimizer": self.optimizer, "schedule": self.schedule}
