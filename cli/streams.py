"""Engines and streams as commands open them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.errors import say

if TYPE_CHECKING:
    from cli.choices import Composite
    from rigid.assets.store import AssetStore
    from rigid.models.contract import Runtime
    from rigid.stream.face_stream import FaceStream


def export_first(profile: str, engine: str, store: AssetStore) -> None:
    """Export the networks that `engine` runs, unless they are exported."""
    from engines.exports import is_exported

    if engine != "torch" and not is_exported(profile, store):
        # it brings PyTorch and the exporter, for two seconds
        from export import ensure_exported

        ensure_exported(profile, store, say)


def open_engine(profile: str, engine: str, threads: int | None = None) -> Runtime:
    """The engine with its networks, which are exported first where they are not yet."""
    from engines import load_runtime
    from rigid.assets.store import AssetStore

    store = AssetStore()
    export_first(profile, engine, store)
    return load_runtime(profile, engine, store=store, threads=threads)


def open_stream(runtime: Runtime, profile: str, composite: Composite) -> FaceStream:
    """A stream on `runtime`, with the profile's attributes."""
    from rigid.assets.store import AssetStore
    from rigid.edits.library import load_library
    from rigid.face.alignment import FaceLandmarker, FaceTracker
    from rigid.stream.face_stream import FaceStream, StreamOptions

    landmarker = FaceLandmarker(AssetStore().file("face-landmarks", "face_landmarker.task"))
    tracker = FaceTracker(landmarker, runtime.sizes.image_size)
    return FaceStream(runtime, tracker, load_library(profile), StreamOptions(composite))
