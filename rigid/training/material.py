"""What the recurrent stages learn from: episodes of clips, stills and walks, made once and kept in the run folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from rigid.assets.store import AssetStore
from rigid.edits.library import AttributeLibrary
from rigid.models.build import build_mapping, mean_code
from rigid.models.profiles import sizes_of
from rigid.reporting import Say
from rigid.training.distributed import first_process_first, rank, world
from rigid.training.episodes import Batch, Episode, EpisodeSet, load_or_make_episodes, to_batch
from rigid.training.faces import read_aligned, read_stills
from rigid.training.fast_inference import compile_network
from rigid.training.flow import FlowEstimator
from rigid.training.footage import clip_episodes
from rigid.training.framing import Cut, make_aligned_episodes, still_episodes
from rigid.training.walks import Walks, draw_edit, early_only, walk_episodes

RENDER_BATCH = 6


@dataclass(frozen=True)
class Source:
    """Episodes of one kind, and how often one of them is drawn."""

    episodes: EpisodeSet
    share: float


class Material:
    """Draws batches of episodes: the kind by its share, the clip, still or walk evenly, the edit at random."""

    def __init__(self, sources: list[Source], library: AttributeLibrary, n_shared: int):
        self.sources = [source for source in sources if source.share > 0]
        self.library = library
        self.n_shared = n_shared
        self._places = [_by_name(source.episodes.names) for source in self.sources]

    def draw(self, random: np.random.Generator, count: int, length: int) -> Batch:
        """A batch of `count` episodes for this process, each `length` frames on end of a kept one.

        Where several processes train, they draw the joint batch alike and each takes its part.
        """
        shares = np.array([source.share for source in self.sources])
        total = count * world()
        kinds = random.choice(len(shares), total, p=shares / shares.sum())
        children = random.spawn(total)
        mine = range(rank(), total, world())
        episodes = [self._part(int(kinds[i]), length, children[i]) for i in mine]
        edits = np.stack([early_only(draw_edit(self.library, children[i]), self.n_shared) for i in mine])
        return to_batch(episodes, edits, [children[i] for i in mine])

    def _part(self, kind: int, length: int, random: np.random.Generator) -> Episode:
        names = self._places[kind]
        same = names[int(random.integers(len(names)))]
        episode = self.sources[kind].episodes[same[int(random.integers(len(same)))]]
        return episode.part(int(random.integers(len(episode.crops) - length + 1)), length)


def _by_name(names: list[str]) -> list[list[int]]:
    """The places of each name."""
    return [[i for i, other in enumerate(names) if other == name] for name in dict.fromkeys(names)]


def load_or_make_clips(
    folder: Path, data: Path, split: str, cut: Cut, estimate: FlowEstimator, store: AssetStore, say: Say
) -> EpisodeSet:
    """The episodes of the clips of `split`, made on the first call.

    Of their aligned faces, where whole frames are not there.
    """

    def make() -> Iterator[Episode]:
        if not (data / "clips").is_dir():
            yield from make_aligned_episodes(read_aligned(data, split), cut, estimate, seed=0)
            return
        # Where the episodes are kept already, training does without the face detector.
        from rigid.face.alignment import FaceLandmarker, FaceTracker

        landmarker = FaceLandmarker(store.file("face-landmarks", "face_landmarker.task"))
        tracker = FaceTracker(landmarker, cut.crop_size)
        try:
            yield from clip_episodes(data, split, cut, tracker, estimate, say)
        finally:
            tracker.close()

    with first_process_first():
        return load_or_make_episodes(folder / f"clips-{split}-{cut.per_clip}x{cut.frames}-{cut.window_size}", make)


def load_or_make_stills(folder: Path, data: Path, cut: Cut, estimate: FlowEstimator, limit: int) -> EpisodeSet:
    """An episode of each of the first `limit` training stills, made on the first call."""
    with first_process_first():
        return load_or_make_episodes(
            folder / f"stills-{limit}x{cut.frames}-{cut.window_size}",
            lambda: still_episodes(read_stills(data, "train")[:limit], cut, estimate, seed=0),
        )


def load_or_make_walks(
    folder: Path,
    profile: str,
    generator: nn.Module,
    library: AttributeLibrary,
    cut: Cut,
    estimate: FlowEstimator,
    store: AssetStore,
    *,
    count: int,
    seed: int,
) -> EpisodeSet:
    """`count` generated episodes, made on the first call."""
    sizes = sizes_of(profile)

    def make() -> Iterator[Episode]:
        mapping, mean = build_mapping(store, profile), mean_code(profile)
        render = compile_network(generator, torch.zeros(RENDER_BATCH, sizes.n_codes, sizes.code_size))
        walks = Walks(mapping, mean, library, render, sizes.n_codes, sizes.n_shared_codes, RENDER_BATCH)
        yield from walk_episodes(walks, count, cut, estimate, seed)

    with first_process_first():
        return load_or_make_episodes(folder / f"walks-{count}x{cut.frames}-{cut.window_size}-{seed}", make)
