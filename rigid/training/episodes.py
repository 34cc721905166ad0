"""Episodes: a few consecutive frames of one face, aligned and in a window of their frames, with their flows."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rigid.arrays import Array, Pixels
from rigid.training.augment import degrade_alike, recolour
from rigid.training.device import DEVICE
from rigid.training.flow import FlowEstimator
from rigid.training.pictures import from_bytes
from rigid.training.warping import flip_placements


@dataclass(frozen=True)
class Episode:
    """T consecutive frames; pictures are RGB uint8."""

    name: str
    """The clip, still or walk it is from."""
    crops: Pixels
    """I^a: aligned faces (T, 3, S, S)."""
    windows: Pixels
    """I: one square window of the frames, round the face (T, 3, R, R)."""
    masks: Pixels
    """M_I: feathered inner-face masks in the window (T, R, R), 255 is all face."""
    placements: Array
    """Window → crop (T, 2, 3), see `warping`."""
    flows: NDArray[np.float16]
    """(2, T - 1, 2, R, R): f from each frame but the first to the one before; from each but the last to the next."""
    edited: Pixels
    """The true edited faces (T, 3, S, S), where they are known; (0, 3, S, S) elsewhere."""
    edit: Array
    """The edit (n_codes, 512) that gives them; (0, 512) elsewhere."""

    @property
    def knows_edit(self) -> bool:
        """Whether the true edited faces are known."""
        return len(self.edited) > 0

    def part(self, start: int, length: int) -> Episode:
        """`length` frames from frame `start` on."""
        frames, pairs = slice(start, start + length), slice(start, start + length - 1)
        return Episode(
            self.name,
            self.crops[frames],
            self.windows[frames],
            self.masks[frames],
            self.placements[frames],
            self.flows[:, pairs],
            self.edited[frames],
            self.edit,
        )


ARRAYS = tuple(field.name for field in fields(Episode) if field.name != "name")


def make_flows(windows: Pixels, estimate: FlowEstimator) -> NDArray[np.float16]:
    """The flows of an episode between its windows (T, 3, R, R): (2, T - 1, 2, R, R)."""
    pictures = torch.from_numpy(np.ascontiguousarray(windows)).float() / 127.5 - 1
    earlier, later = pictures[:-1], pictures[1:]
    return torch.stack((estimate(later, earlier), estimate(earlier, later))).half().cpu().numpy()


@dataclass(frozen=True)
class EpisodeSet:
    """Many episodes, read from disk as they are asked for."""

    names: list[str]
    arrays: dict[str, NDArray[np.generic]]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Episode:
        return Episode(self.names[index], **{name: array[index] for name, array in self.arrays.items()})


def load_or_make_episodes(folder: Path, make: Callable[[], Iterable[Episode]]) -> EpisodeSet:
    """The episodes kept in `folder`; made on the first call."""
    if not folder.is_dir():
        part = folder.with_name(f".{folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        _write(part, list(make()))
        part.rename(folder)
    names = json.loads((folder / "names.json").read_text())
    return EpisodeSet(names, {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ARRAYS})


def _write(folder: Path, episodes: Sequence[Episode]) -> None:
    assert episodes
    for name in ARRAYS:
        np.save(folder / f"{name}.npy", np.stack([getattr(episode, name) for episode in episodes]))
    (folder / "names.json").write_text(json.dumps([episode.name for episode in episodes]))


def augment(episode: Episode, random: np.random.Generator) -> Episode:
    """The episode in other light, and in a mirror unless its edit is known, which a mirror would turn round."""
    seed = int(random.integers(2**32))
    mirrored = random.random() < 0.5 and not episode.knows_edit

    def relight(pictures: Pixels) -> Pixels:
        # the same seed, hence the same light, for every frame
        relit = [recolour(p.transpose(1, 2, 0), np.random.default_rng(seed)).transpose(2, 0, 1) for p in pictures]
        lit = np.stack(relit) if relit else pictures
        return lit[..., ::-1] if mirrored else lit

    relit = replace(
        episode, crops=relight(episode.crops), windows=relight(episode.windows), edited=relight(episode.edited)
    )
    if not mirrored:
        return relit
    turned = episode.flows[..., ::-1] * np.array([-1, 1], np.float16)[:, None, None]
    return replace(relit, masks=episode.masks[..., ::-1], placements=flip_placements(episode.placements), flows=turned)


@dataclass(frozen=True)
class Batch:
    """B episodes as tensors on the training device; pictures float32 in [-1, 1]."""

    names: list[str]
    inputs: Tensor
    """What the encoders see (B, T, 3, S, S): I^a, for generated episodes as a camera would show it."""
    targets: Tensor
    """What they are to show (B, T, 3, S, S)."""
    windows: Tensor
    """(B, T, 3, R, R)."""
    masks: Tensor
    """(B, T, 1, R, R) in [0, 1]."""
    placements: Tensor
    """(B, T, 2, 3)."""
    flows_back: Tensor
    """f_{t⇒t-1} (B, T - 1, 2, R, R)."""
    flows_on: Tensor
    """f_{t⇒t+1} (B, T - 1, 2, R, R)."""
    edits: Tensor
    """(B, n_codes, 512)."""
    edited: Tensor
    """The true edited faces (K, T, 3, S, S) of the episodes `known`."""
    known: list[int]
    """Places in the batch, K of them."""

    @property
    def frames(self) -> int:
        """T."""
        return self.inputs.shape[1]


def to_batch(episodes: Sequence[Episode], edits: Array, randoms: Sequence[np.random.Generator]) -> Batch:
    """Augmented `episodes` as a batch; `edits` (B, n_codes, 512) are used where an episode has none of its own."""
    seen = [augment(episode, child) for episode, child in zip(episodes, randoms, strict=True)]
    inputs = [_as_a_camera_shows(episode, child) for episode, child in zip(seen, randoms, strict=True)]
    known = [i for i, episode in enumerate(seen) if episode.knows_edit]
    flows = _tensor(np.stack([episode.flows for episode in seen]))
    own = [episode.edit if episode.knows_edit else edit for episode, edit in zip(seen, edits, strict=True)]
    shape = seen[0].crops.shape
    return Batch(
        names=[episode.name for episode in seen],
        inputs=_pictures(inputs, shape),
        targets=_pictures([episode.crops for episode in seen], shape),
        windows=_pictures([episode.windows for episode in seen], seen[0].windows.shape),
        masks=_tensor(np.stack([episode.masks for episode in seen]))[:, :, None] / 255,
        placements=_tensor(np.stack([episode.placements for episode in seen])),
        flows_back=flows[:, 0],
        flows_on=flows[:, 1],
        edits=_tensor(np.stack(own)),
        edited=_pictures([seen[i].edited for i in known], shape),
        known=known,
    )


def _as_a_camera_shows(episode: Episode, random: np.random.Generator) -> Pixels:
    """The crops as the encoders see them; only what was generated is too clean."""
    if not episode.knows_edit:
        return episode.crops
    pictures = [np.ascontiguousarray(crop.transpose(1, 2, 0)) for crop in episode.crops]
    return np.stack(degrade_alike(pictures, random)).transpose(0, 3, 1, 2)


def _pictures(episodes: Sequence[Pixels], shape: tuple[int, ...]) -> Tensor:
    """(B, *shape) in [-1, 1]."""
    count = len(episodes)
    stacked = np.stack(episodes) if episodes else np.zeros((0, *shape), np.uint8)
    flat = from_bytes(stacked.reshape(count * shape[0], *shape[1:]))
    return flat.reshape(count, *shape)


def _tensor(array: NDArray[np.generic]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).float().to(DEVICE)
