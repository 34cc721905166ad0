"""What a worker of the tests' cluster runs: the server as it is, with a stream that paints and remembers."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from fastapi import FastAPI

from rigid.arrays import Pixels
from rigid.edits.importing import Target
from rigid.edits.library import AttributeLibrary
from server.app import create_app
from server.cluster.messages import Share
from server.config import ServerConfig
from tests.patience import eventually
from tests.server.world import LIBRARY, PaintedResult, PaintingStream, attribute


class CountingStream(PaintingStream):
    """Goes on counting where the one that it goes on from was; the count is told as a stage's milliseconds."""

    def step(self, frame: Pixels, edits: Mapping[str, float], timestamp: float) -> PaintedResult:
        result = super().step(frame, edits, timestamp)
        return replace(result, stage_ms={"count": float(self.steps)})

    def restore(self, data: bytes) -> None:
        super().restore(data)
        self.steps = int(data.split()[0])


def build(config: ServerConfig, share: Share) -> FastAPI:
    """A worker's server."""
    # The words would lie on what is painted.
    return create_app(replace(config, badge=False), CountingStream, LIBRARY)


FOLDER = "RIGID_LIVE_TEST_UPLOADS"
"""The variable that names the folder in which each worker has one for what clients bring."""


HELD_UP = "held-up"
"""While a file of that name is in it, no further worker becomes ready."""


def build_open(config: ServerConfig, share: Share) -> FastAPI:
    """A worker's server that takes attributes from clients."""
    folder = Path(os.environ[FOLDER])
    eventually(lambda: not (folder / HELD_UP).exists(), "leave to become ready", 300)
    smile = replace(attribute("smile"), direction=np.ones((16, 4), np.float32))
    library = AttributeLibrary([smile], n_codes=16, code_size=4)
    # As if each were on a node of its own.
    target = Target(folder / config.worker, n_codes=16, code_size=4, family="")
    return create_app(replace(config, badge=False), CountingStream, library, uploads=target)


class EngineStream(CountingStream):
    """Shares one engine with all streams of its worker, which takes 50 ms a picture: 20 pictures a second."""

    engine = threading.Lock()

    def step(self, frame: Pixels, edits: Mapping[str, float], timestamp: float) -> PaintedResult:
        with self.engine:
            time.sleep(0.05)
        return super().step(frame, edits, timestamp)


def build_engine(config: ServerConfig, share: Share) -> FastAPI:
    """A worker's server with an engine that bounds what it can do."""
    return create_app(replace(config, badge=False), EngineStream, LIBRARY)
