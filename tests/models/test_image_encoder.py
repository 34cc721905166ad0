"""The light e4e encoder: its shapes, its start at the mean code, its cost."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rigid.models.build import build_image_encoder, mean_code, new_image_encoder
from rigid.models.profiles import sizes_of

PROFILE = "mobile-256"
BUDGET = 1e9


def multiplications(network: nn.Module, inputs: Tensor) -> int:
    """Multiply-accumulates of the convolutions and linear layers for one forward pass."""
    counts: list[int] = []

    def count(module: nn.Module, _: object, output: Tensor) -> None:
        if isinstance(module, nn.Conv2d):
            counts.append(output[0].numel() * module.weight[0].numel())
        elif isinstance(module, nn.Linear):
            counts.append(module.weight.numel())

    for module in network.modules():
        module.register_forward_hook(count)
    with torch.no_grad():
        network(inputs)
    return sum(counts)


def test_it_is_cheap_enough_for_a_cpu() -> None:
    sizes = sizes_of(PROFILE)
    encoder = new_image_encoder(PROFILE, torch.zeros(sizes.code_size)).eval()
    assert multiplications(encoder, torch.zeros(1, 3, sizes.image_size, sizes.image_size)) <= BUDGET


def test_deltas_start_at_nothing() -> None:
    mean = torch.randn(512)
    encoder = new_image_encoder(PROFILE, mean).eval()
    with torch.no_grad():
        code, deltas = encoder.offsets(torch.randn(2, 3, 128, 128))
        codes = encoder(torch.randn(2, 3, 256, 256))
    assert not deltas.any()
    assert torch.allclose(code, code[:, :1].expand_as(code))
    assert codes.shape == (2, 16, 512)


def test_the_shipped_weights_tell_pictures_apart() -> None:
    encoder = build_image_encoder(PROFILE)
    random = torch.Generator().manual_seed(0)
    blobs = nn.functional.interpolate(torch.rand(2, 3, 4, 4, generator=random) * 2 - 1, size=256, mode="bicubic")
    with torch.no_grad():
        codes = encoder(blobs)
    assert torch.isfinite(codes).all()
    assert (codes[0] - codes[1]).square().mean() > 0.1 * (codes[0] - mean_code(PROFILE)).square().mean()
