"""Real faces as a stream inverts them, and where an edit of them may show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from rigid.arrays import Array, Pixels
from rigid.composite.edit_masks import FaceMasks, masks_by_parser
from rigid.discovery.labels import FaceLabeller
from rigid.discovery.observe import face_square
from rigid.discovery.real import frames_of
from rigid.fields import from_pixels, to_crop
from rigid.files.clips import Clip
from rigid.models.contract import RecurrentState, Runtime
from rigid.stream.generating import FIRST_PASSES


class Shot(NamedTuple):
    """One frame."""

    real: Array
    """I, (3, S, S) in [-1, 1]."""
    inverted: Array
    """O."""
    codes: Array
    noise: Array
    masks: FaceMasks
    """Those of I and O."""
    square: tuple[float, float, float]
    """Column, row and side of what the critics see, pixels."""
    male: float
    """Log odds."""


@dataclass(frozen=True, eq=False)
class Shots:
    """Frames, each (N, …), as tensors."""

    real: Tensor
    inverted: Tensor
    codes: Tensor
    noise: Tensor
    squares: Array
    face: Tensor
    """M, (N, 1, S, S)."""
    kept: Tensor
    """What stays the real face's, (N, 1, n, n)."""
    parts: Tensor
    """Where I has each of `rigid.composite.kept_features.KEPT`, (N, 5, n, n)."""
    told: Tensor
    """Where the edited face tells what an edit makes of each."""

    @classmethod
    def of(cls, shots: Sequence[Shot], changes: Mapping[str, float]) -> Shots:
        """`shots`, of which stays what is not in `changes`; see `rigid.edits.edit_effect.EditEffect.changes`."""
        features = [shot.masks.features for shot in shots]
        found = [one for one in features if one is not None]
        return cls(
            _stack(shot.real for shot in shots),
            _stack(shot.inverted for shot in shots),
            _stack(shot.codes for shot in shots),
            _stack(shot.noise for shot in shots),
            np.array([shot.square for shot in shots], np.float32),
            _stack(shot.masks.face[None] for shot in shots),
            _stack(one.keep(changes)[None] for one in found),
            _stack(one.real for one in found),
            _stack(one.told for one in found),
        )


def _stack(arrays: Iterator[Array]) -> Tensor:
    return torch.from_numpy(np.stack(list(arrays)))


def take_shots(clips: Sequence[Clip], runtime: Runtime, labeller: FaceLabeller) -> Iterator[Shot]:
    """A few frames of each of the aligned `clips` in which a face is found; `runtime` has a face parser."""
    male = labeller.measures.index("male")
    for clip in clips:
        frames = np.stack(frames_of(clip.path))
        seen = labeller.observe(frames)
        measures = labeller.measure(frames, seen)
        for frame, landmarks, measured in zip(frames, seen["landmarks"], measures, strict=True):
            if np.isfinite(landmarks).all():
                yield _take(frame, landmarks, float(measured[male]), runtime)


def _take(frame: Pixels, landmarks: Array, male: float, runtime: Runtime) -> Shot:
    real = np.ascontiguousarray(from_pixels(frame).transpose(2, 0, 1)[None])
    codes, noise, inverted = _invert(real, runtime)
    parts = runtime.parse(np.concatenate([real, inverted]))
    masks = masks_by_parser(parts, to_crop(real[0]), hair=False)
    (column, row), side = face_square(landmarks)
    return Shot(real[0], inverted[0], codes[0], noise[0], masks, (column, row, side), male)


def _invert(real: Array, runtime: Runtime) -> tuple[Array, Array, Array]:
    """Codes, noise map and O of I, as a stream has them of its first frame."""
    state = RecurrentState.initial(runtime.sizes)
    for _ in range(FIRST_PASSES):
        codes, noise, state = runtime.invert(real, state)
        inverted = runtime.synthesize(codes, noise)
        late = codes[:, -runtime.sizes.n_shared_codes :]
        state = state.after(real, inverted, inverted, late, noise)
    return codes, noise, inverted
