"""The paper's networks, small, exported and run: every engine computes what PyTorch does."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from export import export_networks
from export.networks import Networks
from rigid.models.contract import Sizes
from rigid.models.e4e import E4eEncoder
from rigid.models.recurrent import RecurrentEncoder
from rigid.models.stylegan2 import StyleGAN2
from tests.networks import randomise

SIZES = Sizes(
    image_size=256, n_codes=14, code_size=8, n_shared_codes=4, noise_shape=(16, 32, 32), hidden_shape=(16, 4, 4)
)


def small_networks() -> Networks:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = E4eEncoder(code_size=8, heads=(3, 4, 7), stages=((16, 1), (16, 1), (16, 1), (16, 1)))
        generator = StyleGAN2((16, 16, 16, 16, 8, 8, 8), code_size=8, noise_resolution=32)
        recurrent = RecurrentEncoder(widths=(4, 8, 16, 16, 16, 16, 16), noise_resolution=32, n_early=10, code_size=8)
        for module in (*encoder.modules(), *generator.modules(), *recurrent.modules()):
            randomise(module)
    for network in (encoder, generator, recurrent):
        network.eval().requires_grad_(False)
    return Networks(SIZES, encoder, generator, recurrent)


@pytest.mark.slow
def test_every_engine_computes_what_pytorch_does(tmp_path: Path) -> None:
    differences = export_networks(small_networks(), tmp_path / "exports", "random", ["f32"])
    assert {difference.graph for difference in differences} == {"invert", "synthesize"}
    assert all(difference.passed for difference in differences)
