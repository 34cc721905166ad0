"""The real thing behind a server: one runtime that all sessions share, and a face tracker for each."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engines import load_runtime
from engines.batching import BatchedRuntime
from rigid.arrays import Array, Pixels
from rigid.assets.store import AssetStore
from rigid.discovery.strip import render_face
from rigid.edits.attribute import Attribute
from rigid.edits.library import AttributeLibrary, load_library
from rigid.face.alignment import FaceLandmarker
from rigid.face.group_tracker import FaceChoice
from rigid.models.contract import RecurrentState, Runtime
from rigid.models.openvino_core import get_shared_core
from rigid.models.profiles import mean_code, weights_file
from rigid.stream.face_stream import LIVE_EDITED_AFTER, LIVE_INVERTED_AFTER, StreamOptions
from rigid.stream.group_stream import AnyStream, open_stream

if TYPE_CHECKING:
    from server.uploads.attribute_previews import Gallery

ONE_FACE = FaceChoice()
LIVE = StreamOptions(inverted_after=LIVE_INVERTED_AFTER, edited_after=LIVE_EDITED_AFTER)


class Backend:
    """Makes the sessions' streams.

    `landmarks`: MediaPipe's face_landmarker.task; `face` (512,): to show edits on; `choice`: whose face is edited.
    """

    def __init__(
        self,
        runtime: Runtime,
        library: AttributeLibrary,
        landmarks: Path,
        face: Array | None = None,
        choice: FaceChoice = ONE_FACE,
    ) -> None:
        self._face = face
        self._choice = choice
        self.runtime = runtime
        self.library = library
        self._landmarks = landmarks

    def make_stream(self) -> AnyStream:
        """A stream for one viewer."""
        return open_stream(self.runtime, self._landmarks, self.library, self._choice, LIVE)

    def batches(self) -> Mapping[int, int]:
        """How many rounds of the engine held how many sessions' calls; none where it takes them one by one."""
        return self.runtime.batches if isinstance(self.runtime, BatchedRuntime) else {}

    def paint(self, attribute: Attribute, strength: float) -> Pixels:
        """The mean face with `attribute` at `strength`, RGB (S, S, 3); ValueError without a face."""
        if self._face is None:
            raise ValueError("There is no face to show an attribute on.")
        return render_face(self.runtime, self._face, attribute, strength)

    def warm_up(self) -> None:
        """Run everything once: the first call of an engine, and of a tracker, takes far longer than those after."""
        sizes = self.runtime.sizes
        grey = np.zeros((1, 3, sizes.image_size, sizes.image_size), np.float32)
        codes, noise, _ = self.runtime.invert(grey, RecurrentState.initial(sizes))
        pair = codes.repeat(2, 0), noise.repeat(2, 0)
        self.runtime.synthesize(*pair)
        # the edited face alone, and beside the inverted one
        for n in (1, 2) if sizes.face_window is not None else ():
            self.runtime.synthesize_face(pair[0][:n], pair[1][:n], np.zeros((n, 2), np.float32))
        if sizes.n_classes:
            self.runtime.parse(np.concatenate([grey] * 2))
        stream = self.make_stream()
        stream.step(np.full((480, 640, 3), 128, np.uint8), {}, 0.0)
        stream.close()


def open_backend(
    profile: str, engine: str, store: AssetStore, threads: int | None = None, max_faces: int = 1
) -> Backend:
    """What a server runs on; the networks of an imported profile must be exported.

    Raises ValueError for an unknown profile or engine, EngineError where it cannot be loaded, AssetError where a model
    is missing and cannot be fetched.
    """
    landmarks = store.file("face-landmarks", "face_landmarker.task")
    # The plugin is bound to the thread that loads it, which must outlive it: this one, not that of the landmarks.
    get_shared_core().get_property("CPU", "FULL_DEVICE_NAME")
    with ThreadPoolExecutor(1, "load-landmarks") as pool:
        loading = pool.submit(FaceLandmarker, landmarks)
        runtime = load_runtime(profile, engine, store=store, threads=threads, shared=True)
        loading.result().close()
    return Backend(runtime, load_library(profile), landmarks, mean_code(profile), FaceChoice(max_faces))


def gallery_of(backend: Backend, profile: str, cache: Path) -> Gallery:
    """Pictures of the attributes, kept below the folder `cache` for the generator that paints them."""
    # It brings FastAPI, which is imported while the networks are loaded.
    from server.uploads.attribute_previews import Gallery

    generator = hashlib.sha256(weights_file(profile, "generator").read_bytes()).hexdigest()[:12]
    return Gallery(backend.paint, cache / "strips" / f"{profile}-{generator}")
