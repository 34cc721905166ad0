"""Where training runs: the GPU where there is one, the CPU otherwise; bfloat16 on both."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

from rigid.training.layout import channels_last

Network = TypeVar("Network", bound=nn.Module)
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def placed(network: Network) -> Network:
    """`network` on the device, laid out channels last."""
    return channels_last(network.to(DEVICE))


def half_precision() -> torch.autocast:
    """Context in which matrix products and convolutions run in bfloat16."""
    return torch.autocast(DEVICE.type, torch.bfloat16)
