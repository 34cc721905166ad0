"""The learned composite's net on arrays."""

from __future__ import annotations

import numpy as np
import torch

from rigid.blend import Crop, Mask
from rigid.models.change_net import ChangeNet


class ChangeModel:
    """`ChangeNet` on arrays, in eager PyTorch: some milliseconds a frame."""

    def __init__(self, net: ChangeNet):
        self._net = net.eval()

    @torch.inference_mode()
    def __call__(self, pictures: Crop) -> tuple[Mask, Crop]:
        """W(I, f), W(O, f), E and I, float32 (n, n, 12) → kept (n/2, n/2) and residual (n/2, n/2, 3)."""
        kept, residual = self._net(torch.from_numpy(pictures).permute(2, 0, 1)[None])
        return kept[0, 0].numpy(), np.ascontiguousarray(residual[0].permute(1, 2, 0).numpy())
