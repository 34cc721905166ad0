from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from rigid.arrays import Array
from rigid.discovery.samples import Studio
from rigid.discovery.unsupervised import SPANS, explore, ganspace, over_levels, sefa, single_codes
from rigid.models.mobile_stylegan import MappingNetwork, MobileStyleGAN
from tests.discovery.world import World


def generator() -> MobileStyleGAN:
    """One whose level 1 only listens to the third number of a code."""
    torch.manual_seed(0)
    network = MobileStyleGAN((8, 8, 8, 8, 8, 8), code_size=8, noise_resolution=8).requires_grad_(False)
    level = network.level(0)
    for modulation in (level.up, level.conv1.modulation, level.conv2.modulation):
        modulation.weight.zero_()
        modulation.weight[:, 2] = 1.0
    return network


def test_sefa_finds_what_the_modulations_listen_to() -> None:
    first, *_ = sefa(generator(), [1], 3)
    np.testing.assert_allclose(np.abs(first), np.eye(8)[2], atol=1e-9)
    directions = sefa(generator(), [2, 3], 8)
    np.testing.assert_allclose(directions @ directions.T, np.eye(8), atol=1e-9)


def test_ganspace_finds_the_longest_axes() -> None:
    random = torch.Generator().manual_seed(0)
    codes = torch.randn(4000, 5, generator=random) * torch.tensor([1.0, 5.0, 2.0, 0.5, 0.1])
    first, second = ganspace(codes, 2)
    assert np.abs(first).argmax() == 1 and np.abs(second).argmax() == 2
    np.testing.assert_allclose(np.linalg.norm(first), 1)


def test_a_direction_lies_on_its_levels_only() -> None:
    edit = over_levels(np.arange(4.0), [1], 7)
    assert edit.shape == (7, 4)
    np.testing.assert_array_equal(edit[[1, 2]], [np.arange(4.0)] * 2)
    assert not edit[[0, 3, 4, 5, 6]].any()


def test_every_direction_comes_with_a_sheet(tmp_path: Path) -> None:
    world, network = World(), generator()
    faces: Array = np.zeros((2, network.n_codes, 8), np.float32)
    studio = Studio(lambda codes: np.zeros((len(codes), 3, 16, 16), np.float32), world)
    codes = single_codes(MappingNetwork(8).requires_grad_(False), 100, 0)
    assert codes.shape == (100, 8)
    for method in ("sefa", "ganspace"):
        sheets = list(explore(method, studio, network, codes, faces, count=2, out=tmp_path / method))
        assert len(sheets) == 2 * len(SPANS) and all(sheet.stat().st_size for sheet in sheets)
        edit = np.load(sheets[0].with_suffix(".npy"))
        assert edit.shape == (16, 8) and edit[0].any() and not edit[1:].any()
