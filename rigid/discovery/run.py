"""Discovery with a profile's real networks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from rigid.arrays import Array
from rigid.assets.store import AssetStore
from rigid.discovery.discover import STATING_FACES, Bench, Found, discover, prepare
from rigid.discovery.labels import load_labeller
from rigid.discovery.looks import LookClassifier, describe, learn_looks, no_looks, read_hand_labels, write_looks
from rigid.discovery.real import codes_of_clips
from rigid.discovery.recipes import RECIPES, Recipe
from rigid.discovery.report import write_report
from rigid.discovery.samples import (
    BATCH,
    CHUNK_FACES,
    DrawCodes,
    RenderCodes,
    Studio,
    code_source,
    load_or_make_faces,
    short_hash,
)
from rigid.discovery.sheet import contact_sheet, overview, read_sheet, write_sheet
from rigid.discovery.statement import in_order
from rigid.discovery.unsupervised import explore, single_codes
from rigid.edits.attribute_header import GROUPS
from rigid.edits.code_layouts import FAMILIES
from rigid.edits.library import read_library
from rigid.face.alignment import FaceLandmarker
from rigid.face.identity import Embedder, FaceEmbedder, has_dlib
from rigid.models.build import build_mapping, build_mobile_generator, mean_code
from rigid.models.profiles import WEIGHTS, sizes_of
from rigid.reporting import CountDone, Say, say_nothing
from rigid.training.fast_inference import compile_network

FIT_TRUNCATION = (0.5, 1.0)
FIT_MIXING = 0.75
"""Share of the fitted samples whose levels take codes of two faces, so that the levels' effects can be told apart."""
HELD_OUT_TRUNCATION = (0.5, 0.8)
"""Faces as even as those an image encoder finds."""
SHEET_FACES = 6
SHEET_SEED = 3_000_000
DISCOVERY_METHODS = ("supervised", "sefa", "ganspace")
EXPLORED_CODES = 16_384


@dataclass(frozen=True)
class Request:
    """What to discover, how, and where to."""

    profile: str
    out: Path
    count: int
    seed: int
    names: Sequence[str] = ()
    """Attributes; all of `RECIPES` when empty."""
    clips: Path | None = None
    """A folder of aligned clips of real faces to state the changes on too."""
    split: str | None = None
    """Only the clips that the folder's index puts in this split."""
    faces: int = STATING_FACES
    """Held-out generated faces to state the changes on."""

    @property
    def cache(self) -> Path:
        """Where faces and what is seen in them are kept."""
        return self.out / "faces"


def discover_profile(
    request: Request, store: AssetStore, *, progress: CountDone = lambda done: None, report: Say = say_nothing
) -> list[Found]:
    """Discover attributes into the folder `request.out`, with contact sheets and a report.

    ValueError for an unknown profile or attribute, or a folder of clips without one.
    """
    recipes = recipes_named(request.names)
    real = None if request.clips is None else codes_of_clips(request.profile, request.clips, request.split)
    with open_studio(request.profile, store) as (studio, draw, draw_held_out):
        bench = prepare(
            studio,
            draw,
            draw_held_out,
            count=request.count,
            seed=request.seed,
            cache=request.cache,
            fingerprint=_fingerprint(request.profile),
            family=FAMILIES[request.profile],
            real=real,
            embed=open_embedder(store),
            stating=request.faces,
            progress=progress,
            report=report,
        )
        found = discover(bench, recipes, request.out, report)
        _write_sheets(request, studio, draw_held_out, [one.header.name for one in found])
    _write_report(request, bench)
    return found


def _fingerprint(profile: str) -> str:
    return f"{weights_fingerprint(profile)}-{short_hash((FIT_TRUNCATION, FIT_MIXING))}"


def open_embedder(store: AssetStore) -> Embedder | None:
    """Tells who a face is; None where dlib is not installed."""
    return FaceEmbedder(store) if has_dlib() else None


def _write_sheets(request: Request, studio: Studio, draw: DrawCodes, names: Sequence[str]) -> None:
    faces = draw(request.seed + SHEET_SEED, SHEET_FACES)
    sizes = sizes_of(request.profile)
    files = [request.out / f"{name}.safetensors" for name in names]
    for attribute in read_library(files, n_codes=sizes.n_codes, code_size=sizes.code_size):
        sheet = contact_sheet(studio, faces, attribute.offset, strengths=strengths_of(attribute.min))
        write_sheet(request.out / "sheets" / f"{attribute.name}.jpg", sheet)
    _write_overviews(request.out)


def _write_overviews(folder: Path) -> None:
    """A picture for each group of attributes, from the sheets of this and of earlier runs."""
    for group in GROUPS:
        paths = {r.name: folder / "sheets" / f"{r.name}.jpg" for r in RECIPES if r.group == group}
        sheets = {name: read_sheet(path) for name, path in paths.items() if path.exists()}
        if sheets:
            write_sheet(folder / f"overview-{group}.jpg", overview(sheets, SHEET_FACES), quality=82)


def strengths_of(least: float) -> tuple[float, ...]:
    """The strengths a sheet shows of an attribute whose range begins at `least`."""
    return (-1.0, -0.5, 0.0, 0.5, 1.0) if least < 0 else (0.0, 0.25, 0.5, 0.75, 1.0)


def _write_report(request: Request, bench: Bench) -> None:
    """Write the report of all attributes in the folder, those of earlier runs too."""
    statements = in_order(request.out / "statements", RECIPES)
    if not statements:
        return
    gradients = bench.search.gradients
    explained = {name: round(float(r2), 3) for name, r2 in zip(gradients.measures, gradients.r2, strict=True)}
    write_report(request.out, statements, {"samples": bench.count, "seed": request.seed, "explained": explained})


def explore_profile(request: Request, store: AssetStore, method: str, components: int) -> Iterator[Path]:
    """Directions by SeFa or GANSpace, each with a contact sheet to name it from, and all on one sheet.

    Yields the sheets as they come. ValueError for a method that there is not.
    """
    if method not in DISCOVERY_METHODS[1:]:
        raise ValueError(f"There is no method {method!r}; choose one of: {', '.join(DISCOVERY_METHODS)}.")
    generator, mapping = build_mobile_generator(request.profile, store), build_mapping(store)
    codes = single_codes(mapping, EXPLORED_CODES, request.seed)
    with open_studio(request.profile, store, no_looks()) as (studio, _, draw_held_out):
        faces = draw_held_out(request.seed + SHEET_SEED, SHEET_FACES // 2)
        out, sheets = request.out / method, {}
        for path in explore(method, studio, generator, codes, faces, count=components, out=out):
            sheets[path.stem.removeprefix(f"{method}-")] = read_sheet(path)
            yield path
    write_sheet(out / "overview.jpg", overview(sheets, len(faces)), quality=82)
    yield out / "overview.jpg"


def learn_looks_of(request: Request, store: AssetStore, report: Say = say_nothing) -> LookClassifier:
    """Learn the looks anew from the labels made by hand, and keep them for all later runs."""
    labels = read_hand_labels()
    seeds = sorted({label.seed for label in labels})
    described: dict[tuple[int, int], Array] = {}
    with open_studio(request.profile, store, no_looks()) as (studio, draw, _):
        chunks = load_or_make_faces(studio, draw, seeds, request.cache, _fingerprint(request.profile))
        for seed, (images, seen) in zip(seeds, chunks, strict=True):
            for i in range(CHUNK_FACES):
                if np.isfinite(seen["landmarks"][i]).all():
                    described[seed, i] = describe(images[i], seen["landmarks"][i])
    usable = [label for label in labels if (label.seed, label.index) in described]
    looks, areas = learn_looks(np.stack([described[label.seed, label.index] for label in usable]), usable)
    write_looks(looks)
    report(f"learned from {len(usable)} faces; area under the ROC curve, held out:")
    report(", ".join(f"{name} {area:.2f}" for name, area in areas.items()))
    return looks


def recipes_named(names: Sequence[str]) -> list[Recipe]:
    """The recipes `names`, all of them when it is empty; ValueError for one that does not exist."""
    known = {recipe.name: recipe for recipe in RECIPES}
    for name in names:
        if name not in known:
            raise ValueError(f"There is no recipe for {name!r}; choose from: {', '.join(known)}.")
    return [known[name] for name in names or known]


@contextmanager
def open_studio(
    profile: str, store: AssetStore, looks: LookClassifier | None = None
) -> Iterator[tuple[Studio, DrawCodes, DrawCodes]]:
    """The profile's studio, a source of codes to fit on and one of held-out codes; `looks` as the labeller takes."""
    sizes = sizes_of(profile)
    mapping, mean = build_mapping(store), mean_code(profile)
    landmarker = FaceLandmarker(store.file("face-landmarks", "face_landmarker.task"), blendshapes=True, pose=True)
    try:
        yield (
            Studio(_synthesize(profile, store), load_labeller(store, landmarker, looks)),
            code_source(mapping, mean, sizes.n_codes, FIT_TRUNCATION, FIT_MIXING),
            code_source(mapping, mean, sizes.n_codes, HELD_OUT_TRUNCATION, 0.0),
        )
    finally:
        landmarker.close()


def weights_fingerprint(profile: str) -> str:
    """Names the generator that labels belong to: the start of its weights' SHA-256."""
    data = (WEIGHTS / profile / "generator.safetensors").read_bytes()
    return hashlib.sha256(data).hexdigest()[:12]


def _synthesize(profile: str, store: AssetStore) -> RenderCodes:
    sizes = sizes_of(profile)
    run = compile_network(build_mobile_generator(profile, store), torch.zeros(BATCH, sizes.n_codes, sizes.code_size))

    def synthesize(codes: Array) -> Array:
        batch = np.zeros((BATCH, sizes.n_codes, sizes.code_size), np.float32)
        batch[: len(codes)] = codes
        # copied, as the engine writes its next result to the same place
        return run(torch.from_numpy(batch))[: len(codes)].copy()

    return synthesize
