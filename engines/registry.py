"""The engines there are: their names, what each needs, and which of them can run here."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType

from engines.nvidia import may_have_gpu


@dataclass(frozen=True)
class Engine:
    """One back end; its module in this package has `open_graphs`, or `load` where it runs no exported files."""

    name: str
    package: str
    """The package that must be importable."""
    install: str
    """What `pip install` takes to get it."""
    module: str
    files: str = "{}.onnx"
    """The files it reads for `invert` and `synthesize`; empty for one that runs the networks themselves."""
    gpu: bool = False
    """Whether it needs an NVIDIA GPU."""
    built: bool = False
    """Whether it runs engines that are built first, which takes long enough for another to serve meanwhile."""
    int8: bool = False
    """Whether it runs the generator in int8, from a file that is there only where int8 was made and is close enough."""

    @property
    def installed(self) -> bool:
        """Whether its package is there."""
        return importlib.util.find_spec(self.package) is not None

    def load_module(self) -> ModuleType:
        """Import the engine's module, and with it the package."""
        return importlib.import_module(f"engines.backends.{self.module}")


RTX = "tensorrt-rtx"
_ALL = (
    Engine("openvino", "openvino", "openvino", "openvino_engine"),
    Engine("openvino-int8", "openvino", "openvino", "openvino_int8_engine", int8=True),
    Engine("onnxruntime", "onnxruntime", "onnxruntime", "onnxruntime_engine"),
    Engine("tensorrt", "tensorrt", "'rigid-live[tensorrt]'", "tensorrt_engine", "{}.bf16.onnx", gpu=True, built=True),
    Engine(
        RTX,
        "tensorrt_rtx_bindings",
        "'rigid-live[tensorrt-rtx]'",
        "tensorrt_engine",
        "{}.bf16.onnx",
        gpu=True,
        built=True,
    ),
    Engine("torch-tensorrt", "torch_tensorrt", "'rigid-live[torch-tensorrt]'", "torch_tensorrt_engine", "", gpu=True),
    Engine("torch", "torch", "'rigid-live[train]'", "torch_engine", ""),
)
ENGINES = {engine.name: engine for engine in _ALL}
"""By the name that `--engine` takes, besides `auto`."""


def has_gpu() -> bool:
    """Whether PyTorch sees an NVIDIA GPU."""
    if not may_have_gpu():
        return False
    import torch

    return torch.cuda.is_available()


def find_installed_engines(
    known: Mapping[str, Engine] = ENGINES, sees_gpu: Callable[[], bool] = has_gpu
) -> tuple[str, ...]:
    """Find the engines that can run here: their package is installed and, where they need a GPU, there is one."""
    found = [engine for engine in known.values() if engine.installed]
    usable = not any(engine.gpu for engine in found) or sees_gpu()
    return tuple(engine.name for engine in found if usable or not engine.gpu)


def find_tensorrt(engine: str, known: Mapping[str, Engine] = ENGINES) -> str:
    """`engine`; of the libraries of TensorRT the one that is there, where `tensorrt` is asked for and missing."""
    there = {name for name in ("tensorrt", RTX) if name in known and known[name].installed}
    return RTX if engine == "tensorrt" and there == {RTX} else engine
