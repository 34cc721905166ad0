"""The real networks and measures of a profile."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch
from torch import nn

from rigid.arrays import Array
from rigid.assets.store import AssetStore
from rigid.discovery.labels import load_labeller
from rigid.edits.library import load_library
from rigid.evaluation.fairness import FairnessTools
from rigid.evaluation.fvd import I3D
from rigid.evaluation.generated import Generated
from rigid.evaluation.measure import Meters
from rigid.evaluation.methods import Networks
from rigid.evaluation.run import Tools
from rigid.evaluation.runtimes import ImageEncoder
from rigid.evaluation.sheet import SheetTools
from rigid.face.alignment import FaceLandmarker, FaceTracker
from rigid.face.identity import FaceEmbedder
from rigid.models.build import build_image_encoder, build_lpips, build_mapping, build_mobile_generator, mean_code
from rigid.models.contract import Runtime
from rigid.models.profiles import WEIGHTS
from rigid.training.device import place
from rigid.training.fast_inference import compile_network


@contextmanager
def open_tools(
    profile: str,
    runtime: Runtime,
    store: AssetStore,
    *,
    facts: Mapping[str, object],
    i3d: Path | None = None,
    say: Callable[[str], None] = print,
) -> Iterator[Tools]:
    """What `evaluate` needs for `profile`, run by `runtime`; fetches what is missing of the assets.

    `facts`: what else results depend on, such as the weights and the machine; `i3d`: a TorchScript file; `say` takes
    what the user should know.
    """
    store.ensure_all(["face-landmarks", "face-labels", "identity", "perceptual"])
    size = runtime.sizes.image_size
    model = store.file("face-landmarks", "face_landmarker.task")
    networks = Networks(
        runtime,
        load_library(profile),
        lambda: _encoder(profile, size),
        lambda: place(build_mobile_generator(profile, store)),
        lambda: place(build_lpips(store, exact=False)),
    )
    landmarker = FaceLandmarker(model, blendshapes=True, pose=True)
    try:
        labeller = load_labeller(store, landmarker)
        meters = Meters(build_lpips(store), FaceEmbedder(store), labeller, I3D(i3d) if i3d else None)
        own = {
            "profile": profile,
            "engine": runtime.name,
            "attributes": attributes_fingerprint(profile),
            "i3d": hashlib.sha256(i3d.read_bytes()).hexdigest()[:12] if i3d else None,
        }
        yield Tools(networks, meters, partial(_open_tracker, model, size), own | dict(facts), say)
    finally:
        landmarker.close()


def open_sheet_tools(
    profile: str,
    runtime: Runtime,
    store: AssetStore,
    *,
    facts: Mapping[str, object],
    say: Callable[[str], None] = print,
) -> SheetTools:
    """What `make_sheet` needs for `profile`, run by `runtime`; `facts` and `say` as `open_tools` takes them."""
    model = store.file("face-landmarks", "face_landmarker.task")
    size = runtime.sizes.image_size
    own = {"profile": profile, "engine": runtime.name}
    return SheetTools(runtime, load_library(profile), partial(_open_tracker, model, size), own | dict(facts), say)


@contextmanager
def open_fairness_tools(
    profile: str,
    runtime: Runtime,
    store: AssetStore,
    *,
    facts: Mapping[str, object],
    say: Callable[[str], None] = print,
) -> Iterator[FairnessTools]:
    """What `measure_fairness` needs for `profile`, run by `runtime`; `facts` and `say` as `open_tools` takes them."""
    store.ensure_all(["face-landmarks", "face-labels", "identity", "perceptual", "generator"])
    size = runtime.sizes.image_size
    model = store.file("face-landmarks", "face_landmarker.task")
    generated = Generated(runtime, load_library(profile), build_mapping(store, profile), mean_code(profile))
    own = {"profile": profile, "engine": runtime.name, "attributes": attributes_fingerprint(profile)}
    landmarker = FaceLandmarker(model, blendshapes=True, pose=True)
    try:
        labeller = load_labeller(store, landmarker)
        meters = Meters(build_lpips(store), FaceEmbedder(store), labeller)
        tracker = partial(_open_tracker, model, size)
        yield FairnessTools(generated, meters, labeller, tracker, own | dict(facts), say)
    finally:
        landmarker.close()


def _open_tracker(model: Path, size: int) -> FaceTracker:
    return FaceTracker(FaceLandmarker(model), size)


def _encoder(profile: str, size: int) -> ImageEncoder:
    # held one level down: the exporter cannot have a module called `code`, which the encoder has, at the top
    run = compile_network(nn.Sequential(build_image_encoder(profile)), torch.zeros(1, 3, size, size))

    def encode(inputs: Array) -> Array:
        # copied, as the engine writes its next result to the same place
        return run(torch.from_numpy(inputs)).copy()

    return encode


def attributes_fingerprint(profile: str) -> str:
    """Names the edits that ship for the profile: results of others are not theirs."""
    found = hashlib.sha256()
    for path in sorted((WEIGHTS / profile / "attributes").glob("*.safetensors")):
        found.update(path.name.encode())
        found.update(path.read_bytes())
    return found.hexdigest()[:12]
