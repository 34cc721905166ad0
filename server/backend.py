"""The real thing behind a server: one runtime that all sessions share, and a face tracker for each."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rigid.align import FaceLandmarker, FaceTracker
from rigid.attributes.library import AttributeLibrary
from rigid.models.contract import RecurrentState, Runtime
from rigid.stream import FaceStream


class Backend:
    """Makes the sessions' streams. `landmarks`: MediaPipe's face_landmarker.task."""

    def __init__(self, runtime: Runtime, library: AttributeLibrary, landmarks: Path) -> None:
        self.runtime = runtime
        self.library = library
        self._landmarks = landmarks

    def make_stream(self) -> FaceStream:
        """A stream for one viewer."""
        tracker = FaceTracker(FaceLandmarker(self._landmarks), self.runtime.sizes.image_size)
        return FaceStream(self.runtime, tracker, self.library)

    def warm_up(self) -> None:
        """Run everything once: the first call of an engine, and of a tracker, takes far longer than those after."""
        sizes = self.runtime.sizes
        grey = np.zeros((1, 3, sizes.image_size, sizes.image_size), np.float32)
        codes, noise, _ = self.runtime.invert(grey, RecurrentState.initial(sizes))
        self.runtime.synthesize(np.concatenate([codes] * 2), np.concatenate([noise] * 2))
        stream = self.make_stream()
        stream.step(np.full((480, 640, 3), 128, np.uint8), {}, 0.0)
        stream.close()
