"""The baseline `tune`: one clip's own generator, by pivotal tuning (Roich et al., 2021) as STIT does it."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from rigid.arrays import Array, Pixels
from rigid.evaluation.optimise import reconstruction_loss
from rigid.evaluation.runtimes import ImageEncoder, WithoutSharing
from rigid.fields import from_pixels
from rigid.models.build import Generator
from rigid.models.contract import RecurrentState, Runtime
from rigid.models.mobile_stylegan import MobileStyleGAN
from rigid.training.device import DEVICE, half_precision
from rigid.training.rates import typical_size

FIRST_LEVEL = 2
"""Levels, counted from 8², from here on (32² and finer) are tuned; the coarse ones hold what edits steer."""
SMOOTHING = 1.0
"""Standard deviation, in frames, of the pivots' smoothing over time."""
TUNE_BATCH = 4
TUNE_RATE = 0.004
"""The learning rate of each parameter, as a share of its typical size."""


class Pivots:
    """A clip's aligned faces, in order, and the smoothed codes each is to be generated from."""

    def __init__(self, crops: Sequence[Pixels], encode: ImageEncoder) -> None:
        """`crops`: RGB (S, S, 3), at least one."""
        self.images = np.stack([crop.transpose(2, 0, 1) for crop in crops])
        self.codes = smooth(np.concatenate([encode(self.inputs(i)) for i in range(len(crops))]), SMOOTHING)

    def inputs(self, index: int) -> Array:
        """The face (1, 3, S, S) in [-1, 1]."""
        return from_pixels(self.images[index : index + 1])


def smooth(codes: Array, sigma: float) -> Array:
    """`codes` (T, n_codes, code_size) averaged over time with a Gaussian that is cut off at the clip's ends."""
    frames = np.arange(len(codes), dtype=np.float32)
    weights = np.exp(-np.square(frames[:, None] - frames) / (2 * sigma**2))
    weights /= weights.sum(1, keepdims=True)
    averaged: Array = np.einsum("ts,snc->tnc", weights, codes).astype(np.float32)
    return averaged


def tune_generator(generator: Generator, lpips: nn.Module, pivots: Pivots, steps: int) -> Generator:
    """A copy of `generator` whose fine levels were fitted to show the clip's faces at their pivots (Eq. 12)."""
    network = copy.deepcopy(generator)
    tuned = [p.requires_grad_() for part in fine_parts(network) for p in part.parameters()]
    optimizer = torch.optim.Adam([{"params": [p], "lr": TUNE_RATE * typical_size(p)} for p in tuned])
    codes = torch.from_numpy(pivots.codes).to(DEVICE)
    random = np.random.default_rng(0)
    for _ in range(steps):
        chosen = random.choice(len(codes), min(TUNE_BATCH, len(codes)), replace=False)
        targets = torch.from_numpy(np.concatenate([pivots.inputs(i) for i in chosen])).to(DEVICE)
        with half_precision():
            loss = reconstruction_loss(network(codes[chosen]), targets, lpips)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return network.requires_grad_(False)


def fine_parts(generator: Generator) -> list[nn.Module]:
    """The parts of `generator` at 32² and finer; at least its last level."""
    if isinstance(generator, MobileStyleGAN):
        return [*generator.levels[min(FIRST_LEVEL, len(generator.levels) - 1) :], generator.head]
    first = min(FIRST_LEVEL, len(generator.to_rgbs) - 2)
    return [*generator.convs[2 * first + 1 :], *generator.to_rgbs[first + 1 :]]


class Tuned(WithoutSharing):
    """The clip's own generator; a face's codes are its pivot."""

    def __init__(self, runtime: Runtime, generator: nn.Module, pivots: Pivots) -> None:
        super().__init__(runtime)
        self._generator, self._codes = generator, pivots.codes
        self._index = {pivots.inputs(i).tobytes(): i for i in range(len(pivots.codes))}

    def invert(self, inputs: Array, state: RecurrentState) -> tuple[Array, Array, RecurrentState]:
        index = self._index.get(inputs.tobytes())
        if index is None:
            raise RuntimeError("the generator was not tuned to this face")
        return self._codes[index : index + 1].copy(), np.zeros((1, *self.sizes.noise_shape), np.float32), state

    def synthesize(self, codes: Array, noise: Array) -> Array:
        del noise  # there is none
        with torch.inference_mode():
            return np.asarray(self._generator(torch.from_numpy(codes).to(DEVICE)).cpu().numpy(), np.float32)
