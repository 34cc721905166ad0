"""Learning rates: how they rise and fall in a run, and what is a step for a weight of any size."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def cosine(done: float, final: float = 0.0) -> float:
    """1 at the begin of a run, `final` at its end, along half a cosine; `done`: its share that is over."""
    return (1 + final) / 2 + (1 - final) / 2 * math.cos(math.pi * done)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give all parameters of `optimizer` the learning rate `rate`."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def typical_size(parameter: Tensor) -> float:
    """Root mean square: gains are folded into some weights, so sizes differ a hundredfold and rates must too.

    What starts at zero has to grow to about a tenth.
    """
    return parameter.detach().square().mean().sqrt().item() or 0.1
