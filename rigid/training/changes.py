"""Edits whose truth is known, for the learned composite: generated faces, and what they should become."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rigid.blend import Crop, warp
from rigid.composite import OpticalMotion, grown_flow
from rigid.replacing import replacing
from rigid.training.augment import degrade_alike
from rigid.training.episodes import Episode, EpisodeSet
from rigid.training.fast_inference import from_bytes, to_bytes
from rigid.training.rollout import Codes, Networks, encode_episode, roll

Pictures = NDArray[np.uint8]
FIELDS = ("real", "inverted", "edited", "inputs", "truth")


@dataclass(frozen=True)
class Changes:
    """N frames under an edit; RGB uint8 (N, 3, S, S) each."""

    real: Pictures
    """W(I, f)."""
    inverted: Pictures
    """W(O, f)."""
    edited: Pictures
    """E."""
    inputs: Pictures
    """I, as a camera shows it."""
    truth: Pictures
    """What the edit makes of the face, seen by the same camera."""

    def __len__(self) -> int:
        return len(self.real)

    def part(self, chosen: NDArray[np.int64] | slice) -> Changes:
        """The frames `chosen`."""
        return Changes(*(getattr(self, name)[chosen] for name in FIELDS))


def kept_changes(path: Path, make: Callable[[], Iterator[Changes]]) -> Changes:
    """The frames kept at `path` (.npz), made on the first call."""
    if not path.exists():
        parts = list(make())
        arrays: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in FIELDS}
        with replacing(path) as part, part.open("wb") as file:
            np.savez(file, **arrays)
    with np.load(path) as kept:
        return Changes(*(kept[name] for name in FIELDS))


def changes_of(episodes: EpisodeSet, networks: Networks, misread: float, seed: int) -> Iterator[Changes]:
    """Every frame of generated `episodes`, inverted and edited as a stream does it.

    Generated faces are read more exactly than real ones: half of the episodes are read wrong on purpose, their codes
    drawn towards another face's by up to `misread`.
    """
    random = np.random.default_rng(seed)
    wrong = None
    for index in range(len(episodes)):
        episode = episodes[index]
        assert episode.knows_edit
        inputs, truth = _as_a_camera_shows(episode, random)
        share = misread * random.random() if random.random() < 0.5 else 0.0
        inverted, edited, codes = _shown(networks, inputs, episode.edit, wrong, share)
        wrong = codes
        yield _warped(inputs, inverted, edited, truth)


def _as_a_camera_shows(episode: Episode, random: np.random.Generator) -> tuple[Pictures, Pictures]:
    """The episode's faces and their edited selves (T, 3, S, S), spoilt alike."""
    pictures = [np.ascontiguousarray(p.transpose(1, 2, 0)) for p in (*episode.crops, *episode.edited)]
    spoilt = np.stack(degrade_alike(pictures, random)).transpose(0, 3, 1, 2)
    return spoilt[: len(episode.crops)], spoilt[len(episode.crops) :]


@torch.no_grad()
def _shown(
    networks: Networks, inputs: Pictures, edit: NDArray[np.float32], wrong: Tensor | None, share: float
) -> tuple[Pictures, Pictures, Tensor]:
    """O and E of an episode's frames, and its first frame's codes."""
    frames = from_bytes(inputs)[None]
    codes = encode_episode(networks, frames, torch.from_numpy(edit.copy()).to(frames.device)[None])
    first = codes.frames[:, :1]
    if wrong is not None and share:
        drawn = codes.frames + share * (wrong - first)
        codes = Codes(drawn, drawn[:, 0, -networks.n_shared :], codes.edits)
    loud = torch.zeros(1, dtype=torch.bool, device=frames.device)
    steps = list(roll(networks, frames, codes, loud, truncation=1))
    shown = (torch.cat([getattr(step, name) for step in steps]) for name in ("inverted", "edited"))
    inverted, edited = (to_bytes(pictures.float().cpu().numpy()) for pictures in shown)
    return inverted, edited, first


def _warped(inputs: Pictures, inverted: Pictures, edited: Pictures, truth: Pictures) -> Changes:
    """The frames with I and O drawn to where E has them."""
    motion = OpticalMotion()
    warped: list[tuple[Pictures, Pictures]] = []
    for i, o, e in zip(*(map(_crop, pictures) for pictures in (inputs, inverted, edited)), strict=True):
        flow = grown_flow(motion(e, o), e.shape[0])
        warped.append((_bytes(warp(i, flow)), _bytes(warp(o, flow))))
    real, drawn = (np.stack(pictures) for pictures in zip(*warped, strict=True))
    return Changes(real, drawn, edited, inputs, truth)


def _crop(picture: Pictures) -> Crop:
    crop: Crop = np.ascontiguousarray(picture.transpose(1, 2, 0)).astype(np.float32) / np.float32(127.5) - 1
    return crop


def _bytes(crop: Crop) -> Pictures:
    return to_bytes(crop.transpose(2, 0, 1))
