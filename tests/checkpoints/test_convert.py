"""Small published nets and what they become: the same function, though nothing is computed in the same way."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from rigid.checkpoints import convert
from rigid.checkpoints.reading import CheckpointError, Published
from rigid.models.mobile_stylegan import MappingNetwork
from rigid.models.recurrent import RecurrentEncoder
from rigid.models.stylegan2 import StyleGAN2
from tests.checkpoints import published

CHANNELS = (6, 5, 4)
CODE = 8
WIDTHS = (4, 5, 6)


def normal(*shape: int, seed: int = 3) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def converted(source: Published, *, noises: list[Tensor] | None = None) -> StyleGAN2:
    many = noises is not None and noises[0].shape[1] > 1
    network = StyleGAN2(CHANNELS, code_size=CODE, noise_resolution=8, per_channel_noise=many)
    network.load_state_dict(convert.generator(source, network, noises))
    return network.eval().requires_grad_(False)


def generator_state() -> dict[str, Tensor]:
    return published.random_state(published.generator_shapes(CHANNELS, CODE))


def test_the_generator_with_the_noise_it_was_published_with() -> None:
    state, codes = generator_state(), normal(2, 6, CODE)
    noises = [state[f"noises.noise_{i}"] for i in range(5)]
    torch.testing.assert_close(
        converted(Published(state, "it"))(codes), published.generator(state, codes, noises), rtol=1e-4, atol=1e-4
    )


def test_a_noise_map_takes_the_place_of_the_noise_of_its_size() -> None:
    state, codes, n = generator_state(), normal(2, 6, CODE), normal(2, 5, 8, 8, seed=4)
    noises = [state[f"noises.noise_{i}"] for i in range(5)]
    noises[1] = noises[2] = n
    expected = published.generator(state, codes, noises)
    torch.testing.assert_close(converted(Published(state, "it"))(codes, n), expected, rtol=1e-4, atol=1e-4)


def test_noises_of_a_training_checkpoint_may_have_every_channel() -> None:
    state, codes = generator_state(), normal(2, 6, CODE)
    noises = [normal(3, c, side, side, seed=side + c) for c, side in ((6, 4), (5, 8), (5, 8), (4, 16), (4, 16))]
    network = converted(Published(state, "it"), noises=noises)
    # Of a batch of noises the first one counts.
    expected = published.generator(state, codes, [noise[:1] for noise in noises])
    torch.testing.assert_close(network(codes), expected, rtol=1e-4, atol=1e-4)


def test_noises_of_another_size_are_refused() -> None:
    noises = [normal(1, 1, side, side) for side in (4, 8, 8, 16, 32)]
    with pytest.raises(CheckpointError, match=r"noise 4 of 'n' has the shape \(1, 1, 32, 32\), not \(1, \*\(1, 16, 16"):
        converted(Published(generator_state(), "it"), noises=noises)


def test_another_filter_is_refused() -> None:
    state = generator_state()
    state["convs.0.conv.blur.kernel"] = torch.ones(4, 4) / 16
    with pytest.raises(CheckpointError, match="convs.0.conv.blur.kernel' is another filter"):
        converted(Published(state, "it"))


def test_the_mapping_network_and_every_key_is_asked_for() -> None:
    state, z = generator_state(), normal(3, CODE)
    source, network = Published(state, "it"), MappingNetwork(CODE)
    network.load_state_dict(convert.mapping(source, network))
    torch.testing.assert_close(network(z), published.mapping(state, z))
    converted(source)
    source.finish()


def test_the_recurrent_encoder_over_two_steps() -> None:
    state = published.random_state(published.recurrent_shapes(WIDTHS, 3 * CODE))
    network = RecurrentEncoder(widths=WIDTHS, noise_resolution=8, n_early=3, code_size=CODE)
    source = Published({f"module.{name}": value for name, value in state.items()}, "it")
    network.load_state_dict(convert.recurrent_encoder(source, network))
    source.finish()
    ours = theirs = (torch.zeros(2, 6, 4, 4), torch.zeros(2, 6, 4, 4))
    for step in range(2):
        before, now, inverted, edited = normal(2, 12, 16, 16, seed=step).split(3, 1)
        with torch.no_grad():
            offsets, *found = network(torch.cat((now, before, inverted, edited), 1), *ours)
        expected = published.recurrent(state, torch.cat((before, now, inverted, edited), 1), *theirs, 8)
        for a, b in zip((offsets.flatten(1), *found), expected, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
        ours, theirs = (found[1], found[2]), (expected[2], expected[3])
