"""The paper's networks at their full size, of which only shapes and costs are computed; and what they need first."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch.utils.flop_counter import FlopCounterMode

from rigid.assets.store import AssetError, AssetStore
from rigid.models import build, profiles
from rigid.models.e4e import E4eEncoder
from rigid.models.profiles import PAPER, sizes_of
from rigid.models.recurrent import RecurrentEncoder
from rigid.models.stylegan2 import StyleGAN2


def test_the_networks_have_the_profiles_sizes() -> None:
    sizes = sizes_of(PAPER)
    with torch.device("meta"), torch.no_grad():
        codes = build.new_e4e()(torch.zeros(2, 3, sizes.image_size, sizes.image_size))
        state = torch.zeros(2, *sizes.hidden_shape)
        frames = torch.zeros(2, 12, sizes.image_size, sizes.image_size)
        offsets, noise, hidden, cell = build.new_recurrent_encoder(PAPER)(frames, state, state)
        generator = build.new_stylegan2()
        images = generator(codes, noise)
    assert codes.shape == (2, sizes.n_codes, sizes.code_size)
    assert offsets.shape == (2, sizes.n_codes - sizes.n_shared_codes, sizes.code_size)
    assert noise.shape[1:] == sizes.noise_shape
    assert hidden.shape == cell.shape == state.shape
    assert images.shape == (2, 3, sizes.image_size, sizes.image_size)
    assert generator.n_codes == sizes.n_codes


def test_the_batch_shares_the_generators_weights() -> None:
    """Two images cost twice one image, and one costs what its convolutions do: no weight is made for an image."""
    costs = []
    for batch in (1, 2):
        with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
            build.new_stylegan2().requires_grad_(False)(torch.zeros(batch, 14, 512))
        costs.append(counter.get_total_flops())
    assert costs[1] == 2 * costs[0]
    assert costs[0] / 2 < 50e9


def test_an_untrained_recurrent_encoder_leaves_the_codes_alone() -> None:
    torch.manual_seed(0)
    network = RecurrentEncoder(widths=(4, 5, 6), noise_resolution=8, n_early=3, code_size=7)
    state = torch.zeros(2, 6, 4, 4)
    offsets, noise, hidden, _ = network(torch.randn(2, 12, 16, 16), state, state)
    assert not offsets.any()
    assert 0.5 < noise.std() < 2 and hidden.std() > 0.01, "the features keep their size"
    (gradient,) = torch.autograd.grad(offsets.sum(), [network.fc.weight])
    assert gradient.abs().amin() > 0


def test_each_code_of_e4e_has_its_own_head() -> None:
    torch.manual_seed(0)
    network = E4eEncoder(code_size=6, heads=(2, 1, 2), stages=((16, 1), (16, 2), (32, 1), (32, 1))).eval()
    network.requires_grad_(False)
    x = torch.rand(1, 3, 256, 256) * 2 - 1
    plain = network(x)
    assert plain.shape == (1, 5, 6)
    torch.testing.assert_close(network(torch.cat((x, -x)))[:1], plain)
    torch.testing.assert_close(_with_bias(network, "fine", 1, x) - plain, _only(4))
    torch.testing.assert_close(_with_bias(network, "middle", 0, x) - plain, _only(2))
    # All codes start from the first head's.
    torch.testing.assert_close(_with_bias(network, "coarse", 0, x) - plain, torch.ones(1, 5, 6))


def _with_bias(network: E4eEncoder, heads: str, head: int, x: torch.Tensor) -> torch.Tensor:
    """The codes when one head gives one more."""
    bias = network.get_parameter(f"{heads}.linear.bias")
    bias[6 * head : 6 * head + 6] += 1
    codes: torch.Tensor = network(x)
    bias[6 * head : 6 * head + 6] -= 1
    return codes


def _only(code: int) -> torch.Tensor:
    expected = torch.zeros(1, 5, 6)
    expected[:, code] = 1
    return expected


def test_what_is_not_imported_yet_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIGID_LIVE_CACHE", str(tmp_path))
    for family, load in (
        ("stylegan2", lambda: build.build_generator(PAPER, AssetStore())),
        ("stylegan2", lambda: build.build_mapping(AssetStore(), PAPER)),
        ("e4e", lambda: build.build_image_encoder(PAPER)),
        ("rigid", lambda: build.build_recurrent_encoder(PAPER)),
        ("visible", build.build_published_visible_net),
    ):
        with pytest.raises(AssetError, match=f"of rigid-256 has no weights yet; .* import FILE --as {family}`"):
            load()
    assert not profiles.has_recurrent_encoder(PAPER)


def test_the_profiles_weights_are_those_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIGID_LIVE_CACHE", str(tmp_path))
    assert profiles.weights_files(PAPER) == []
    folder = profiles.find_imported_folder(PAPER)
    folder.mkdir(parents=True)
    save_file({"mean": torch.arange(2.0)[:, None].expand(2, 512).contiguous()}, folder / "image_encoder.safetensors")
    assert profiles.weights_files(PAPER) == [folder / "image_encoder.safetensors"]
    assert torch.equal(build.mean_code(PAPER), torch.full((512,), 0.5))


def test_parts_of_mobile_stylegan_are_not_asked_of_the_paper() -> None:
    with pytest.raises(ValueError, match="rigid-256 has no MobileStyleGAN, which this needs; choose mobile-256"):
        build.build_mobile_generator(PAPER, AssetStore())


def test_gradients_reach_the_codes_and_the_noise_map() -> None:
    torch.manual_seed(0)
    network = StyleGAN2((6, 5, 4), code_size=8, noise_resolution=8)
    for name, parameter in network.named_parameters():
        if name.endswith("strength"):
            torch.nn.init.ones_(parameter)
    codes, noise = torch.randn(1, 6, 8, requires_grad=True), torch.randn(1, 5, 8, 8, requires_grad=True)
    gradients = torch.autograd.grad(network(codes, noise).square().mean(), [codes, noise])
    assert all(gradient.abs().sum(-1).amin() > 0 for gradient in gradients)
