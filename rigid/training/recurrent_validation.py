"""How well live inversion works on the validation clips: the recurrence as a stream runs it, frame after frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from rigid.arrays import Pixels
from rigid.edits.library import AttributeLibrary
from rigid.training.device import DEVICE
from rigid.training.faces import read_index, read_video
from rigid.training.loop import Losses
from rigid.training.pictures import from_bytes, write_grid
from rigid.training.rollout import Networks, encode_episode, roll


class Validation:
    """Inverts the first frames of each validation clip; the first call measures the image encoder alone as well."""

    def __init__(self, data: Path, frames: int, library: AttributeLibrary, lpips: nn.Module):
        """`frames` of each clip, on end; `lpips`: the exact one."""
        self.lpips = lpips
        self.clips = read_clips(data, frames)
        attribute = next(iter(library))
        self.edit = torch.from_numpy(attribute.offset(0.7 * attribute.max)).to(DEVICE)
        self._alone: Tensor | None = None

    @torch.no_grad()
    def __call__(self, networks: Networks, folder: Path) -> Losses:
        """MSE, LPIPS (of every fourth frame) and flicker, means over clips.

        Flicker is how much O changes from frame to frame otherwise than I does. The grid shows each clip's last
        frame: real, by the image encoder alone, by the recurrence, edited.
        """
        measures: Losses = {}
        if self._alone is None:
            alone = self._run_image_encoder(networks)
            self._alone, measures = alone[:, -1], self._measure("image_encoder_", alone)
        inverted, edited = self._run(networks)
        write_grid(folder / "recurrent.png", [self.clips[:, -1], self._alone, inverted[:, -1], edited])
        return measures | self._measure("val_", inverted)

    def _run(self, networks: Networks) -> tuple[Tensor, Tensor]:
        """O of all frames (B, T, 3, S, S) and E of the last (B, 3, S, S)."""
        count = len(self.clips)
        codes = encode_episode(networks, self.clips, self.edit.expand(count, -1, -1))
        quiet = torch.ones(count, dtype=torch.bool, device=DEVICE)
        steps = list(roll(networks, self.clips, codes, quiet, truncation=1))
        return torch.stack([step.inverted for step in steps], 1).clamp(-1, 1), steps[-1].edited.clamp(-1, 1)

    def _run_image_encoder(self, networks: Networks) -> Tensor:
        """O of all frames (B, T, 3, S, S), each frame by itself, without noise or shared codes."""
        codes = networks.encode(self.clips.flatten(0, 1))
        return networks.generate(codes).clamp(-1, 1).reshape(self.clips.shape)

    def _measure(self, prefix: str, inverted: Tensor) -> Losses:
        pairs = zip(inverted[:, ::4], self.clips[:, ::4], strict=True)
        changes = inverted.diff(dim=1) - self.clips.diff(dim=1)
        return {
            f"{prefix}mse": (inverted - self.clips).square().mean().item(),
            f"{prefix}lpips": torch.stack([self.lpips(x, y).mean() for x, y in pairs]).mean().item(),
            f"{prefix}flicker": changes.abs().mean().item(),
        }


def read_clips(data: Path, frames: int) -> Tensor:
    """The first `frames` aligned frames of each validation clip, (B, T, 3, S, S) in [-1, 1].

    ValueError where there are no such clips, or one is too short.
    """
    paths = [data / "aligned" / f"{clip['name']}.mp4" for clip in read_index(data)["clips"] if clip["split"] == "val"]
    if not paths:
        raise ValueError(f"{data} holds no validation clips; mark at least one of its clips with the split 'val'.")
    clips = [from_bytes(np.stack(_first_frames(path, frames)).transpose(0, 3, 1, 2)) for path in paths]
    return torch.stack(clips)


def _first_frames(path: Path, count: int) -> list[Pixels]:
    frames = read_video(path)
    if len(frames) < count:
        raise ValueError(f"{path} has {len(frames)} frames, but validation takes {count}; leave it out of index.json.")
    return frames[:count]
