"""The networks in MediaPipe's face_landmarker.task, a zip file, as OpenVINO runs them."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import ZipFile

from rigid.assets.store import default_cache_dir
from rigid.models.engine_cache import EngineCache, EngineKey
from rigid.models.openvino_core import DEVICE, compile_kept, get_shared_core, list_instruction_bounds
from rigid.operating_system import count_cores

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
            read = partial(_read, model_path, member, side, mean, scale)
            _nets[model_path, member] = _compile(read, f"{_hash(model_path)} {member} {side} {mean:g} {scale:g}")
        return _nets[model_path, member].create_infer_request()


def _compile(read: Callable[[], Any], network: str) -> Any:
    """The network that `read` gives, which the text `network` tells from others."""
    import openvino

    cores = count_cores()
    streams = min(MOST_STREAMS, max(1, cores // THREADS))
    # in bfloat16 landmarks are off by pixels
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "NUM_STREAMS": streams,
        "INFERENCE_NUM_THREADS": min(cores, streams * THREADS),
        "ENABLE_CPU_PINNING": False,
    }
    core = get_shared_core()
    properties = [core.get_property(DEVICE, name) for name in ("FULL_DEVICE_NAME", "OPTIMIZATION_CAPABILITIES")]
    device = ", ".join((str(properties), *list_instruction_bounds()))
    key = EngineKey(network, openvino.get_version(), device, str(settings))
    plans = EngineCache(default_cache_dir().expanduser().absolute() / "plans" / "landmarks", "openvino")
    return compile_kept(read, settings, plans, key)


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _read(model_path: Path, member: str, side: int, mean: float, scale: float) -> Any:
    import openvino
    from openvino.preprocess import PrePostProcessor

    # OpenVINO reads this format from files only
    with TemporaryDirectory() as folder, ZipFile(model_path) as task:
        model = get_shared_core().read_model(task.extract(member, folder))
    model.reshape([1, side, side, 3])
    steps = PrePostProcessor(model)
    steps.input().tensor().set_element_type(openvino.Type.u8)
    steps.input().preprocess().convert_element_type(openvino.Type.f32).mean(mean).scale(scale)
    return steps.build()
