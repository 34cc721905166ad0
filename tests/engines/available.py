"""The engines as parameters of a test: those for an NVIDIA GPU are marked, and left out with a reason without one."""

from __future__ import annotations

from pathlib import Path

import pytest

from engines import EngineOptions, find_installed_engines, open_graphs
from engines.backends.torch_engine import open_networks, parts_of
from engines.registry import ENGINES
from export.networks import Networks
from rigid.models.contract import Runtime
from tests.networks import SIZES

FLOAT32 = EngineOptions(precision="f32", threads=1)


def engine_parameters() -> list[object]:
    """One for every engine."""
    here = find_installed_engines()
    reason = "needs an NVIDIA GPU and the engine's package"
    marks = {name: [pytest.mark.gpu, pytest.mark.skipif(name not in here, reason=reason)] for name in ENGINES}
    return [pytest.param(name, marks=marks[name] if engine.gpu else []) for name, engine in ENGINES.items()]


def eager(networks: Networks) -> Runtime:
    encoder, generator, recurrent = networks.image_encoder, networks.generator, networks.recurrent_encoder
    parser = networks.face_parser
    return open_networks(encoder, generator, SIZES, FLOAT32, recurrent_encoder=recurrent, face_parser=parser)


def open_engine(engine: str, networks: Networks, folder: Path) -> Runtime:
    """`engine` over tiny networks, in float32."""
    if ENGINES[engine].files:
        return open_graphs(engine, folder, SIZES, FLOAT32)
    if engine == "torch":
        return eager(networks)
    from engines.backends import torch_tensorrt_engine

    encoder, generator, recurrent = networks.image_encoder, networks.generator, networks.recurrent_encoder
    parts = parts_of(encoder, generator, SIZES, recurrent, networks.face_parser)
    return torch_tensorrt_engine.open_parts(parts, SIZES, str(folder), FLOAT32)
