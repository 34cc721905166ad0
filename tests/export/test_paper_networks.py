"""The paper's networks, small, exported and run: every engine computes what PyTorch does."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engines.backends.tensorrt_library import Library
from engines.exports import HALF
from export import COMPARISON_SEED, export_networks
from export.compare import compare
from export.networks import Networks
from rigid.models.contract import Sizes
from rigid.models.e4e import E4eEncoder
from rigid.models.recurrent import RecurrentEncoder
from rigid.models.stylegan2 import StyleGAN2
from tests.engines.tensorrt_ports import check_builds, ports_of
from tests.networks import keep, randomise

SIZES = Sizes(image_size=32, n_codes=8, code_size=8, n_shared_codes=3, noise_shape=(16, 8, 8), hidden_shape=(16, 4, 4))


@pytest.fixture(scope="module")
def exported() -> Path:
    """The folder of small networks, exported in either precision."""

    def export(folder: Path) -> None:
        export_networks(small_networks(), folder, "random", ["f32"], kinds=[HALF])

    return keep("paper", export, Path(__file__).read_text("utf-8"))


def small_networks() -> Networks:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = E4eEncoder(code_size=8, heads=(2, 3, 3), stages=((16, 1), (16, 1), (16, 1), (16, 1)))
        generator = StyleGAN2((16, 16, 8, 8), code_size=8, noise_resolution=8)
        recurrent = RecurrentEncoder(widths=(4, 8, 16, 16), noise_resolution=8, n_early=5, code_size=8)
        for module in (*encoder.modules(), *generator.modules(), *recurrent.modules()):
            randomise(module)
    for network in (encoder, generator, recurrent):
        network.eval().requires_grad_(False)
    return Networks(SIZES, encoder, generator, recurrent)


@pytest.mark.slow
def test_every_engine_computes_what_pytorch_does(exported: Path) -> None:
    differences = compare(small_networks(), exported, COMPARISON_SEED, ["f32"])
    assert {difference.graph for difference in differences} == {"invert", "synthesize"}
    assert all(difference.passed for difference in differences)


@pytest.mark.slow
def test_tensorrt_builds_engines_of_them(exported: Path) -> None:
    expected = ports_of(SIZES)
    del expected["parse"]
    check_builds(Library("tensorrt-rtx"), exported, expected)
