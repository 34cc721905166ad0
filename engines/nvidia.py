"""Whether an NVIDIA GPU can be used here, and what to do where it cannot."""

from __future__ import annotations

import importlib.util
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

CONTROL_DEVICE = Path("dev/nvidiactl")
OTHER_DEVICES = Path("dev/dxg"), Path("dev/nvmap")
"""What stands for it under Windows, and on boards whose GPU shares the memory."""
DRIVER_VERSION = Path("proc/driver/nvidia/version")


def may_have_gpu(root: Path = Path("/"), system: str = sys.platform) -> bool:
    """False where the system shows no device of NVIDIA's, or has no PyTorch, so that nobody need load it to ask.

    `root`: where the system's files lie; `system`: as `sys.platform`. Only Linux shows them as files.
    """
    if importlib.util.find_spec("torch") is None:
        return False
    return system != "linux" or any((root / device).exists() for device in (CONTROL_DEVICE, *OTHER_DEVICES))


def gpu_problem(root: Path = Path("/")) -> str | None:
    """What keeps PyTorch from an NVIDIA GPU, and the remedy, in one sentence; None where nothing does.

    `root`: where the system's files lie. Loads PyTorch, which takes seconds.
    """
    if not (root / CONTROL_DEVICE).exists():
        return (
            "No NVIDIA GPU is visible; give the container one (docker run --gpus all, with the NVIDIA Container "
            "Toolkit), or use the image for CPUs."
        )
    if importlib.util.find_spec("torch") is None:
        return "PyTorch, which an NVIDIA GPU needs, is not installed; run `pip install 'rigid-live[train]'`."
    import torch

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        if torch.cuda.is_available():
            return None
    return explain_refusal(torch.version.cuda, [str(one.message) for one in told], root)


def explain_refusal(cuda: str | None, told: Sequence[str], root: Path = Path("/")) -> str:
    """Why a PyTorch built for CUDA `cuda`, whose warnings are `told`, cannot use the GPU, and the remedy."""
    if cuda is None:
        return "This PyTorch is built for CPUs alone; install the build for CUDA."
    reason = told[0].partition("(")[0].strip() if told else "PyTorch cannot use it"
    return f"The NVIDIA driver ({_driver(root)}) does not serve CUDA {cuda}: {reason.rstrip('.')}; update the driver."


def _driver(root: Path) -> str:
    """The driver's own words about its version."""
    try:
        lines = (root / DRIVER_VERSION).read_text("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    return lines[0].removeprefix("NVRM version: ").strip() if lines else "of unknown version"
