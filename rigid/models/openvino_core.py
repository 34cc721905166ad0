"""OpenVINO's one core of this process, and what it compiled, kept on disk."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import openvino

    from rigid.models.engine_cache import EngineCache, EngineKey

logger = logging.getLogger(__name__)
DEVICE = "CPU"
INSTRUCTION_BOUNDS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
"""Variables that keep OpenVINO's kernels from instructions that the processor has: what it compiled under one does not
load under another."""

_creating = threading.Lock()
_cores: list[openvino.Core] = []


def get_shared_core() -> openvino.Core:
    """Return the core all models are compiled with; it lives as long as the process.

    OpenVINO's CPU plugin gives the thread that loads it an alternate signal stack and unmaps it in its destructor
    (`SigAltStackSetup` in `intel_cpu/src/plugin.cpp`). Run on another thread, or between two plugins' lives, that
    destructor leaves a stack that is gone, and the next signal (Ctrl-C, SIGTERM) ends the process with SIGSEGV.
    A core that is never dropped keeps its plugin.
    """
    # A machine that only trains may be without it.
    import openvino

    with _creating:
        if not _cores:
            _cores.append(openvino.Core())
        return _cores[0]


def list_instruction_bounds() -> list[str]:
    """List what bounds the instructions of what is compiled here; nothing where they are the processor's."""
    return [f"{name}={os.environ[name]}" for name in INSTRUCTION_BOUNDS if os.environ.get(name)]


def compile_kept(
    read: Callable[[], Any], settings: Mapping[str, Any], plans: EngineCache, key: EngineKey
) -> openvino.CompiledModel:
    """The network that `read` gives (a path, or a model), compiled for processors with `settings`.

    It is taken from `plans` where it is kept there under `key`, whole; else it is kept there.
    """
    import openvino

    kept = plans.read(key)
    if kept is not None:
        try:
            # A tensor, as bytes would be copied once more.
            return get_shared_core().import_model(openvino.Tensor(np.frombuffer(kept, np.uint8)), DEVICE, settings)
        except RuntimeError:
            plans.set_aside(key, "OpenVINO cannot read it")
    model = get_shared_core().compile_model(read(), DEVICE, settings)
    stream = BytesIO()
    model.export_model(stream)
    try:
        plans.write(key, stream.getvalue())
    except OSError as error:
        # A full disk costs the next start a second, not this one its engine.
        logger.warning("engine openvino: what it compiled is not kept: %s", error)
    return model
