"""The real networks and measures of a profile."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from rigid.assets.store import AssetStore
from rigid.discovery.labels import FaceLabeller, load_labeller
from rigid.discovery.real import compile_encoder
from rigid.edits.library import load_library
from rigid.evaluation.fairness import FairnessTools
from rigid.evaluation.fvd import I3D
from rigid.evaluation.generated import Generated
from rigid.evaluation.measure import Meters
from rigid.evaluation.methods import Networks
from rigid.evaluation.run import Tools
from rigid.evaluation.sheet import SheetTools
from rigid.face.alignment import FaceLandmarker, FaceTracker
from rigid.face.group_tracker import FaceChoice, GroupTracker, open_group_tracker
from rigid.face.identity import FaceEmbedder
from rigid.models.build import build_lpips, build_mapping, build_mobile_generator, mean_code
from rigid.models.contract import Runtime
from rigid.models.profiles import WEIGHTS
from rigid.reporting import Say
from rigid.training.device import place


@contextmanager
def open_tools(
    profile: str, runtime: Runtime, store: AssetStore, *, facts: Mapping[str, object], i3d: Path | None, say: Say
) -> Iterator[Tools]:
    """What `evaluate` needs for `profile`, run by `runtime`; fetches what is missing of the assets.

    `facts`: what else results depend on, such as the weights and the machine; `i3d`: a TorchScript file; `say` takes
    what the user should know.
    """
    networks = Networks(
        runtime,
        load_library(profile),
        lambda: compile_encoder(profile),
        lambda: place(build_mobile_generator(profile, store)),
        lambda: place(build_lpips(store, exact=False)),
    )
    i3d_hash = {"i3d": hashlib.sha256(i3d.read_bytes()).hexdigest()[:12] if i3d else None}
    with _open_meters(store, None if i3d is None else I3D(i3d)) as (meters, _):
        known = _name_facts(profile, runtime) | i3d_hash | dict(facts)
        trackers = partial(_open_tracker, store, runtime), partial(_open_group_tracker, store, runtime)
        yield Tools(networks, meters, *trackers, known, say)


def open_sheet_tools(
    profile: str, runtime: Runtime, store: AssetStore, *, facts: Mapping[str, object], say: Say
) -> SheetTools:
    """What `make_sheet` needs for `profile`, run by `runtime`; `facts` and `say` as `open_tools` takes them."""
    known = {"profile": profile, "engine": runtime.name} | dict(facts)
    return SheetTools(runtime, load_library(profile), partial(_open_tracker, store, runtime), known, say)


@contextmanager
def open_fairness_tools(
    profile: str, runtime: Runtime, store: AssetStore, *, facts: Mapping[str, object], say: Say
) -> Iterator[FairnessTools]:
    """What `measure_fairness` needs for `profile`, run by `runtime`; `facts` and `say` as `open_tools` takes them."""
    generated = Generated(runtime, load_library(profile), build_mapping(store, profile), mean_code(profile))
    with _open_meters(store) as (meters, labeller):
        known = _name_facts(profile, runtime) | dict(facts)
        yield FairnessTools(generated, meters, labeller, partial(_open_tracker, store, runtime), known, say)


def _name_facts(profile: str, runtime: Runtime) -> dict[str, object]:
    return {"profile": profile, "engine": runtime.name, "attributes": attributes_fingerprint(profile)}


@contextmanager
def _open_meters(store: AssetStore, i3d: I3D | None = None) -> Iterator[tuple[Meters, FaceLabeller]]:
    store.ensure_all(["face-landmarks", "face-labels", "identity", "perceptual"])
    landmarker = FaceLandmarker(store.file("face-landmarks", "face_landmarker.task"), blendshapes=True, pose=True)
    try:
        labeller = load_labeller(store, landmarker)
        yield Meters(build_lpips(store), FaceEmbedder(store), labeller, i3d), labeller
    finally:
        landmarker.close()


def _open_tracker(store: AssetStore, runtime: Runtime) -> FaceTracker:
    model = store.file("face-landmarks", "face_landmarker.task")
    return FaceTracker(FaceLandmarker(model), runtime.sizes.image_size)


def _open_group_tracker(store: AssetStore, runtime: Runtime, most: int) -> GroupTracker:
    choice = FaceChoice(most, thorough=True)
    return open_group_tracker(store.file("face-landmarks", "face_landmarker.task"), runtime.sizes.image_size, choice)


def attributes_fingerprint(profile: str) -> str:
    """Names the edits that ship for the profile: results of others are not theirs."""
    found = hashlib.sha256()
    for path in sorted((WEIGHTS / profile / "attributes").glob("*.safetensors")):
        found.update(path.name.encode())
        found.update(path.read_bytes())
    return found.hexdigest()[:12]
