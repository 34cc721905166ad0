"""Discovery with a profile's real networks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from rigid.align import FaceLandmarker
from rigid.assets import AssetStore
from rigid.attributes.discover import Found, discover
from rigid.attributes.labels import load_labeller
from rigid.attributes.library import read_library
from rigid.attributes.recipes import RECIPES, Recipe
from rigid.attributes.samples import BATCH, DrawCodes, Studio, Synthesize, code_source, short_hash
from rigid.attributes.sheet import contact_sheet, write_sheet
from rigid.models.build import WEIGHTS, build_mapping, build_mobile_generator, sizes_of
from rigid.training.codes import mean_of
from rigid.training.fast_inference import compiled

Array = NDArray[np.float32]
MEAN_SAMPLES = 65_536
FIT_TRUNCATION = (0.5, 1.0)
FIT_MIXING = 0.75
"""Share of the fitted samples whose levels take codes of two faces, so that the levels' effects can be told apart."""
HELD_OUT_TRUNCATION = (0.5, 0.8)
"""Faces as even as those an image encoder finds."""
SHEET_FACES = 6
SHEET_SEED = 2_000_000


def discover_profile(
    profile: str,
    store: AssetStore,
    out: Path,
    *,
    count: int,
    seed: int,
    names: Sequence[str] = (),
    progress: Callable[[int], None] = lambda done: None,
    report: Callable[[str], None] = lambda line: None,
) -> list[Found]:
    """Discover the attributes `names` (all when empty) of `profile` into the folder `out`, with contact sheets.

    ValueError for an unknown profile or attribute, or when no direction can be found.
    """
    recipes = recipes_named(names)
    with open_studio(profile, store) as (studio, draw, draw_held_out):
        found = discover(
            studio,
            draw,
            draw_held_out,
            recipes,
            count=count,
            seed=seed,
            out=out,
            fingerprint=f"{weights_fingerprint(profile)}-{short_hash((FIT_TRUNCATION, FIT_MIXING))}",
            progress=progress,
            report=report,
        )
        faces = draw_held_out(seed + SHEET_SEED, SHEET_FACES)
        sizes = sizes_of(profile)
        files = [out / f"{one.header.name}.safetensors" for one in found]
        for attribute in read_library(files, n_codes=sizes.n_codes, code_size=sizes.code_size):
            write_sheet(out / "sheets" / f"{attribute.name}.png", contact_sheet(studio, faces, attribute.offset))
    return found


def recipes_named(names: Sequence[str]) -> list[Recipe]:
    """The recipes `names`, all of them when it is empty; ValueError for one that does not exist."""
    known = {recipe.name: recipe for recipe in RECIPES}
    for name in names:
        if name not in known:
            raise ValueError(f"There is no recipe for {name!r}; choose from: {', '.join(known)}.")
    return [known[name] for name in names or known]


@contextmanager
def open_studio(profile: str, store: AssetStore) -> Iterator[tuple[Studio, DrawCodes, DrawCodes]]:
    """The profile's studio, a source of codes to fit on and one of held-out codes."""
    sizes = sizes_of(profile)
    mapping = build_mapping(store)
    mean = mean_of(mapping, MEAN_SAMPLES, torch.Generator().manual_seed(0))
    landmarker = FaceLandmarker(store.file("face-landmarks", "face_landmarker.task"), blendshapes=True, pose=True)
    try:
        labeller = load_labeller(store, landmarker)
        yield (
            Studio(_synthesize(profile, store), labeller),
            code_source(mapping, mean, sizes.n_codes, FIT_TRUNCATION, FIT_MIXING),
            code_source(mapping, mean, sizes.n_codes, HELD_OUT_TRUNCATION, 0.0),
        )
    finally:
        landmarker.close()


def weights_fingerprint(profile: str) -> str:
    """Names the generator that labels belong to: the start of its weights' SHA-256."""
    data = (WEIGHTS / profile / "generator.safetensors").read_bytes()
    return hashlib.sha256(data).hexdigest()[:12]


def _synthesize(profile: str, store: AssetStore) -> Synthesize:
    sizes = sizes_of(profile)
    run = compiled(build_mobile_generator(profile, store), torch.zeros(BATCH, sizes.n_codes, sizes.code_size))

    def synthesize(codes: Array) -> Array:
        batch = np.zeros((BATCH, sizes.n_codes, sizes.code_size), np.float32)
        batch[: len(codes)] = codes
        # copied, as the engine writes its next result to the same place
        return run(torch.from_numpy(batch))[: len(codes)].copy()

    return synthesize
