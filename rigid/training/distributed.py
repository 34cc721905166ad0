"""Several processes that train one network, started by `torchrun`; in a single process all this does nothing."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
from torch import distributed as dist
from torch import nn

from rigid.training.device import DEVICE


@contextmanager
def join_processes() -> Iterator[None]:
    """Join the processes that `torchrun` started, for as long as the block runs; nothing to do without it."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or dist.is_initialized():
        yield
        return
    if DEVICE.type == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    # the first process may prepare data for long while the others wait
    dist.init_process_group("nccl" if DEVICE.type == "cuda" else "gloo", timeout=timedelta(hours=6))
    try:
        yield
    finally:
        dist.destroy_process_group()


def world() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Which of them this is, 0 for the one that writes files."""
    return dist.get_rank() if dist.is_initialized() else 0


@contextmanager
def first_process_first() -> Iterator[None]:
    """Runs the block in process 0, then in all others: what is made once and kept is made by the first."""
    if world() > 1 and rank() > 0:
        dist.barrier()
    yield
    if world() > 1 and rank() == 0:
        dist.barrier()


def wait_for_all() -> None:
    """Goes on once every process has come here."""
    if world() > 1:
        dist.barrier()


def any_of(flag: bool) -> bool:
    """Whether `flag` is set in any process."""
    if world() == 1:
        return flag
    value = torch.tensor(float(flag), device=DEVICE)
    dist.all_reduce(value, dist.ReduceOp.MAX)
    return bool(value)


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replaces gradients by their means over the processes: those of the joint batch."""
    if world() == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    pieces = flat.div_(world()).split([gradient.numel() for gradient in gradients])
    for gradient, piece in zip(gradients, pieces, strict=True):
        gradient.copy_(piece.view_as(gradient))


def average_values(values: dict[str, float]) -> dict[str, float]:
    """The means over the processes; a NaN in any is one in all."""
    if world() == 1 or not values:
        return values
    tensor = torch.tensor(list(values.values()), dtype=torch.float32, device=DEVICE)
    dist.all_reduce(tensor)
    return dict(zip(values, (tensor / world()).tolist(), strict=True))
