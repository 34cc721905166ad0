"""What a measurement depends on: this machine and what is installed."""

from __future__ import annotations

import platform
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from engines.nvidia import may_have_gpu
from rigid.operating_system import name_processor

FEATURES = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16", "amx_int8")
"""What decides which kernels an engine has for a processor."""

AVX2 = 11
"""OpenCV's number of it (`CV_CPU_AVX2`), which it tells on every system, and has no name for in Python."""


def features() -> list[str]:
    """List those of `FEATURES` that the processor has, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return []
    flags = {flag for line in lines if line.startswith("flags") for flag in line.split()}
    return [feature for feature in FEATURES if feature in flags]


def _has_avx2() -> bool:
    import cv2

    return bool(cv2.checkHardwareSupport(AVX2))


def processor_problem(kind: str = platform.machine(), has_avx2: Callable[[], bool] = _has_avx2) -> str | None:
    """What makes a processor of this `kind` slow at networks, in one sentence; None where nothing does."""
    # Processors of other kinds have vector instructions of their own.
    if kind.lower() not in ("x86_64", "amd64") or has_avx2():
        return None
    return f"This processor ({name_processor()}) has no AVX2, without which a frame takes about twice as long."


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
