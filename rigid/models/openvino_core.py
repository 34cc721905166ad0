"""OpenVINO's one core of this process."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import openvino

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
