"""What is said where a GPU was expected and cannot be used."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch

from engines.nvidia import CONTROL_DEVICE, DRIVER_VERSION, OTHER_DEVICES, gpu_problem, may_have_gpu


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with a GPU whose driver is too old for this PyTorch."""

    def is_available() -> bool:
        warnings.warn("CUDA initialization: The driver is too old (found version 11040). Update.", stacklevel=1)
        return False

    monkeypatch.setattr(torch.cuda, "is_available", is_available)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
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


def test_a_usable_gpu_is_no_problem(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert gpu_problem(machine) is None


def test_no_gpu(machine: Path) -> None:
    (machine / CONTROL_DEVICE).unlink()
    assert "--gpus all" in (gpu_problem(machine) or "")


def test_an_old_driver(machine: Path) -> None:
    problem = gpu_problem(machine) or ""
    assert "NVIDIA 470.1" in problem and "CUDA 13.0" in problem and "driver is too old" in problem
    (machine / DRIVER_VERSION).unlink()
    assert "of unknown version" in (gpu_problem(machine) or "")


def test_a_pytorch_for_processors(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    assert "built for CPUs alone" in (gpu_problem(machine) or "")
