"""Stage `generator`: the fetched 1024² generator, cut after the 128² level, learns to end at 256².

A new wavelet head is first solved in closed form, then tuned together with the last level against the
area-downsampled 1024² image: pixel, wavelet and perceptual terms. From this wide end the stage `narrow-generator`
makes the one that ships.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from rigid.assets.store import AssetStore
from rigid.models.build import build_lpips, build_teacher, build_untuned_generator
from rigid.models.mobile_stylegan import DeepWaveletHead, haar
from rigid.models.weights import TUNED_PARTS
from rigid.training.device import half_precision, place
from rigid.training.head import inherit, solve_head
from rigid.training.loop import Losses, Stage
from rigid.training.pictures import write_grid
from rigid.training.rates import cosine, typical_size
from rigid.training.shipping import write_weights
from rigid.training.teacher import TeacherPairs, load_or_make_pairs
from rigid.training.warping import same_window

HEAD_SAMPLES = 96
"""Teacher images that the head is solved on."""


@dataclass(frozen=True)
class GeneratorOptions:
    """What the stage is trained on and how."""

    profile: str = "mobile-256"
    seed: int = 0
    train_samples: int = 1600
    """Teacher images; the cut part has seen millions, only the last level learns."""
    validation_samples: int = 200
    batch: int = 4
    learning_rate: float = 0.002
    """The learning rate of each parameter, as a share of its typical size."""
    pixel_weight: float = 5.0
    wavelet_weight: float = 1.0
    perceptual_weight: float = 0.3
    steps: int = 1400


class GeneratorStage(Stage):
    """Tunes the last level and the head of the cut generator; see `Stage`."""

    def __init__(self, options: GeneratorOptions, store: AssetStore, folder: Path):
        self.options = options
        torch.manual_seed(options.seed)
        self.network = build_untuned_generator(options.profile, store)
        self.train_pairs = self._pairs(store, folder / "teacher-train.npz", options.train_samples, options.seed)
        validation = folder / "teacher-val.npz"
        self.validation_pairs = self._pairs(store, validation, options.validation_samples, options.seed + 1)
        self.lpips = place(build_lpips(store, exact=False))
        self.exact_lpips = place(build_lpips(store))
        assert isinstance(self.network.head, DeepWaveletHead)
        inherit(self.network.head, build_teacher(store), self.train_pairs.codes[:, -1])
        place(self.network)
        solve_head(self.network.head, self._head_batches())
        tuned = [p.requires_grad_() for name, p in self.network.named_parameters() if name.startswith(TUNED_PARTS)]
        self.optimizer = torch.optim.Adam(
            [{"params": [p], "lr": options.learning_rate * typical_size(p)} for p in tuned], betas=(0.9, 0.99)
        )
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self._rate)

    def _rate(self, index: int) -> float:
        """A short warm-up, then a cosine to nothing."""
        done = index / self.options.steps
        return min(1.0, (index + 1) / 20) * cosine(min(1.0, done))

    def step(self, index: int) -> Losses:
        random = np.random.default_rng((self.options.seed, index))
        chosen = random.choice(self.options.train_samples, self.options.batch, replace=False)
        codes, target = self.train_pairs.batch(chosen)
        with half_precision():
            image = self._student(codes)
            perceptual = self.lpips(*same_window(image, target, random)).mean()
        pixel = F.mse_loss(image.float(), target)
        wavelet = F.l1_loss(haar(image.float())[1], haar(target)[1])
        loss = (
            self.options.pixel_weight * pixel
            + self.options.wavelet_weight * wavelet
            + self.options.perceptual_weight * perceptual
        )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        self.schedule.step()
        return {"loss": loss.item(), "pixel": pixel.item(), "wavelet": wavelet.item(), "lpips": perceptual.item()}

    @torch.no_grad()
    def validate(self, folder: Path) -> Losses:
        """MSE and exact LPIPS on the held-out codes; a grid of teacher beside student at 2× zoom."""
        errors, distances = [], []
        for start in range(0, self.options.validation_samples, 8):
            codes, target = self.validation_pairs.batch(slice(start, start + 8))
            image = self.network(codes)
            errors.append((image - target).square().mean((1, 2, 3)))
            distances.append(self.exact_lpips(image, target))
            if start == 0:
                write_grid(folder / "generator.png", [target, image])
        return {"mse": torch.cat(errors).mean().item(), "lpips": torch.cat(distances).mean().item()}

    def export(self, folder: Path) -> None:
        tuned = {k: v for k, v in self.network.state_dict().items() if k.startswith(TUNED_PARTS)}
        write_weights(folder / "wide_generator.safetensors", tuned)

    @property
    def parts(self) -> dict[str, Any]:
        return {"network": self.network, "optimizer": self.optimizer, "schedule": self.schedule}

    def _student(self, codes: Tensor) -> Tensor:
        """The image, with gradients only in the part that is tuned."""
        frozen = len(self.network.levels) - 1
        with torch.no_grad():
            x = next(x for i, x in enumerate(self.network.features(codes)) if i == frozen - 1)
        x = self.network.level(frozen)(x.detach(), codes[:, 3 * frozen + 1], codes[:, 3 * frozen + 2])
        return self.network.head(x, codes[:, -1])  # type: ignore[no-any-return]

    def _pairs(self, store: AssetStore, path: Path, count: int, seed: int) -> TeacherPairs:
        return load_or_make_pairs(path, self.options.profile, store, count=count, seed=seed)

    def _head_batches(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        for start in range(0, min(HEAD_SAMPLES, self.options.train_samples), 4):
            codes, target = self.train_pairs.batch(slice(start, start + 4))
            *_, x = self.network.features(codes)
            yield x, codes[:, -1], target
