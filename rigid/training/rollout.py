"""The recurrence as it is trained: one frame's step (Eq. 1-5), and the walk through an episode."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rigid.inversion.noise_smoothing import MOVING, MOVING_SHARE, STILL
from rigid.training.device import DEVICE, half_precision, pixels_last

FEW = 2
"""Pictures the generator makes at once on a CPU; eight take 1.7 times as long each (forward and backward)."""


@dataclass(frozen=True)
class Networks:
    """What inverts and edits a face; only the recurrent encoder learns."""

    image_encoder: nn.Module
    """RGB (B, 3, S, S) → codes (B, n_codes, 512)."""
    recurrent_encoder: nn.Module
    """See `LightRecurrentEncoder.forward`."""
    generator: nn.Module
    """Codes (B, n_codes, 512), noise (B, C, R, R) → RGB (B, 3, S, S)."""
    n_shared: int
    """How many of the last codes all frames of an episode share (Eq. 3)."""
    hidden_shape: tuple[int, int, int]
    newest_noise_share: float = 1.0
    """See `rigid.inversion.noise_smoothing`."""

    @torch.no_grad()
    def encode(self, inputs: Tensor) -> Tensor:
        """The image encoder's codes, float32."""
        with half_precision():
            codes: Tensor = self.image_encoder(pixels_last(inputs))
        return codes.float()

    def generate(self, codes: Tensor, noise: Tensor | None = None) -> Tensor:
        """The generator's pictures, float32, a few at a time: a CPU's cache holds no more."""
        few = len(codes) if DEVICE.type == "cuda" else FEW
        noises = [None] * -(-len(codes) // few) if noise is None else noise.split(few)
        with half_precision():
            pictures = [self.generator(piece, n) for piece, n in zip(codes.split(few), noises, strict=True)]
        return torch.cat(pictures).float()


@dataclass(frozen=True)
class Memory:
    """What one frame hands to the next: I_{t-1}, O_{t-1}, E_{t-1} (B, 3, S, S), and the ConvLSTM's state."""

    inputs: Tensor
    inverted: Tensor
    edited: Tensor
    hidden: Tensor
    cell: Tensor
    noise: Tensor | None = None
    """What it was generated with (B, C, R, R); None before the first frame."""

    def detach(self) -> Memory:
        """Cut the memory off from what came before: no gradient passes."""
        pictures = (self.inputs.detach(), self.inverted.detach(), self.edited.detach())
        noise = None if self.noise is None else self.noise.detach()
        return Memory(*pictures, self.hidden.detach(), self.cell.detach(), noise)


@dataclass(frozen=True)
class Codes:
    """What an episode is inverted with."""

    frames: Tensor
    """The image encoder's codes of its frames (B, T, n_codes, 512)."""
    late: Tensor
    """w_1^l: the first frame's shared codes (B, n_shared, 512)."""
    edits: Tensor
    """n: the edit (B, n_codes, 512), nothing in the shared codes."""


@dataclass(frozen=True)
class Compensation:
    """What Eq. 1 gives."""

    offsets: Tensor
    """w' (B, n_early, 512)."""
    noise: Tensor
    """n_t (B, C, R, R), settled."""
    hidden: Tensor
    cell: Tensor


@dataclass(frozen=True)
class Step:
    """One frame inverted and edited."""

    inverted: Tensor
    """O^a (B, 3, S, S)."""
    edited: Tensor
    """E^a of the episodes that were asked for, (K, 3, S, S)."""
    compensation: Compensation

    def memory(self, inputs: Tensor) -> Memory:
        """What the next frame is handed, `inputs` being this one."""
        found = self.compensation
        return Memory(inputs, self.inverted, self.edited, found.hidden, found.cell, found.noise)


def encode_episode(networks: Networks, inputs: Tensor, edits: Tensor) -> Codes:
    """The codes of `inputs` (B, T, 3, S, S); `edits` (B, n_codes, 512)."""
    frames = networks.encode(inputs.flatten(0, 1)).unflatten(0, inputs.shape[:2])
    early = torch.arange(edits.shape[1], device=edits.device) < edits.shape[1] - networks.n_shared
    return Codes(frames, frames[:, 0, -networks.n_shared :], edits * early[:, None])


@torch.no_grad()
def first_memory(networks: Networks, inputs: Tensor, codes: Codes, quiet: Tensor) -> Memory:
    """What the first frame of an episode is handed.

    As the authors do, I_1 stands for I_0 and O_0, and E_0 is what the image encoder's edited code gives. Where
    `quiet` (B,), I_1 stands for E_0 too: so a stream goes on while nothing is edited.
    """
    edited = inputs.clone()
    if not quiet.all():
        loud = ~quiet
        edited[loud] = networks.generate(codes.frames[loud, 0] + codes.edits[loud]).clamp(-1, 1)
    return replace(quiet_memory(networks, inputs), edited=edited)


def quiet_memory(networks: Networks, inputs: Tensor) -> Memory:
    """What a stream's first frame is handed while nothing is edited: itself, and an empty state."""
    zeros = inputs.new_zeros(len(inputs), *networks.hidden_shape)
    return Memory(inputs, inputs, inputs, zeros, zeros)


def compensate(networks: Networks, inputs: Tensor, memory: Memory) -> Compensation:
    """Eq. 1 for the frame `inputs` (B, 3, S, S)."""
    frames = pixels_last(torch.cat((inputs, memory.inputs, memory.inverted, memory.edited), 1))
    with half_precision():
        offsets, noise, hidden, cell = networks.recurrent_encoder(frames, memory.hidden, memory.cell)
    if memory.noise is not None and networks.newest_noise_share < 1:
        noise = smooth_noise(noise, memory.noise, inputs, memory.inputs, networks.newest_noise_share)
    return Compensation(offsets.float(), noise, hidden.float(), cell.float())


def smooth_noise(
    noise: Tensor, previous: Tensor, inputs: Tensor, previous_inputs: Tensor, newest_share: float
) -> Tensor:
    """`rigid.inversion.noise_smoothing.settle` on tensors."""
    change = F.avg_pool2d((inputs - previous_inputs).abs().mean(1, keepdim=True), inputs.shape[-1] // noise.shape[-1])
    moving = ((change - STILL) / (MOVING - STILL)).clamp(0, 1)
    weight = newest_share + (MOVING_SHARE - newest_share) * moving
    return previous + weight.to(noise.dtype) * (noise - previous)


def show(
    networks: Networks, codes: Codes, t: int, found: Compensation, inverted: list[int], edited: list[int]
) -> tuple[Tensor, Tensor]:
    """Eq. 2-5 for frame `t`: O^a of the episodes `inverted` and E^a of the episodes `edited`, made as one batch."""
    early = codes.frames[:, t, : -networks.n_shared] + found.offsets
    plain = torch.cat((early, codes.late), 1)
    both = torch.cat((plain[inverted], plain[edited] + codes.edits[edited]))
    pictures = networks.generate(both, found.noise[inverted + edited])
    return pictures[: len(inverted)], pictures[len(inverted) :]


def advance(
    networks: Networks, inputs: Tensor, codes: Codes, t: int, memory: Memory, edited: list[int] | None = None
) -> Step:
    """Eq. 1-5 for frame `t`, `inputs` (B, 3, S, S).

    `edited`: the episodes whose edited face is wanted, None for all.
    """
    found = compensate(networks, inputs, memory)
    everyone = list(range(len(inputs)))
    pictures = show(networks, codes, t, found, everyone, everyone if edited is None else edited)
    return Step(*pictures, found)


@torch.no_grad()
def plain_change(networks: Networks, codes: Codes, t: int) -> Tensor:
    """What the edit does to frame `t` by the image encoder's codes alone, without a noise map: (B, 3, S, S)."""
    plain = codes.frames[:, t]
    pictures = networks.generate(torch.cat((plain, plain + codes.edits))).clamp(-1, 1)
    return pictures[len(plain) :] - pictures[: len(plain)]


def roll(networks: Networks, inputs: Tensor, codes: Codes, quiet: Tensor, truncation: int) -> Iterator[Step]:
    """The steps through an episode's `inputs` (B, T, 3, S, S).

    Every `truncation` frames what is handed on is detached; 1, the authors' way, detaches it always.
    """
    memory = first_memory(networks, inputs[:, 0], codes, quiet)
    for t in range(inputs.shape[1]):
        if t % truncation == 0:
            memory = memory.detach()
        step = advance(networks, inputs[:, t], codes, t, memory)
        yield step
        memory = step.memory(inputs[:, t])
