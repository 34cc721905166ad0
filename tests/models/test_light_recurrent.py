"""The light recurrent encoder: its start at nothing, its cost, its memory, its eye for detail."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from rigid.models.build import build_recurrent_encoder, new_image_encoder, new_recurrent_encoder
from rigid.models.light_recurrent import LARGEST_CELL, PATCH, Detail, LightRecurrentEncoder
from rigid.models.profiles import has_recurrent_encoder, sizes_of

PROFILE = "mobile-256"
BUDGET = 1.5e9


def tiny(seed: int = 0) -> LightRecurrentEncoder:
    """A net for 64² frames in which every weight is random, the silent ones too."""
    torch.manual_seed(seed)
    network = LightRecurrentEncoder(
        stem=8, widths=(8, 8), squeeze=4, hidden_size=4, noise_channels=6, n_early=3, code_size=5
    )
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, 0, 0.3)
    return network.eval().requires_grad_(False)


def frames(batch: int = 2, side: int = 64, seed: int = 1) -> Tensor:
    return torch.rand((batch, 12, side, side), generator=torch.Generator().manual_seed(seed)) * 2 - 1


def zeros(batch: int = 2) -> tuple[Tensor, Tensor]:
    return torch.zeros(batch, 8, 4, 4), torch.zeros(batch, 8, 4, 4)


def test_the_profiles_net_starts_at_nothing_and_every_output_can_be_learned() -> None:
    sizes = sizes_of(PROFILE)
    network = new_recurrent_encoder(PROFILE)
    assert isinstance(network, LightRecurrentEncoder)
    state = torch.zeros(1, *sizes.hidden_shape)
    offsets, noise, hidden, cell = network(frames(1, sizes.image_size), state, state)
    assert offsets.shape == (1, sizes.n_codes - sizes.n_shared_codes, sizes.code_size)
    assert noise.shape == (1, *sizes.noise_shape)
    assert hidden.shape == cell.shape == state.shape
    assert not offsets.any() and not noise.any()
    assert hidden.std() > 0.01, "the features die out on their way"
    gradients = torch.autograd.grad(offsets.sum() + noise.sum(), [network.fc.weight, network.noise.out.weight])
    assert all(gradient.abs().amin() > 0 for gradient in gradients)


def test_an_inversion_is_cheap_enough_for_a_cpu() -> None:
    sizes = sizes_of(PROFILE)
    # On the meta device nothing is computed, only counted.
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        state = torch.zeros(1, *sizes.hidden_shape)
        new_image_encoder(PROFILE, torch.zeros(sizes.code_size))(torch.zeros(1, 3, 256, 256))
        new_recurrent_encoder(PROFILE)(torch.zeros(1, 12, 256, 256), state, state)
    assert counter.get_total_flops() / 2 > 1e9, "not everything was counted"
    assert counter.get_total_flops() / 2 <= BUDGET


def test_each_of_the_four_pictures_and_the_state_matter() -> None:
    network = tiny()
    plain = network(frames(), *zeros())
    for picture in range(4):
        changed = frames()
        changed[:, 3 * picture : 3 * picture + 3] *= -1
        assert all(not torch.allclose(a, b) for a, b in zip(network(changed, *zeros()), plain, strict=True))
    later = network(frames(), *plain[2:])
    assert all(not torch.allclose(a, b) for a, b in zip(later, plain, strict=True))


def test_the_noise_map_sees_single_pixels() -> None:
    network = tiny()
    _, plain, _, _ = network(frames(1), *zeros(1))
    changed = frames(1)
    changed[0, 0, 20, 44] += 1
    _, noise, _, _ = network(changed, *zeros(1))
    difference = (noise - plain).abs().sum(1)[0]
    row, column = divmod(int(difference.argmax()), 8)
    assert abs(row - 20 // 8) <= 1 and abs(column - 44 // 8) <= 1, "most where the pixel lies"


def test_the_stem_takes_the_pixels_of_a_patch_as_channels() -> None:
    torch.manual_seed(2)
    detail, frames = Detail(8, 16), torch.randn(2, 12, 32, 32)
    expected = detail.refine(detail.down(detail.stem(F.pixel_unshuffle(frames, PATCH))))
    torch.testing.assert_close(detail(frames), expected)


def test_rows_of_a_batch_do_not_mix() -> None:
    # in double precision: in single, the order in which a batch is summed up shows
    network = tiny().double()
    hidden, cell = (state.double() for state in zeros())
    together = network(frames().double(), hidden, cell)
    alone = network(frames()[1:].double(), hidden[1:], cell[1:])
    for both, one in zip(together, alone, strict=True):
        torch.testing.assert_close(both[1:], one)


def test_the_state_stays_bounded_however_long() -> None:
    network = tiny()
    for gates in network.lstm.parameters():
        gates.mul_(10)
    hidden, cell = zeros(1)
    for _ in range(100):
        _, _, hidden, cell = network(frames(1), hidden, cell)
    assert cell.abs().max() <= LARGEST_CELL and hidden.abs().max() <= 1
    assert cell.abs().max() > 0.9 * LARGEST_CELL, "nothing wound up, so nothing was held"


def test_weights_are_read_where_there_are_any(own_weights: Path) -> None:
    assert not has_recurrent_encoder(PROFILE)
    network = new_recurrent_encoder(PROFILE)
    (own_weights / PROFILE).mkdir()
    half = {name: value.half() for name, value in network.state_dict().items()}
    save_file(half, own_weights / PROFILE / "recurrent_encoder.safetensors")
    assert has_recurrent_encoder(PROFILE)
    loaded = build_recurrent_encoder(PROFILE)
    assert not loaded.training
    for name, value in loaded.state_dict().items():
        assert torch.equal(value, half[name].float()), name
