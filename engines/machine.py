"""What a measurement depends on: this machine and what is installed."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from engines.nvidia import may_have_gpu

FEATURES = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16", "amx_int8")
"""What decides which kernels an engine has for a processor."""


def features() -> list[str]:
    """List those of `FEATURES` that the processor has, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return []
    flags = {flag for line in lines if line.startswith("flags") for flag in line.split()}
    return [feature for feature in FEATURES if feature in flags]


def gpus() -> list[str]:
    """The names of the NVIDIA GPUs that PyTorch sees."""
    if not may_have_gpu():
        return []
    import torch

    return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    """The versions of those of `packages` that are installed."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
