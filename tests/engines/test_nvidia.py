"""What is said where a GPU was expected and cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engines.nvidia import CONTROL_DEVICE, DRIVER_VERSION, OTHER_DEVICES, explain_refusal, gpu_problem, may_have_gpu
from engines.registry import has_gpu

TOLD = "CUDA initialization: The driver is too old (found version 11040). Update."


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A machine with a GPU and its driver."""
    for path, text in ((CONTROL_DEVICE, ""), (DRIVER_VERSION, "NVRM version: NVIDIA 470.1  x86_64\nGCC version: 12\n")):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def test_a_system_without_a_device_need_not_ask(tmp_path: Path) -> None:
    assert not may_have_gpu(tmp_path, "linux")
    assert may_have_gpu(tmp_path, "win32")
    for device in (CONTROL_DEVICE, *OTHER_DEVICES):
        (tmp_path / device).parent.mkdir(exist_ok=True)
        (tmp_path / device).touch()
        assert may_have_gpu(tmp_path, "linux")
        (tmp_path / device).unlink()


@pytest.mark.skipif(not has_gpu(), reason="needs an NVIDIA GPU")
@pytest.mark.gpu
def test_a_usable_gpu_is_no_problem() -> None:
    assert gpu_problem() is None


@pytest.mark.skipif(has_gpu(), reason="needs a machine without an NVIDIA GPU")
def test_a_gpu_that_pytorch_does_not_see_is_a_problem(machine: Path) -> None:
    assert gpu_problem(machine) == explain_refusal(torch.version.cuda, [], machine)


def test_no_gpu(machine: Path) -> None:
    (machine / CONTROL_DEVICE).unlink()
    assert "--gpus all" in (gpu_problem(machine) or "")


def test_an_old_driver(machine: Path) -> None:
    problem = explain_refusal("13.0", [TOLD], machine)
    assert "NVIDIA 470.1" in problem and "CUDA 13.0" in problem and "driver is too old; update" in problem
    (machine / DRIVER_VERSION).unlink()
    assert "of unknown version" in explain_refusal("13.0", [TOLD], machine)
    assert "PyTorch cannot use it" in explain_refusal("13.0", [], machine)


def test_a_pytorch_for_processors(machine: Path) -> None:
    assert "built for CPUs alone" in explain_refusal(None, [], machine)
