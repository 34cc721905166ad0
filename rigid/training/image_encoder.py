"""Stage `image-encoder`: the light e4e encoder, from generated faces first, then real ones through the generator.

Generated faces are unlimited, so they bring the diversity: their codes are known and compared in the
generator's own measure of codes. Real faces bring the domain: L2 and LPIPS of what the generator makes of
the codes, with a pull of the codes to the mean and a penalty on the deltas (pSp, e4e).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from rigid.arrays import Pixels
from rigid.assets.store import AssetStore
from rigid.edits.library import load_library
from rigid.models.build import (
    build_lpips,
    build_mapping,
    build_mobile_generator,
    mean_code,
    new_image_encoder,
)
from rigid.models.image_encoder import ImageEncoder
from rigid.models.profiles import sizes_of
from rigid.training.augment import degrade, recolour, relight
from rigid.training.code_metric import CodeMetric
from rigid.training.device import DEVICE, fuse, half_precision, pixels_last, place
from rigid.training.draws import FaceDraws
from rigid.training.faces import Faces, load_or_read_faces
from rigid.training.loop import Losses, Stage
from rigid.training.pictures import from_bytes, write_grid
from rigid.training.pool import BLOCK, FacePool
from rigid.training.rates import cosine, set_rate
from rigid.training.shipping import Initial, load_initial, write_weights
from rigid.training.warping import same_mouth, same_window

IMAGE_ENCODER_FILE = "image_encoder.safetensors"
RELIT_SHARE = 0.15
"""How likely a face is seen in little light."""
Light = Callable[[Pixels, np.random.Generator], Pixels]


@dataclass(frozen=True)
class ImageEncoderOptions:
    """What the stage is trained on and how."""

    data: Path
    """Folder of real aligned faces with an `index.json`."""
    profile: str = "mobile-256"
    seed: int = 0
    initial: Initial = "new"
    """Start from nothing, from the weights that ship, or from those of a file."""
    faces: int = 8_000
    """Generated faces at first, made once and seen again under new degradations."""
    block: int = BLOCK
    """Of them, those that are made and kept together."""
    grow_every: int = 0
    """Steps after which a block of them is added; 0 for never."""
    code_steps: int = 600
    """First phase: generated faces only, codes compared."""
    picture_steps: int = 450
    """Second phase: generated and real faces, pictures compared."""
    code_batch: int = 64
    generated_batch: int = 3
    real_batch: int = 8
    learning_rate: float = 2e-3
    picture_learning_rate: float = 6e-4
    delta_start: int = 200
    """Steps before the deltas of the codes are let in, coarse first (e4e's progressive training)."""
    delta_every: int = 20
    """Steps between one code's delta and the next one's."""
    code_weight: float = 0.03
    perceptual_weight: float = 0.8
    mean_weight: float = 0.002
    delta_weight: float = 0.004
    clip_frames: int = 40
    """Frames of each real training clip."""
    mouth_share: float = 0.0
    """How many of the windows that real faces are compared in lie round the mouth, whose expression a small part of the
    picture says; where there are any, windows count by their pixels, too."""
    fused: bool = False
    """Compile what a step computes; see `fuse`."""

    @property
    def steps(self) -> int:
        """Optimiser steps in all."""
        return self.code_steps + self.picture_steps


@dataclass(frozen=True)
class Drawn:
    """Generated faces of one step."""

    degraded: Tensor
    """What the encoder sees (B, 3, 128, 128)."""
    clean: Tensor
    """What it is to show (B, 3, 128, 128)."""
    codes: Tensor
    """(B, n_codes, 512)."""
    as_drawn: Tensor
    """(B,) bool: whether the light is still that of the codes."""


class ImageEncoderStage(Stage):
    """Trains the image encoder; see `Stage`."""

    def __init__(self, options: ImageEncoderOptions, store: AssetStore, folder: Path):
        self.options = options
        torch.manual_seed(options.seed)
        mapping = build_mapping(store)
        mean = mean_code(options.profile)
        self.generator = place(build_mobile_generator(options.profile, store))
        draws = FaceDraws(mapping, mean, load_library(options.profile, custom=False), sizes_of(options.profile).n_codes)
        self.pool = FacePool(folder / "faces", draws, self.generator, seed=1, block=options.block)
        self.threads = ThreadPoolExecutor()
        self.metric = CodeMetric(self.generator, place(mapping), sizes_of(options.profile).n_codes).to(DEVICE)
        self.lpips = place(build_lpips(store, exact=False))
        self.exact_lpips = place(build_lpips(store))
        train, validation = folder / "faces-train.npz", folder / "faces-val.npz"
        self.train_faces = load_or_read_faces(train, options.data, "train", clip_frames=options.clip_frames)
        self.validation_faces = load_or_read_faces(validation, options.data, "val", clip_frames=6, stills=False)
        self.network = place(
            load_initial(new_image_encoder(options.profile, mean), options.initial, options.profile, IMAGE_ENCODER_FILE)
        )
        self.average = torch.optim.swa_utils.AveragedModel(
            self.network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.995), use_buffers=True
        )
        self.optimizer = torch.optim.AdamW(self.network.parameters(), betas=(0.9, 0.98), weight_decay=0.01)
        self._draw, self._offsets, self._compare = self.generator, self.network.offsets, self.lpips
        if options.fused:
            self._draw, self._offsets, self._compare = fuse(self._draw), fuse(self._offsets), fuse(self._compare)

    def step(self, index: int) -> Losses:
        options = self.options
        self._set_learning_rate(index)
        self.pool.grow(options.faces + (options.block * (index // options.grow_every) if options.grow_every else 0))
        self.network.train()
        random = np.random.default_rng((self.options.seed, index))
        losses = (
            self._code_step(index, random) if index < self.options.code_steps else self._picture_step(index, random)
        )
        self.optimizer.zero_grad(set_to_none=True)
        losses["loss"].backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimizer.step()
        self.average.update_parameters(self.network)
        return {name: value.item() for name, value in losses.items()}

    @torch.no_grad()
    def validate(self, folder: Path) -> Losses:
        """MSE and LPIPS at full size on the validation clips, a mean over clips; a grid of them."""
        encoder = self._average()
        inputs, outputs = self._reconstruct(encoder, self.validation_faces)
        write_grid(folder / "image_encoder.png", [_one_a_name(self.validation_faces, p) for p in (inputs, outputs)])
        errors = (inputs - outputs).square().mean((1, 2, 3))
        pieces = zip(inputs.split(8), outputs.split(8), strict=True)
        distances = torch.cat([self.exact_lpips(x, y) for x, y in pieces])
        names = self.validation_faces.names
        return {"val_mse": _mean_over_names(names, errors), "val_lpips": _mean_over_names(names, distances)}

    def export(self, folder: Path) -> None:
        write_weights(folder / IMAGE_ENCODER_FILE, self._average().state_dict())

    @property
    def parts(self) -> dict[str, Any]:
        return {"network": self.network, "average": self.average, "optimizer": self.optimizer}

    def _code_step(self, index: int, random: np.random.Generator) -> dict[str, Tensor]:
        faces = self._generate(random, self.options.code_batch)
        predicted, deltas = self._encode(faces.degraded, index)
        distance = self.metric(predicted[faces.as_drawn], faces.codes[faces.as_drawn])
        penalty = deltas.square().mean()
        return {"loss": distance + self.options.delta_weight * penalty, "codes": distance, "deltas": penalty}

    def _picture_step(self, index: int, random: np.random.Generator) -> dict[str, Tensor]:
        real = self._real(random, self.options.real_batch)
        faces = self._generate(random, self.options.generated_batch)
        half_real, count = F.avg_pool2d(real, 2), len(faces.codes)
        predicted, deltas = self._encode(torch.cat((faces.degraded, half_real)), index)
        with half_precision():
            pictures = self._draw(predicted)
            half, targets = F.avg_pool2d(pictures, 2), torch.cat((faces.clean, half_real))
            closely = index % 2 == 1
            windows = self._window(pictures[count:], real, random) if closely else (half, targets)
            perceptual = self._compare(*(pixels_last(view) for view in windows)).mean()
        pixel = F.mse_loss(half.float(), targets)
        if closely and self.options.mouth_share:
            pixel = (pixel + F.mse_loss(windows[0].float(), windows[1])) / 2
        distance = self.metric(predicted[:count][faces.as_drawn], faces.codes[faces.as_drawn])
        pull = self.metric(predicted[count:], self.network.mean.expand_as(predicted[count:]))
        penalty = deltas.square().mean()
        options = self.options
        loss = pixel + options.perceptual_weight * perceptual + options.code_weight * distance
        loss = loss + options.mean_weight * pull + options.delta_weight * penalty
        return {"loss": loss, "pixel": pixel, "lpips": perceptual, "codes": distance, "pull": pull, "deltas": penalty}

    def _window(self, pictures: Tensor, real: Tensor, random: np.random.Generator) -> tuple[Tensor, Tensor]:
        """A quarter of both (B, 3, S, S): anywhere, or as often as is asked for at the mouth."""
        cut = same_mouth if self.options.mouth_share and random.random() < self.options.mouth_share else same_window
        return cut(pictures, real, random)

    def _encode(self, half: Tensor, index: int) -> tuple[Tensor, Tensor]:
        """Codes (B, n_codes, 512) and the deltas that were let in, for halved inputs."""
        with half_precision():
            code, deltas = self._offsets(pixels_last(half)).float()
        allowed = 1 + max(0, index - self.options.delta_start) // self.options.delta_every
        let_in = torch.arange(deltas.shape[1], device=DEVICE) < (allowed if index >= self.options.delta_start else 0)
        deltas = deltas * let_in[:, None]
        return self.network.mean + code + deltas, deltas

    def _generate(self, random: np.random.Generator, count: int) -> Drawn:
        chosen = self.pool.choose(random, count)
        # the first is always as it was drawn, so that there are codes to compare
        lights = [_light(random) if i else _as_it_is for i in range(count)]
        clean = [light(self.pool.picture(place), random) for light, place in zip(lights, chosen, strict=True)]
        degraded = self.threads.map(degrade, clean, random.spawn(count))
        as_drawn = torch.tensor([light is _as_it_is for light in lights], device=DEVICE)
        return Drawn(_tensor(list(degraded)), _tensor(clean), self.pool.codes_of(chosen).to(DEVICE), as_drawn)

    def _real(self, random: np.random.Generator, count: int) -> Tensor:
        """Real faces (B, 3, 256, 256), each clip or still as likely as the other, flipped and recoloured."""
        names = random.choice(sorted(set(self.train_faces.names)), count, replace=False)
        pictures = [random.choice(self.train_faces.of(name)).transpose(1, 2, 0) for name in names]
        flipped = [p[:, ::-1] if random.random() < 0.5 else p for p in pictures]
        lights = [relight if random.random() < RELIT_SHARE else recolour for _ in flipped]
        return _tensor([light(np.ascontiguousarray(p), random) for light, p in zip(lights, flipped, strict=True)])

    def _set_learning_rate(self, index: int) -> None:
        """Each phase: a short warm-up, then a cosine to a tenth."""
        options = self.options
        second = index >= options.code_steps
        peak = options.picture_learning_rate if second else options.learning_rate
        done = (index - options.code_steps) / options.picture_steps if second else index / options.code_steps
        warm_up = min(1.0, (done + 1e-3) / 0.04)
        set_rate(self.optimizer, peak * warm_up * cosine(done, 0.1))

    def _average(self) -> ImageEncoder:
        network = self.average.module
        assert isinstance(network, ImageEncoder)
        return network.eval()

    def _reconstruct(self, encoder: ImageEncoder, faces: Faces) -> tuple[Tensor, Tensor]:
        inputs = from_bytes(faces.images)
        return inputs, torch.cat([self.generator(encoder(piece)) for piece in inputs.split(8)]).clamp(-1, 1)


def _light(random: np.random.Generator) -> Light:
    """What light a generated face is seen in: mostly that it was drawn in."""
    chance = random.random()
    return relight if chance < RELIT_SHARE else recolour if chance < 2 * RELIT_SHARE else _as_it_is


def _as_it_is(picture: Pixels, _: np.random.Generator) -> Pixels:
    return picture


def _tensor(pictures: Sequence[Pixels]) -> Tensor:
    return from_bytes(np.stack(pictures).transpose(0, 3, 1, 2))


def _one_a_name(faces: Faces, pictures: Tensor) -> Tensor:
    return pictures[[faces.names.index(name) for name in dict.fromkeys(faces.names)]]


def _mean_over_names(names: Sequence[str], values: Tensor) -> float:
    groups = [[i for i, other in enumerate(names) if other == name] for name in dict.fromkeys(names)]
    return torch.stack([values[group].mean() for group in groups]).mean().item()
