"""Engines and streams as commands open them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cli.choices import Composite
    from rigid.face.group_tracker import FaceChoice
    from rigid.models.contract import Runtime
    from rigid.stream.group_stream import AnyStream


def open_engine(profile: str, engine: str, threads: int | None = None, *, shared: bool = False) -> Runtime:
    """The engine with its networks; `shared`: for calls from several threads at a time."""
    from engines import load_runtime

    return load_runtime(profile, engine, threads=threads, shared=shared)


def open_stream(runtime: Runtime, profile: str, composite: Composite, faces: FaceChoice) -> AnyStream:
    """A stream on `runtime`, with the profile's attributes."""
    from rigid.assets.store import AssetStore
    from rigid.edits.library import load_library
    from rigid.stream import group_stream
    from rigid.stream.face_stream import StreamOptions

    landmarks = AssetStore().file("face-landmarks", "face_landmarker.task")
    return group_stream.open_stream(runtime, landmarks, load_library(profile), faces, StreamOptions(composite))
