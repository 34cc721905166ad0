"""Generated episodes: walks in W+ along pose, mouth and light, from as many identities as are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rigid.arrays import Array, Pixels
from rigid.edits.attribute import Attribute
from rigid.edits.library import AttributeLibrary
from rigid.fields import to_pixels
from rigid.models.mobile_stylegan import MappingNetwork
from rigid.training.codes import sample_codes
from rigid.training.draws import draw_push
from rigid.training.episodes import Episode
from rigid.training.flow import FlowEstimator
from rigid.training.framing import Cut, framing, make_framed_episode

Render = Callable[[Tensor], Array]
"""Codes (B, n_codes, 512) → pictures (B, 3, S, S) in [-1, 1]."""

SWINGS = {"yaw": (0.6, 0.2, (14, 50)), "mouth_open": (0.3, 0.5, (7, 24)), "smile": (0.3, 0.2, (20, 60))}
"""For each attribute that moves: spread of its mean, largest swing, and the range of its period in frames."""
LIGHT_FROM, LIGHT = 7, (0.2, 0.1, (10, 40))
"""Codes from this one on, up to the shared ones, drift towards another face's: colour and light, not shape."""


@dataclass(frozen=True)
class Walks:
    """What generated episodes are made with."""

    mapping: MappingNetwork
    mean: Tensor
    """(512,)."""
    library: AttributeLibrary
    render: Render
    n_codes: int
    n_shared: int
    batch: int
    """How many pictures `render` takes at once."""


def walk_episodes(walks: Walks, count: int, cut: Cut, estimate: FlowEstimator, seed: int) -> Iterator[Episode]:
    """`count` episodes, each with a random edit and its true edited faces."""
    random = np.random.default_rng(seed)
    torch_random = torch.Generator().manual_seed(seed)
    for number in range(count):
        pair = sample_codes(walks.mapping, walks.mean, 2, walks.n_codes, torch_random).numpy()
        pair[0] += early_only(draw_push(walks.library, random), walks.n_shared)
        codes = walk_codes(pair[0], pair[1], cut.frames, walks.library, walks.n_shared, random)
        edit = early_only(draw_edit(walks.library, random), walks.n_shared)
        pictures = _render(walks, np.concatenate((codes, codes + edit)))
        crops, edited = pictures[: cut.frames], pictures[cut.frames :]
        yield make_framed_episode(f"walk {number}", crops, framing(cut.frames, random), cut, estimate, edited, edit)


def walk_codes(
    start: Array, other: Array, frames: int, library: AttributeLibrary, n_shared: int, random: np.random.Generator
) -> Array:
    """Codes (frames, n_codes, 512) of a face that starts about `start` and turns, talks and passes through light."""
    codes = np.repeat(start[None], frames, 0)
    share = np.abs(swing(frames, *LIGHT, random))[:, None, None]
    lit = slice(LIGHT_FROM, len(start) - n_shared)
    codes[:, lit] += share * (other - start)[lit]
    for attribute in (a for a in library if a.name in SWINGS):
        strengths = swing(frames, *SWINGS[attribute.name], random).clip(attribute.min, attribute.max)
        codes += np.stack([early_only(attribute.offset(float(s)), n_shared) for s in strengths])
    return codes


def swing(frames: int, spread: float, largest: float, periods: tuple[int, int], random: np.random.Generator) -> Array:
    """A sine (frames,) of random height, phase and period about a random mean."""
    mean, height, phase = random.normal(0, spread), largest * random.random(), random.uniform(0, 2 * np.pi)
    angles = phase + 2 * np.pi * np.arange(frames) / random.uniform(*periods)
    strengths: Array = (mean + height * np.sin(angles)).astype(np.float32)
    return strengths


def draw_edit(library: AttributeLibrary, random: np.random.Generator) -> Array:
    """Draw one random attribute at a random strength, as an offset (n_codes, 512)."""
    attributes: list[Attribute] = list(library)
    attribute = attributes[int(random.integers(len(attributes)))]
    limit = attribute.max if random.random() < 0.7 or attribute.min == 0 else attribute.min
    return attribute.offset(limit * random.uniform(0.4, 1.0))


def early_only(offset: Array, n_shared: int) -> Array:
    """`offset` without what it does to the shared late codes."""
    kept = offset.copy()
    kept[len(kept) - n_shared :] = 0
    return kept


def _render(walks: Walks, codes: Array) -> Pixels:
    """Pictures (B, S, S, 3)."""
    tensor = torch.from_numpy(codes)
    missing = -len(tensor) % walks.batch
    whole = torch.cat((tensor, tensor[-1:].expand(missing, -1, -1)))
    pictures = np.concatenate([to_pixels(walks.render(piece)) for piece in whole.split(walks.batch)])
    return pictures[: len(tensor)].transpose(0, 2, 3, 1)
