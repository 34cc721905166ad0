"""The losses of the recurrence, Eq. 6-7 and 9-16.

Norms are means over a picture's values, as in pSp; sums over t are sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rigid.training.device import half_precision, pixels_last
from rigid.training.episodes import Batch
from rigid.training.flow import FlowEstimator
from rigid.training.rollout import Step
from rigid.training.warping import compose_between, same_window, unalign, warp

TRAINED_ABLATIONS = ("ibfcc", "tc")
"""Losses that may be left out; that gives other weights, and nothing to switch at run time."""


@dataclass(frozen=True)
class LossWeights:
    """The paper's factors, and three terms of our own that are off by default."""

    alpha: float = 0.8
    """α of Eq. 12."""
    rec: float = 1.0
    """λ1 of Eq. 16."""
    tc: float = 2.0
    """λ2."""
    ibfcc: float = 5.0
    """λ3."""
    edit: float = 0.0
    """The weight of the edited faces' own reconstruction loss, where the true ones are known (generated episodes)."""
    offset: float = 0.0
    """The weight of the mean square of w', which keeps codes where edits work."""
    change: float = 0.0
    """The weight of what an edit does, against what it does to the image encoder's codes alone: a noise map that says
    all there is to say about a face would hold it fast."""


class RecurrentLosses:
    """Measures an episode's steps; see `LossWeights`."""

    def __init__(self, weights: LossWeights, lpips: nn.Module, visible: nn.Module, estimate: FlowEstimator):
        self.weights = weights
        self.lpips = lpips
        self.visible = visible
        self.estimate = estimate

    def of_single(
        self, batch: Batch, step: Step, t: int, random: np.random.Generator, change: Tensor | None = None
    ) -> dict[str, Tensor]:
        """The terms that one frame `t` has.

        `step.edited` are the faces of the episodes `batch.known`, or, with `change` (B, 3, S, S), what the edit should
        do to them, of all.
        """
        edited = step.edited if change is None else step.edited[batch.known]
        outputs, targets = torch.cat((step.inverted, edited)), torch.cat((batch.targets[:, t], batch.edited[:, t]))
        l2, lpips = self._distances(outputs, targets, random)
        count = len(step.inverted)
        losses = {"l2": l2[:count].mean(), "lpips": lpips[:count].mean()}
        edit = l2[count:] + self.weights.alpha * lpips[count:]
        losses |= {"edit": edit.sum() / count, "offset": step.compensation.offsets.square().mean()}
        if change is not None:
            losses["change"] = _change_error(step.inverted, step.edited, change)
        return self._total(losses)

    def of_episode(
        self, batch: Batch, steps: Sequence[Step], random: np.random.Generator, changes: Sequence[Tensor] = ()
    ) -> dict[str, Tensor]:
        """Compute all terms of Eq. 16 for the steps of whole episodes, each a mean over the episodes.

        `changes`: what the edit should do to each step's faces (B, 3, S, S), where that is held to.
        """
        inverted = torch.stack([step.inverted for step in steps], 1)
        edited = torch.stack([step.edited for step in steps], 1)
        l2, lpips = self._distances(inverted.flatten(0, 1), batch.targets.flatten(0, 1), random)
        losses = {"l2": batch.frames * l2.mean(), "lpips": batch.frames * lpips.mean()}
        if self.weights.edit:
            losses["edit"] = self._edit(batch, edited, random)
        if changes:
            errors = [_change_error(s.inverted, s.edited, c) for s, c in zip(steps, changes, strict=True)]
            losses["change"] = torch.stack(errors).sum()
        losses["offset"] = batch.frames * torch.stack([step.compensation.offsets for step in steps]).square().mean()
        if self.weights.tc or self.weights.ibfcc:
            o, e = place_in_windows(batch, inverted, edited, self.estimate)
            losses["tc"] = temporal_consistency(batch, o)
            losses["ibfcc"] = self._in_between(e) if self.weights.ibfcc else e.new_zeros(())
        return self._total(losses)

    def _total(self, losses: dict[str, Tensor]) -> dict[str, Tensor]:
        """`losses` with their weighted sum, Eq. 12 and 16, in front."""
        weights = self.weights
        factors = {"l2": weights.rec, "lpips": weights.rec * weights.alpha, "tc": weights.tc, "ibfcc": weights.ibfcc}
        factors |= {"edit": weights.edit, "offset": weights.offset, "change": weights.change}
        counted = {name: value for name, value in losses.items() if factors[name]}
        return {"loss": torch.stack([factors[name] * value for name, value in counted.items()]).sum(), **counted}

    def _distances(self, outputs: Tensor, targets: Tensor, random: np.random.Generator) -> tuple[Tensor, Tensor]:
        """‖·‖₂ and LPIPS (Eq. 10, 11) for each picture; LPIPS of a quarter of it, or of all of it at half size."""
        l2 = (outputs - targets).square().mean((1, 2, 3))
        if random.random() < 0.5:
            views = same_window(outputs, targets, random)
        else:
            views = F.avg_pool2d(outputs, 2), F.avg_pool2d(targets, 2)
        with half_precision():
            lpips = self.lpips(*(pixels_last(view) for view in views))
        return l2, lpips.float()

    def _edit(self, batch: Batch, edited: Tensor, random: np.random.Generator) -> Tensor:
        """Reconstruction of the edited faces (B, T, 3, S, S) whose truth is known, as the inverted ones' (Eq. 12)."""
        if not batch.known:
            return edited.new_zeros(())
        l2, lpips = self._distances(edited[batch.known].flatten(0, 1), batch.edited.flatten(0, 1), random)
        return (l2 + self.weights.alpha * lpips).sum() / len(edited)

    def _in_between(self, e: Tensor) -> Tensor:
        """L_ibfcc (Eq. 9) of the edited frames (B, T, 3, R, R)."""
        before, here, after = (part.flatten(0, 1) for part in (e[:, :-2], e[:, 1:-1], e[:, 2:]))
        back, on = self.estimate(here, before), self.estimate(here, after)
        between = compose_between(self.visible, before, after, back, on)
        return (e.shape[1] - 2) * F.l1_loss(between, here)


def _change_error(inverted: Tensor, edited: Tensor, change: Tensor) -> Tensor:
    """How far the edit's effect is from `change`, at half size: where exactly an edge runs is not the point."""
    return F.l1_loss(F.avg_pool2d(edited - inverted, 2), F.avg_pool2d(change, 2))


def place_in_windows(batch: Batch, inverted: Tensor, edited: Tensor, estimate: FlowEstimator) -> tuple[Tensor, Tensor]:
    """Eq. 6 and 7: the inverted and the edited frames (B, T, 3, R, R), un-aligned and blended.

    The edited face's mask is the real one's, moved by the flow from the edited to the inverted face.
    """
    size = batch.windows.shape[-1]
    placements, masks = batch.placements.flatten(0, 1), batch.masks.flatten(0, 1)
    o, e = (unalign(faces.flatten(0, 1), placements, size) for faces in (inverted, edited))
    union = torch.maximum(masks, warp(masks, estimate(e, o)))
    windows = batch.windows.flatten(0, 1)
    blended = (windows + masks * (o - windows), windows + union * (e - windows))
    return blended[0].unflatten(0, inverted.shape[:2]), blended[1].unflatten(0, inverted.shape[:2])


def temporal_consistency(batch: Batch, o: Tensor) -> Tensor:
    """L_tc (Eq. 13-15) of the inverted frames (B, T, 3, R, R)."""
    flows = batch.flows_back.flatten(0, 1)
    real, inverted = (warp(frames[:, :-1].flatten(0, 1), flows) for frames in (batch.windows, o))
    return (o.shape[1] - 1) * F.l1_loss(inverted, real)
