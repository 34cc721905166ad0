"""Engines and streams as commands open them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cli.choices import Composite
    from rigid.models.contract import Runtime
    from rigid.stream.face_stream import FaceStream


def open_engine(profile: str, engine: str, threads: int | None = None) -> Runtime:
    """The engine with its networks."""
    from engines import load_runtime

    return load_runtime(profile, engine, threads=threads)


def open_stream(runtime: Runtime, profile: str, composite: Composite) -> FaceStream:
    """A stream on `runtime`, with the profile's attributes."""
    from rigid.assets.store import AssetStore
    from rigid.edits.library import load_library
    from rigid.face.alignment import FaceLandmarker, FaceTracker
    from rigid.stream.face_stream import FaceStream, StreamOptions

    landmarker = FaceLandmarker(AssetStore().file("face-landmarks", "face_landmarker.task"))
    tracker = FaceTracker(landmarker, runtime.sizes.image_size)
    return FaceStream(runtime, tracker, load_library(profile), StreamOptions(composite))
