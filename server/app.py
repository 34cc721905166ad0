"""Puts a server together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from fastapi import FastAPI

import aiortc_fixes
from rigid.edits.importing import Target
from rigid.edits.library import AttributeLibrary
from rigid.edits.presets import PresetStore
from rigid.files.credentials import Credentials
from server.access.middleware_stack import add_checks
from server.config import ServerConfig
from server.errors import add_error_handlers
from server.frames.stream_protocol import MakeStream
from server.frames.worker import InferenceWorker, in_hand_for, threads_for
from server.http.api import build_router, version_of
from server.http.openapi import add_description
from server.http.page import CLIENT_FOLDER, add_page
from server.metrics import CountBatches, Metrics, no_batches
from server.readiness import Readiness
from server.recording.disk_space import DiskSpace
from server.recording.mp4_writer import FilmLimits
from server.recording.recordings import Recordings, usable_folder
from server.session.liveness import TICK_SECONDS
from server.session.manager import SessionManager
from server.session.shared_services import SharedServices
from server.uploads.attribute_previews import AttributePreviews, Gallery
from server.uploads.uploads import Uploads
from server.webrtc.peer import MakePeer, Peer


def create_app(
    config: ServerConfig,
    make_stream: MakeStream,
    library: AttributeLibrary,
    *,
    warm_up: Callable[[], None] = lambda: None,
    page: Path | None = None,
    presets: PresetStore | None = None,
    gallery: Gallery | None = None,
    uploads: Target | None = None,
    credentials: Credentials | None = None,
    batches: CountBatches = no_batches,
    clock: Callable[[], float] = time.monotonic,
    make_peer: MakePeer = Peer,
    tick_seconds: float = TICK_SECONDS,
) -> FastAPI:
    """The server as an ASGI app; its thread and its sessions live as long as its lifespan.

    `make_stream` is called once a session, on any thread; what it gives is used on the inference
    threads, on one at a time. `warm_up` runs on one of them at the start; /readyz says 503 until it is done.
    `presets`: those on offer; None for those that ship. `gallery`: what paints the attributes, and where to keep
    it; None for no pictures of them. `uploads`: where attributes go that clients bring; None takes none, whatever
    `config` allows.
    `page`: the folder of the static page; None for the one of the `client` package.
    `credentials`: what snapshots and recordings of edited video are signed with; None leaves them unsigned.
    `batches`: how many rounds of the engine held how many sessions' calls.
    `clock`: what sessions' times and time limits are measured with, seconds.
    `make_peer`: makes each session its other end. `tick_seconds`: how often sessions are looked after.
    """
    readiness = Readiness()
    metrics = Metrics(readiness, batches)
    worker = InferenceWorker(threads_for(), in_hand_for())
    shared = SharedServices(
        config,
        library,
        worker,
        metrics,
        presets or PresetStore(library, own=None),
        AttributePreviews(gallery.paint, library, gallery.folder, worker) if gallery else None,
        Uploads(library, uploads, config) if uploads and config.allow_uploads else None,
        _recordings(config, metrics, credentials),
        clock=clock,
        make_peer=make_peer,
        tick_seconds=tick_seconds,
        credentials=credentials,
    )
    manager = SessionManager(shared, make_stream)
    # The interactive documentation loads scripts from elsewhere, which the security headers forbid.
    app = FastAPI(
        title="RIGID Live",
        lifespan=_lifespan(shared, manager, readiness.watch(warm_up)),
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.manager, app.state.readiness, app.state.metrics = manager, readiness, metrics
    app.state.uploads = shared.uploads
    add_description(app, version_of("rigid-live"))
    add_error_handlers(app)
    app.include_router(build_router(shared, manager, readiness))
    add_page(app, CLIENT_FOLDER if page is None else page)
    add_checks(app, config)
    return app


def _lifespan(
    shared: SharedServices, manager: SessionManager, warm_up: Callable[[], None]
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """What runs from the server's start to its end."""
    config = shared.config

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        aiortc_fixes.install()
        aiortc_fixes.set_bitrates(config.start_bitrate, config.min_bitrate, config.max_bitrate)
        aiortc_fixes.set_largest_side(config.max_picture_side)
        if shared.recordings is not None:
            await asyncio.to_thread(shared.recordings.recover)
        shared.worker.start(warm_up)
        manager.start()
        try:
            yield
        finally:
            await manager.stop()
            await asyncio.to_thread(shared.worker.stop)
            shared.encoding.shutdown(wait=False)

    return lifespan


def _recordings(config: ServerConfig, metrics: Metrics, credentials: Credentials | None) -> Recordings | None:
    if config.recordings is None:
        return None
    limits = FilmLimits(config.max_recording_seconds, config.max_recording_bytes)
    room = DiskSpace(config.min_free_bytes, config.recordings_quota_bytes)
    return Recordings(usable_folder(config.recordings), limits, credentials, metrics.unrecorded.inc, room)
