"""LPIPS: its zero, its growth, and its cheaper form against the exact one."""

from __future__ import annotations

import torch

from rigid.assets.store import AssetStore
from rigid.models.build import build_lpips


def pictures() -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    smooth = torch.nn.functional.interpolate(torch.rand(2, 3, 8, 8, generator=random) * 2 - 1, size=96, mode="bicubic")
    return smooth, torch.randn(2, 3, 96, 96, generator=random)


@torch.no_grad()
def test_it_is_zero_for_the_same_picture_and_grows_with_noise(store: AssetStore) -> None:
    lpips = build_lpips(store)
    picture, noise = pictures()
    distances = torch.stack([lpips(picture, picture + strength * noise) for strength in (0.0, 0.05, 0.2)])
    assert torch.all(distances[0] == 0)
    assert torch.all(distances[1:] > distances[:-1])


@torch.no_grad()
def test_the_cheaper_form_stays_near_the_exact_one(store: AssetStore) -> None:
    picture, noise = pictures()
    exact = build_lpips(store)(picture, picture + 0.1 * noise)
    cheaper = build_lpips(store, exact=False)(picture, picture + 0.1 * noise)
    assert torch.allclose(exact, cheaper, rtol=0.1)
