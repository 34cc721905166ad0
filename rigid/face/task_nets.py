"""The networks in MediaPipe's face_landmarker.task, a zip file, as OpenVINO runs them."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import ZipFile

MOST_STREAMS = 8
"""So many calls of a network run at once, those of different sessions; others wait for them."""
THREADS = 2
"""Of a call: the landmark net takes 5.8 ms on one thread, 3.4 on two."""

_compiling = threading.Lock()
_nets: dict[tuple[Path, str], Any] = {}


def open_request(model_path: Path, member: str, side: int, mean: float, scale: float) -> Any:
    """A request of one's own to the network `member` of the file, compiled once a process; one call at a time.

    It takes uint8 RGB (1, side, side, 3), of which the network sees (x - mean) / scale.
    """
    with _compiling:
        if (model_path, member) not in _nets:
            _nets[model_path, member] = _compile(_read(model_path, member, side, mean, scale))
        return _nets[model_path, member].create_infer_request()


def _compile(model: Any) -> Any:
    from rigid.models.openvino_core import get_shared_core

    cores = len(os.sched_getaffinity(0))
    streams = min(MOST_STREAMS, max(1, cores // THREADS))
    # in bfloat16 landmarks are off by pixels
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "NUM_STREAMS": streams,
        "INFERENCE_NUM_THREADS": min(cores, streams * THREADS),
        "ENABLE_CPU_PINNING": False,
    }
    return get_shared_core().compile_model(model, "CPU", settings)


def _read(model_path: Path, member: str, side: int, mean: float, scale: float) -> Any:
    import openvino
    from openvino.preprocess import PrePostProcessor

    from rigid.models.openvino_core import get_shared_core

    # OpenVINO reads this format from files only
    with TemporaryDirectory() as folder, ZipFile(model_path) as task:
        model = get_shared_core().read_model(task.extract(member, folder))
    model.reshape([1, side, side, 3])
    steps = PrePostProcessor(model)
    steps.input().tensor().set_element_type(openvino.Type.u8)
    steps.input().preprocess().convert_element_type(openvino.Type.f32).mean(mean).scale(scale)
    return steps.build()
