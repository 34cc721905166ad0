"""What the stage `recurrent` is trained on and how."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rigid.training.rates import cosine
from rigid.training.recurrent_losses import LossWeights
from rigid.training.shipping import Initial


@dataclass(frozen=True)
class RecurrentOptions:
    """What the stage is trained on and how."""

    data: Path
    """Folder of real clips and stills with an `index.json`."""
    profile: str = "mobile-256"
    seed: int = 0
    initial: Initial = "new"
    """Start from nothing, from the weights that ship, or from those of a file."""
    image_encoder: Path | None = None
    """Weights of the image encoder it is to stand beside; None for those that ship."""
    visible: Path | None = None
    """The trained visible net; None for the one that ships."""
    flow: Path | None = None
    """A flow estimator saved by `torch.export.save`; None for OpenCV's DIS."""
    without: tuple[str, ...] = ()
    """Ablations: `ibfcc` and `tc` leave out these losses."""
    single_steps: int = 0
    """First phase."""
    episode_steps: int = 1000
    """Second phase."""
    single_batch: int = 8
    """Frames a step, in each process."""
    episode_batch: int = 1
    """Episodes a step, in each process."""
    frames: int = 6
    """T."""
    truncation: int = 1
    """Frames of an episode that gradients run through; 1 detaches the state after every frame, as the authors do."""
    learning_rate: float = 1e-4
    single_learning_rate: float = 1e-4
    final_rate: float = 1.0
    """Where each phase's learning rate ends, as a share of where it begins, along a cosine."""
    clip_norm: float = 10.0
    """Largest norm of a step's gradient."""
    average: float = 0.995
    """Decay of the running mean of the weights, which is what ships."""
    alpha: float = 0.8
    rec_weight: float = 1.0
    tc_weight: float = 2.0
    ibfcc_weight: float = 5.0
    edit_weight: float = 0.0
    """The weight of the true edited faces of generated episodes."""
    offset_weight: float = 0.0
    change_weight: float = 0.0
    quiet: float = 0.0
    """Share of episodes that begin as a stream does while nothing is edited: the real face stands for E_0."""
    clips_share: float = 0.4
    stills_share: float = 0.25
    walks_share: float = 0.35
    clip_episodes: int = 8
    """Episodes of each clip."""
    stills: int = 1000
    """Stills that are taken at most."""
    walks: int = 300
    """Walks of a set."""
    walk_sets: int = 1
    """Sets of walks, each drawn anew."""
    window: int = 160
    """Side of the un-aligned frames the losses are computed on, a multiple of 32."""
    validation_frames: int = 16
    """Frames of each validation clip, on end."""

    @property
    def steps(self) -> int:
        """Optimiser steps in all."""
        return self.single_steps + self.episode_steps

    def learning_rate_at(self, index: int) -> float:
        """The rate of step `index`: in each phase a short warm-up, then a cosine from its own to `final_rate` of it."""
        first = index < self.single_steps
        peak = self.single_learning_rate if first else self.learning_rate
        done = index / self.single_steps if first else (index - self.single_steps) / self.episode_steps
        return peak * min(1.0, (done + 1e-3) / 0.02) * cosine(done, self.final_rate)

    @property
    def weights(self) -> LossWeights:
        """The losses' factors, ablations taken out."""
        tc, ibfcc = (
            0.0 if name in self.without else weight
            for name, weight in (("tc", self.tc_weight), ("ibfcc", self.ibfcc_weight))
        )
        own = (self.edit_weight, self.offset_weight, self.change_weight)
        return LossWeights(self.alpha, self.rec_weight, tc, ibfcc, *own)
