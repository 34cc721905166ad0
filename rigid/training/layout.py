"""The memory layout that CPU convolutions are fastest in: channels last, several times the default's speed."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)


def channels_last(network: Network) -> Network:
    """`network` with its 4-D parameters and buffers laid out channels last, in place."""
    with torch.no_grad():
        for tensor in (*network.parameters(), *network.buffers()):
            if tensor.dim() == 4:
                tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)
    return network


def pixels_last(images: Tensor) -> Tensor:
    """`images` (B, C, H, W), laid out channels last in memory."""
    return images.contiguous(memory_format=torch.channels_last)
