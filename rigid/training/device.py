"""Where training runs: the GPU where there is one, the CPU otherwise; bfloat16 where the machine computes in it."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)
Computation = TypeVar("Computation", bound=Callable[..., object])
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
"""Parameters of glibc's `mallopt`."""


def channels_last(network: Network) -> Network:
    """`network` with its 4-D parameters and buffers laid out channels last, in place.

    Convolutions on a CPU are several times as fast in that layout as in the default one.
    """
    with torch.no_grad():
        for tensor in (*network.parameters(), *network.buffers()):
            if tensor.dim() == 4:
                tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)
    return network


def pixels_last(images: Tensor) -> Tensor:
    """`images` (B, C, H, W), laid out channels last in memory."""
    return images.contiguous(memory_format=torch.channels_last)


def place(network: Network) -> Network:
    """`network` on the device, laid out channels last."""
    return channels_last(network.to(DEVICE))


def half_precision() -> torch.autocast:
    """Context in which matrix products and convolutions run in bfloat16.

    On a CPU that has no instructions for it, where it takes three times as long as float32, nothing changes.
    """
    return torch.autocast(DEVICE.type, torch.bfloat16, enabled=computes_in_bfloat16())


def computes_in_bfloat16() -> bool:
    """Whether the device has instructions for bfloat16."""
    return DEVICE.type == "cuda" or torch.ops.mkldnn._is_mkldnn_bf16_supported()


def fuse(computation: Computation) -> Computation:
    """`computation` compiled, its sums and activations in one pass over memory; as it is where no C++ compiler is.

    Of a step of the image encoder on a CPU, convolutions are little more than a quarter, and this took it from 3.5 s to
    2.3. Compiling takes a minute or two, and is kept from run to run.
    """
    if DEVICE.type == "cpu" and not any(map(shutil.which, ("g++", "clang++"))):
        return computation
    return torch.compile(computation)  # type: ignore[return-value]


def take_what_is_left(threads: int, niceness: int) -> None:
    """Let this process stand behind all others and keep the memory it once had.

    `threads`: how many compute, 0 for as many as PyTorch chooses; `niceness`: added to the process's own. A step makes
    and frees hundreds of feature maps; given back to the system each time, their pages cost a third of a CPU's time.
    """
    if threads:
        torch.set_num_threads(threads)
    if niceness and hasattr(os, "nice"):
        os.nice(niceness)
    if sys.platform == "linux" and hasattr(library := ctypes.CDLL(None), "mallopt"):
        for parameter, value in ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, 2**31 - 1), (M_TOP_PAD, 2**26)):
            library.mallopt(parameter, value)
