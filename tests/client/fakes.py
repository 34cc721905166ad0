"""A stream and attributes that need no networks: `smile` lights the picture up, so that a browser can see it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from fastapi import FastAPI

from rigid.arrays import Pixels
from rigid.edits.attribute import Attribute
from rigid.edits.library import AttributeLibrary
from rigid.stream.face_stream import StepResult
from server.app import create_app
from server.config import ServerConfig
from tests.patience import PATIENCE_SECONDS
from tests.staged import Staged


class LightStream(Staged):
    """Adds 100 · smile to every pixel."""

    def __init__(self) -> None:
        self.closed = False
        self.cadence, self.inverted_after = 1, 0.0

    def step(self, frame: Pixels, edits: Mapping[str, float], timestamp: float) -> StepResult:
        light = 100 * edits.get("smile", 0.0)
        lit = np.clip(frame + np.float32(light), 0, 255).astype(np.uint8)
        return StepResult(lit, face=True, edited=True, stage_ms={"align": 1.0, "synthesize": 2.0})

    def reanchor(self) -> None:
        """Every frame stands alone."""

    def save(self) -> bytes:
        return b""

    def restore(self, data: bytes) -> None:
        """Nothing is remembered."""

    def close(self) -> None:
        self.closed = True


def _attribute(name: str, label: str, group: str) -> Attribute:
    return Attribute(name, label, group, -1.5, 1.5, 0.0, "", "made up", np.zeros((2, 4), np.float32))


def attributes() -> AttributeLibrary:
    """Six attributes in two groups."""
    listed = [
        _attribute("smile", "Smile", "Expression"),
        _attribute("mouth_open", "Mouth open", "Expression"),
        _attribute("yaw", "Turn", "Expression"),
        _attribute("age", "Age", "Appearance"),
        _attribute("glasses", "Glasses", "Appearance"),
        _attribute("beard", "Beard", "Appearance"),
    ]
    return AttributeLibrary(listed, n_codes=2, code_size=4)


def many_attributes() -> AttributeLibrary:
    """Thirty attributes in ten groups, as many as a face has here."""
    listed = [_attribute(f"change_{i}", f"Change {i}", f"group {i // 3}") for i in range(30)]
    return AttributeLibrary(listed, n_codes=2, code_size=4)


def light_app(
    max_sessions: int = 2, api_key: str | None = None, library: AttributeLibrary | None = None, **offered: Any
) -> FastAPI:
    """A server of `LightStream`s, looked after five times as often as usual; `offered` goes to `create_app`."""
    keys = (api_key,) if api_key else ()
    # Neither is a session refused nor given up because this machine has more to do than it can.
    config = ServerConfig(max_sessions=max_sessions, api_keys=keys, min_fps=0.0, connect_seconds=PATIENCE_SECONDS)
    return create_app(config, LightStream, library or attributes(), tick_seconds=0.2, **offered)
