"""TensorRT, or TensorRT-RTX, whose calls are the same: reads, builds, checks and loads engines.

TensorRT builds an engine on the GPU that will run it; TensorRT-RTX on any machine, for all GPUs that it knows. Both
take a network's types as they are written (their builders have no flags of precision), so that half precision comes
from the file: `*.bf16.onnx`.
"""

from __future__ import annotations

import importlib
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.exports import HALF
from engines.graph_runtime import EngineError, first_line
from engines.registry import ENGINES

logger = logging.getLogger(__name__)

MOST_BATCH = 32
USUAL_BATCH = 4
WORKSPACE_BYTES = 4 << 30
THIS_GPU = ("CURRENT",)
WITHOUT_BFLOAT16 = ("7.5",)
MISFITS = {
    "VERSION_MISMATCH": "another version of the library built it",
    "UNSUPPORTED_CC": "it was built for other GPUs",
    "OLD_CUDA_DRIVER": "the NVIDIA driver is too old for it",
    "OLD_CUDA_RUNTIME": "CUDA is too old for it",
    "INSUFFICIENT_GPU_MEMORY": "the GPU has too little memory for it",
    "MALFORMED_ENGINE": "it is no engine",
    "CUDA_ERROR": "no NVIDIA driver answers",
}
"""What the check of an engine may find, in the order in which it is told."""


@dataclass(frozen=True)
class Context:
    """What runs an engine, and what it needs as long as it lives."""

    context: Any
    engine: Any
    config: Any = None
    cache: Any = None
    """What is compiled of the engine for this GPU while it runs; None where it is all in the engine."""


class Library:
    """The library of the engine `name`."""

    def __init__(self, name: str):
        """EngineError where it cannot be loaded."""
        self.name = name
        try:
            self.trt: Any = importlib.import_module(ENGINES[name].package)
        except ImportError as error:
            raise EngineError(f"The engine {name} cannot load its library: {first_line(error)}.") from error
        self.version = str(self.trt.__version__)
        self.log = make_log(self.trt, name)

    @property
    def is_portable(self) -> bool:
        """Whether it builds on any machine, for several kinds of GPU, and can check that an engine fits."""
        return hasattr(self.trt, "ComputeCapability")

    def list_capabilities(self) -> list[str]:
        """List the compute capabilities that a portable library builds for, as "8.6"; all of them have bfloat16."""
        matches = [re.fullmatch(r"SM(\d+)(\d)", name) for name in self.trt.ComputeCapability.__members__]
        known = [".".join(match.groups()) for match in matches if match is not None]
        return [capability for capability in known if capability not in WITHOUT_BFLOAT16]

    def check_capabilities(self, capabilities: Sequence[str]) -> None:
        """ValueError, naming the choices, unless engines can be built for each of `capabilities`."""
        known = self.list_capabilities()
        for capability in capabilities:
            if capability not in known:
                raise ValueError(
                    f"{self.name} {self.version} builds nothing for the compute capability {capability!r}; choose from "
                    f"{', '.join(known)}, or leave the option out for all of these and later ones."
                )

    def read_network(self, builder: Any, path: Path) -> Any:
        """Parse the ONNX file `path`; EngineError where the library refuses it."""
        network = builder.create_network()
        parser = self.trt.OnnxParser(network, self.log)
        if not parser.parse_from_file(str(path)):
            reasons = [first_line(RuntimeError(parser.get_error(i).desc())) for i in range(parser.num_errors)]
            raise EngineError(f"The engine {self.name} cannot read {path.name}: {'; '.join(reasons) or self.log.last}.")
        return network

    def make_profile(self, builder: Any, network: Any) -> Any:
        """Allow batches from one to `MOST_BATCH`."""
        profile = builder.create_optimization_profile()
        for i in range(network.num_inputs):
            given = network.get_input(i)
            rest = tuple(given.shape)[1:]
            profile.set_shape(given.name, (1, *rest), (USUAL_BATCH, *rest), (MOST_BATCH, *rest))
        return profile

    def build(self, path: Path, capabilities: Sequence[str] = (), learnt: bytes | None = None) -> tuple[bytes, bytes]:
        """Build an engine for the network `path`, and say what was learnt of kernels; EngineError where that fails.

        `capabilities`: of the GPUs that are to run it, as `list_capabilities` has them; none for all of these and later
        ones; `THIS_GPU` for this machine's, which is the only one that a library knows that is not portable. `learnt`:
        what such a library learnt before.
        """
        builder = self.trt.Builder(self.log)
        network = self.read_network(builder, path)
        config = self.configure(builder, half=is_half(path))
        config.add_optimization_profile(self.make_profile(builder, network))
        if self.is_portable:
            self._aim(config, capabilities)
        else:
            config.set_timing_cache(config.create_timing_cache(learnt or b""), ignore_mismatch=False)
        plan = builder.build_serialized_network(network, config)
        if plan is None:
            raise EngineError(f"The engine {self.name} cannot be built for {path.name}: {self.log.last}.")
        # Timings make a portable library look for a GPU.
        return bytes(plan), b"" if self.is_portable else bytes(config.get_timing_cache().serialize())

    def configure(self, builder: Any, *, half: bool) -> Any:
        """Make the settings of a build; `half`: of a network in bfloat16."""
        config = builder.create_builder_config()
        config.set_memory_pool_limit(self.trt.MemoryPoolType.WORKSPACE, WORKSPACE_BYTES)
        if not half:
            # Else its products would be of factors with ten bits.
            config.clear_flag(self.trt.BuilderFlag.TF32)
        return config

    def _aim(self, config: Any, capabilities: Sequence[str]) -> None:
        config.num_compute_capabilities = len(capabilities)
        for index, capability in enumerate(capabilities):
            name = capability if capability in THIS_GPU else f"SM{capability.replace('.', '')}"
            if not config.set_compute_capability(getattr(self.trt.ComputeCapability, name), index):
                raise EngineError(f"The engine {self.name} cannot be built for {capability}: {self.log.last}.")

    def find_misfit(self, plan: bytes) -> str | None:
        """What keeps the engine `plan` from running here, by its head; None for nothing, or what only loading tells."""
        if not self.is_portable:
            return None
        validity, flags = self.trt.Runtime(self.log).get_engine_validity(plan)
        if validity != self.trt.EngineValidity.INVALID:
            return None
        known = self.trt.EngineInvalidityDiagnostics.__members__
        found = [text for name, text in MISFITS.items() if name in known and int(flags) & int(known[name])]
        # Without a driver it finds nothing, and says so.
        return ", and ".join(found) or MISFITS["CUDA_ERROR"]

    def load(self, plan: bytes) -> Any | None:
        """The engine `plan`, on this machine's GPU; None where it cannot be loaded, which the log explains."""
        return self.trt.Runtime(self.log).deserialize_cuda_engine(plan)

    def make_context(self, engine: Any, learnt: bytes) -> Context:
        """Make what runs `engine`; `learnt`: what the cache of an earlier context held, or nothing."""
        if not self.is_portable:
            return Context(engine.create_execution_context(), engine)
        config = engine.create_runtime_config()
        # What is compiled for a batch has to be ready before a CUDA graph of it is captured.
        config.dynamic_shapes_kernel_specialization_strategy = self.trt.DynamicShapesKernelSpecializationStrategy.EAGER
        cache = config.create_runtime_cache()
        if learnt:
            cache.deserialize(learnt)
        config.set_runtime_cache(cache)
        return Context(engine.create_execution_context(runtime_config=config), engine, config, cache)


def is_half(path: Path) -> bool:
    """Whether the network in the file `path` is in bfloat16."""
    return path.name.endswith(HALF.format(""))


def make_log(trt: Any, name: str) -> Any:
    """Make a log for the library `trt` that passes on what goes wrong, and has the last of it as `last`."""

    class Log(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.last = "it does not say why"

        def log(self, severity: Any, message: str) -> None:
            if severity <= trt.ILogger.Severity.ERROR:
                self.last = first_line(RuntimeError(message))
                logger.debug("engine %s: %s", name, message)

    return Log()
