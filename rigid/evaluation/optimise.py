"""The baseline `optimise`: every frame's codes by gradient descent, as IGCI finds them (Xu et al., 2021)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rigid.arrays import Array
from rigid.evaluation.runtimes import Encoded, ImageEncoder
from rigid.models.contract import RecurrentState, Runtime
from rigid.training.device import DEVICE, half_precision

LPIPS_WEIGHT = 0.8
"""α of Eq. 12."""
OPTIMISE_RATE = 0.03


class Optimised(Encoded):
    """Starts at the image encoder's codes and moves all of them, each frame by itself."""

    def __init__(
        self, runtime: Runtime, encode: ImageEncoder, generator: nn.Module, lpips: nn.Module, steps: int
    ) -> None:
        """`generator`: codes → images, `lpips`: distance of two batches; both frozen, on the device."""
        super().__init__(runtime, encode)
        self._generator, self._lpips, self._steps = generator, lpips, steps

    def invert(self, inputs: Array, state: RecurrentState) -> tuple[Array, Array, RecurrentState]:
        codes, noise, after = super().invert(inputs, state)
        return self._descend(inputs, codes), noise, after

    def _descend(self, inputs: Array, start: Array) -> Array:
        target = torch.from_numpy(inputs).to(DEVICE)
        codes = torch.from_numpy(start).to(DEVICE).clone().requires_grad_()
        optimizer = torch.optim.Adam([codes], lr=OPTIMISE_RATE)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, self._steps))
        for _ in range(self._steps):
            with half_precision():
                loss = reconstruction_loss(self._generator(codes), target, self._lpips)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
        return np.asarray(codes.detach().cpu().numpy(), np.float32)


def reconstruction_loss(images: Tensor, targets: Tensor, lpips: nn.Module) -> Tensor:
    """Eq. 12 with the mean square for Eq. 10: one number for images and targets (B, 3, S, S)."""
    loss: Tensor = F.mse_loss(images.float(), targets) + LPIPS_WEIGHT * lpips(images, targets).float().mean()
    return loss
