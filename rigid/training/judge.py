"""Whether new weights of the encoders replace those that ship: measured as a pair, as shipped, on validation clips."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rigid.arrays import Array, Pixels
from rigid.assets.store import AssetStore
from rigid.atomic_files import write_json
from rigid.edits.library import AttributeLibrary, load_library
from rigid.fields import resize, to_pixels
from rigid.inversion.redrawing import COMPARED, find_new_edges
from rigid.models.build import build_generator, build_lpips
from rigid.models.profiles import WEIGHTS
from rigid.reporting import Say
from rigid.training.device import DEVICE, place
from rigid.training.flow import DisFlow
from rigid.training.image_encoder import IMAGE_ENCODER_FILE
from rigid.training.judge_rules import Measures, Verdict
from rigid.training.recurrent_options import RecurrentOptions
from rigid.training.recurrent_parts import RECURRENT_FILE, build_networks
from rigid.training.recurrent_validation import read_clips
from rigid.training.rollout import Codes, Compensation, Networks, encode_episode, plain_change, roll, show
from rigid.training.warping import warp

FILES = (IMAGE_ENCODER_FILE, RECURRENT_FILE)
PROFILE = "mobile-256"
FRAMES = 12
"""Frames of each validation clip."""
LOOK_EVERY = 4
"""LPIPS and blendshapes are taken of every so many frames."""
JUDGED_SHAPES = {"jaw": ("jawOpen",), "smile": ("mouthSmileLeft", "mouthSmileRight")}
JUDGED_EDITS = ("smile", "age", "glasses")
"""A clip is edited by one of these, in turn."""
UNSEEN = 1.0
"""Error of the blendshapes where no face is found any more."""


@dataclass(frozen=True)
class Judge:
    """Measures pairs of encoders on the same clips."""

    clips: Tensor
    """(B, T, 3, S, S) in [-1, 1]."""
    library: AttributeLibrary
    lpips: nn.Module
    expressions: Callable[[Pixels], Array]
    """RGB (B, S, S, 3) → blendshapes (B, len(JUDGED_SHAPES)), NaN where there is no face."""

    @torch.no_grad()
    def __call__(self, networks: Networks) -> Measures:
        """The measures of `RULES`, each a mean over clips."""
        edits = [self.library[JUDGED_EDITS[i % len(JUDGED_EDITS)]] for i in range(len(self.clips))]
        offsets = torch.from_numpy(np.stack([edit.offset(edit.max) for edit in edits])).to(DEVICE)
        codes = encode_episode(networks, self.clips, offsets)
        alone = networks.generate(codes.frames[:, ::LOOK_EVERY].flatten(0, 1)).clamp(-1, 1)
        steps = list(roll(networks, self.clips, codes, torch.ones(len(self.clips), dtype=torch.bool), truncation=1))
        inverted = torch.stack([step.inverted for step in steps], 1).clamp(-1, 1)
        change = self._edit_as_shown(networks, codes, steps[-1].compensation) - inverted[:, -1]
        return {
            "codes_mse": (alone - self._some).square().mean().item(),
            "codes_lpips": self._distance(alone),
            "noise_mse": (inverted - self.clips).square().mean().item(),
            "noise_lpips": self._distance(inverted[:, ::LOOK_EVERY].flatten(0, 1)),
            **self._expressions_off(alone),
            "flicker": (inverted.diff(dim=1) - self.clips.diff(dim=1)).abs().mean().item(),
            "coherence": self._coherence(inverted),
            "edit_share": _share(change, self._compute_wanted(networks, codes)),
        }

    @property
    def _some(self) -> Tensor:
        return self.clips[:, ::LOOK_EVERY].flatten(0, 1)

    def _distance(self, pictures: Tensor) -> float:
        pairs = zip(pictures.split(4), self._some.split(4), strict=True)
        return torch.cat([self.lpips(x, y) for x, y in pairs]).mean().item()

    def _expressions_off(self, pictures: Tensor) -> Measures:
        seen, shown = (self.expressions(_as_bytes(some)) for some in (self._some, pictures))
        errors = np.where(np.isfinite(shown), np.abs(shown - seen), UNSEEN)[np.isfinite(seen).all(1)]
        return {f"{name}_error": float(value) for name, value in zip(JUDGED_SHAPES, errors.mean(0), strict=True)}

    def _coherence(self, inverted: Tensor) -> float:
        """How much O changes besides how I moves, over how much I itself does so."""
        before, here = (self.clips[:, part].flatten(0, 1) for part in (slice(None, -1), slice(1, None)))
        flow = DisFlow()(here, before)
        warped, shown = warp(inverted[:, :-1].flatten(0, 1), flow), inverted[:, 1:].flatten(0, 1)
        return (F.l1_loss(warped, shown) / F.l1_loss(warp(before, flow), here)).item()

    def _edit_as_shown(self, networks: Networks, codes: Codes, found: Compensation) -> Tensor:
        """E of the last frames, without the noise map where a stream draws anew, as far as edges tell it."""
        last, everyone = self.clips.shape[1] - 1, list(range(len(self.clips)))
        bare = replace(found, noise=torch.zeros_like(found.noise))
        before, after = show(networks, codes, last, bare, everyone, everyone)
        anew = torch.from_numpy(np.stack([_find_anew(*pair) for pair in zip(before, after, strict=True)]))[:, None]
        share = F.interpolate(anew.to(found.noise), found.noise.shape[-2:], mode="area")
        kept = replace(found, noise=found.noise * (1 - share))
        return show(networks, codes, last, kept, [], everyone)[1].clamp(-1, 1)

    def _compute_wanted(self, networks: Networks, codes: Codes) -> Tensor:
        """What the edits do to the last frames by the codes alone."""
        return plain_change(networks, codes, self.clips.shape[1] - 1)


def _find_anew(before: Tensor, after: Tensor) -> Array:
    """Where an edit draws anew, (n, n): from the inverted to the edited face, (3, S, S) each, without a noise map."""
    first, second = (_at_compared_size(picture) for picture in (before, after))
    return find_new_edges(first, second, np.ones(first.shape[:2], np.float32))


def _at_compared_size(picture: Tensor) -> Array:
    return resize(np.ascontiguousarray(picture.clamp(-1, 1).cpu().numpy().transpose(1, 2, 0)), COMPARED)


def _share(change: Tensor, wanted: Tensor) -> float:
    """How much of `wanted` there is in `change`, (B, 3, S, S) each: 1 for all of it."""
    return ((change * wanted).sum((1, 2, 3)) / wanted.square().sum((1, 2, 3))).mean().item()


def _as_bytes(pictures: Tensor) -> Pixels:
    return to_pixels(pictures.cpu().numpy()).transpose(0, 2, 3, 1)


def judge(
    candidate: Path,
    data: Path,
    store: AssetStore,
    kept: Path,
    say: Say,
) -> Verdict:
    """Hold the weights in the folder `candidate` against those that ship; a file it lacks is the one that ships.

    `kept`: a folder for what was measured before. ValueError where `candidate` holds none, or other networks' weights.
    """
    found = [name for name in FILES if (candidate / name).is_file()]
    if not found:
        raise ValueError(f"{candidate} holds no weights to judge; it must hold one of: {', '.join(FILES)}.")
    shipped = {name: WEIGHTS / PROFILE / name for name in FILES}
    measured: list[Measures] = []
    make = _Measuring(data, store)
    for pair in (shipped, shipped | {name: candidate / name for name in found}):
        path = kept / f"{_digest(pair, data)}.json"
        if not path.is_file():
            say(f"measuring {', '.join(str(file) for file in pair.values())}")
            kept.mkdir(parents=True, exist_ok=True)
            write_json(path, make(pair))
        measured.append(json.loads(path.read_text()))
    return Verdict(*measured)


class _Measuring:
    """Measures pairs; what it takes is built with the first."""

    def __init__(self, data: Path, store: AssetStore):
        self._data, self._store = data, store
        self._judge: Judge | None = None

    def __call__(self, pair: Mapping[str, Path]) -> Measures:
        store = self._store
        if self._judge is None:
            library = load_library(PROFILE, custom=False)
            lpips = place(build_lpips(store))
            self._judge = Judge(read_clips(self._data, FRAMES), library, lpips, Blendshapes(store))
        options = RecurrentOptions(
            self._data, PROFILE, initial=pair[RECURRENT_FILE], image_encoder=pair[IMAGE_ENCODER_FILE]
        )
        networks = build_networks(options, place(build_generator(PROFILE, store)))
        networks.recurrent_encoder.eval().requires_grad_(False)
        return self._judge(networks)


class Blendshapes:
    """Sees the blendshapes of aligned faces by MediaPipe's landmarker."""

    def __init__(self, store: AssetStore):
        # Training on a bare machine does without the face detector.
        from rigid.face.alignment import FaceLandmarker

        self._landmarker = FaceLandmarker(store.file("face-landmarks", "face_landmarker.task"), blendshapes=True)

    def __call__(self, faces: Pixels) -> Array:
        return np.stack([self._of(np.ascontiguousarray(face)) for face in faces])

    def _of(self, face: Pixels) -> Array:
        self._landmarker.reset()
        found = self._landmarker.detect(face, 0)
        if not found:
            return np.full(len(JUDGED_SHAPES), np.nan, np.float32)
        shapes = found[0].blendshapes
        return np.array([np.mean([shapes[name] for name in names]) for names in JUDGED_SHAPES.values()], np.float32)


def _digest(pair: Mapping[str, Path], data: Path) -> str:
    """Names what is measured by its content; other measures or clips are another measurement."""
    digest = hashlib.sha256(repr((FRAMES, LOOK_EVERY, JUDGED_EDITS, (data / "index.json").read_text())).encode())
    for file in (*pair.values(), Path(__file__)):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
