"""What all sessions of a server use."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from aiortc_fixes import new_pool
from rigid.edits.library import AttributeLibrary
from rigid.edits.presets import Preset, PresetStore
from rigid.files.credentials import Credentials
from server.config import ServerConfig
from server.errors import ApiError
from server.frames.worker import InferenceWorker
from server.metrics import Metrics
from server.recording.recordings import Recordings
from server.session.liveness import TICK_SECONDS
from server.uploads.attribute_previews import AttributePreviews
from server.uploads.uploads import Uploads
from server.webrtc.peer import MakePeer, Peer


@dataclass(frozen=True)
class SharedServices:
    """What all sessions of a server share."""

    config: ServerConfig
    library: AttributeLibrary
    worker: InferenceWorker
    metrics: Metrics
    presets: PresetStore
    previews: AttributePreviews | None = None
    """Pictures of the attributes, where there is what paints them."""
    uploads: Uploads | None = None
    """Takes attributes from clients, where the server allows that."""
    recordings: Recordings | None = None
    """Keeps films of what sessions send, where it has a folder for them."""
    clock: Callable[[], float] = time.monotonic
    encoding: ThreadPoolExecutor = field(default_factory=new_pool)
    """Encodes what all sessions send."""
    make_peer: MakePeer = Peer
    """Makes each session its other end."""
    tick_seconds: float = TICK_SECONDS
    """How often sessions are looked after."""
    credentials: Credentials | None = None
    """What is kept of edited video is signed with; None leaves it unsigned."""

    def validate(self, edits: dict[str, object]) -> dict[str, float]:
        """Return `edits` as floats; ApiError 422 where they are not on offer."""
        try:
            return self.library.validate(edits)
        except ValueError as error:
            raise ApiError(422, "bad_edit", str(error), "GET /api/v1/attributes lists them all.") from error

    def preset(self, name: str) -> Preset:
        """The preset `name`; ApiError 422 where there is none."""
        try:
            return self.presets[name]
        except ValueError as error:
            raise ApiError(422, "unknown_preset", str(error), "GET /api/v1/presets lists them all.") from error
