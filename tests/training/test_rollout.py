"""The recurrence of training, against the equations written out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rigid.inversion.latents import add_edit, share_late_codes
from rigid.training.rollout import Codes, Networks, advance, encode_episode, first_memory, roll
from tests.networks import SIZES, randomise
from tests.training.parts import tiny_networks

FRAMES = 4


@pytest.fixture
def networks() -> Networks:
    networks = tiny_networks()
    torch.manual_seed(3)
    for module in networks.recurrent_encoder.modules():
        randomise(module)
    return networks


def some_inputs(batch: int = 2) -> Tensor:
    return torch.rand(batch, FRAMES, 3, 64, 64, generator=torch.Generator().manual_seed(4)) * 2 - 1


def some_edits(batch: int = 2) -> Tensor:
    return torch.randn(batch, SIZES.n_codes, SIZES.code_size, generator=torch.Generator().manual_seed(5)) * 0.3


LOUD = torch.tensor([False, False])


def test_codes_are_shared_and_edited_as_a_stream_does(networks: Networks) -> None:
    inputs, edits = some_inputs(), some_edits()
    codes = encode_episode(networks, inputs, edits)
    step = advance(networks, inputs[:, 2], codes, 2, first_memory(networks, inputs[:, 1], codes, LOUD))
    n_early = SIZES.n_codes - SIZES.n_shared_codes
    own = codes.frames[:, 2].clone()
    own[:, :n_early] += step.compensation.offsets.detach()
    shared, _ = share_late_codes(own.numpy(), codes.frames[:, 0, n_early:].numpy(), SIZES.n_shared_codes)
    edited = [add_edit(shared[i : i + 1], edits[i].numpy(), SIZES.n_shared_codes)[0] for i in range(2)]
    with torch.no_grad():
        expected = networks.generate(torch.from_numpy(shared), step.compensation.noise.float())
        expected_edited = networks.generate(torch.from_numpy(np.stack(edited)), step.compensation.noise.float())
    assert torch.allclose(step.inverted, expected, atol=0.05)
    assert torch.allclose(step.edited, expected_edited, atol=0.05)
    assert not torch.allclose(step.inverted, step.edited, atol=0.05)


def test_the_first_frame_is_handed_the_real_face_and_its_first_edit(networks: Networks) -> None:
    inputs = some_inputs()[:, 0]
    codes = encode_episode(networks, some_inputs(), some_edits())
    memory = first_memory(networks, inputs, codes, torch.tensor([False, True]))
    assert torch.equal(memory.inputs, inputs) and torch.equal(memory.inverted, inputs)
    expected = networks.generate(codes.frames[:1, 0] + codes.edits[:1]).clamp(-1, 1)
    assert torch.allclose(memory.edited[0], expected[0], atol=1e-6)
    assert torch.equal(memory.edited[1], inputs[1]), "where nothing was edited"
    assert not memory.hidden.any() and not memory.cell.any()


def test_each_frame_is_handed_what_the_one_before_gave(networks: Networks) -> None:
    inputs = some_inputs()
    codes = encode_episode(networks, inputs, some_edits())
    steps = list(roll(networks, inputs, codes, LOUD, truncation=1))
    memory = steps[0].memory(inputs[:, 0])
    again = advance(networks, inputs[:, 1], codes, 1, memory)
    assert len(steps) == FRAMES and torch.allclose(again.inverted, steps[1].inverted, atol=1e-6)
    other = advance(networks, inputs[:, 1], codes, 1, replace(memory, hidden=memory.hidden + 1))
    assert not torch.allclose(other.inverted, steps[1].inverted, atol=1e-6)


class Recording(nn.Module):
    """Hands a recurrent encoder's inputs on and keeps them."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.seen: list[tuple[bool, bool]] = []

    def forward(self, frames: Tensor, hidden: Tensor, cell: Tensor) -> object:
        self.seen.append((frames.requires_grad, hidden.requires_grad))
        return self.encoder(frames, hidden, cell)


@pytest.mark.parametrize(
    ("truncation", "linked"),
    [(1, [False] * 4), (2, [False, True, False, True]), (6, [False, True, True, True])],
)
def test_gradients_run_through_as_many_frames_as_asked(networks: Networks, truncation: int, linked: list[bool]) -> None:
    networks.recurrent_encoder.requires_grad_()
    recording = Recording(networks.recurrent_encoder)
    networks = replace(networks, recurrent_encoder=recording)
    codes = encode_episode(networks, some_inputs(), some_edits())
    steps = list(roll(networks, some_inputs(), codes, LOUD, truncation))
    assert recording.seen == [(flag, flag) for flag in linked]
    steps[-1].inverted.sum().backward()
    assert all(parameter.grad is not None for parameter in networks.recurrent_encoder.parameters())


def test_only_the_edited_faces_that_are_wanted_are_made(networks: Networks) -> None:
    inputs = some_inputs()
    codes: Codes = encode_episode(networks, inputs, some_edits())
    memory = first_memory(networks, inputs[:, 0], codes, LOUD)
    whole = advance(networks, inputs[:, 0], codes, 0, memory)
    part = advance(networks, inputs[:, 0], codes, 0, memory, edited=[1])
    assert torch.allclose(part.edited, whole.edited[1:], atol=0.02) and len(part.inverted) == 2
    assert len(advance(networks, inputs[:, 0], codes, 0, memory, edited=[]).edited) == 0
