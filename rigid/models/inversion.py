"""Both encoders as one network: a frame and the memory of the frame before it → everything `invert` gives (Eq. 1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

INPUTS = ("inputs", "previous_input", "previous_inverted", "previous_edited", "hidden", "cell")
OUTPUTS = ("codes", "noise", "next_hidden", "next_cell")
"""The state has other names on its way out: those of an exported graph are all different."""


class RecurrentInversion(nn.Module):
    """The image encoder's codes, those before the shared ones moved by the recurrent encoder's offsets."""

    def __init__(self, image_encoder: nn.Module, recurrent_encoder: nn.Module):
        super().__init__()
        self.image_encoder = image_encoder
        self.recurrent_encoder = recurrent_encoder

    def forward(
        self,
        inputs: Tensor,
        previous_input: Tensor,
        previous_inverted: Tensor,
        previous_edited: Tensor,
        hidden: Tensor,
        cell: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """I_t, I_{t-1}, O_{t-1}, E_{t-1}, each RGB (B, 3, S, S) in [-1, 1], and the ConvLSTM's state before this step.

        Returns the codes (B, n_codes, code_size), the noise map n_t, and the new `hidden` and `cell`.
        """
        codes = self.image_encoder(inputs)
        frames = torch.cat((inputs, previous_input, previous_inverted, previous_edited), 1)
        offsets, noise, hidden, cell = self.recurrent_encoder(frames, hidden, cell)
        n_early = offsets.shape[1]
        return torch.cat((codes[:, :n_early] + offsets, codes[:, n_early:]), 1), noise, hidden, cell
