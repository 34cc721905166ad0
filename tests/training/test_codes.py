"""Codes to train on, and the measure they are compared in."""

from __future__ import annotations

import torch

from rigid.models.mobile_stylegan import MappingNetwork, MobileStyleGAN
from rigid.training.code_metric import CodeMetric
from rigid.training.codes import LEVEL_STARTS, mean_of, sample_codes


def tiny_mapping() -> MappingNetwork:
    torch.manual_seed(0)
    return MappingNetwork(8, depth=2)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_unmixed_codes_are_one_code_and_mixed_ones_change_once_at_a_level() -> None:
    mapping = tiny_mapping()
    mean = mean_of(mapping, 4096, seeded())
    plain = sample_codes(mapping, mean, 20, 16, seeded(), mixing=0.0)
    assert torch.equal(plain, plain[:, :1].expand_as(plain))
    mixed = sample_codes(mapping, mean, 20, 16, seeded(), mixing=1.0)
    for codes in mixed:
        changes = [i for i in range(1, 16) if not torch.equal(codes[i], codes[i - 1])]
        assert len(changes) == 1
        assert changes[0] in LEVEL_STARTS


def test_truncation_pulls_to_the_mean() -> None:
    mapping = tiny_mapping()
    mean = mean_of(mapping, 4096, seeded())
    spreads = [
        (sample_codes(mapping, mean, 50, 16, seeded(), truncation=(psi, psi)) - mean).norm() for psi in (0.5, 1.0)
    ]
    assert torch.isclose(spreads[0] * 2, spreads[1], rtol=1e-4)


def test_the_metric_counts_what_the_generator_reads() -> None:
    torch.manual_seed(0)
    metric = CodeMetric(MobileStyleGAN((8, 8, 8), code_size=8, noise_resolution=16), tiny_mapping(), n_codes=8)
    codes = torch.randn(4, 8, 8)
    moved = codes.clone()
    moved[:, 3] += 1
    assert metric(codes, moved) == 0, "no layer reads code 3"
    moved[:, 2] += 1
    assert metric(codes, moved) > 0


def test_the_metric_of_the_mean_code_is_about_one() -> None:
    torch.manual_seed(0)
    mapping = tiny_mapping()
    mean = mean_of(mapping, 8192, seeded())
    metric = CodeMetric(MobileStyleGAN((8, 8, 8), code_size=8, noise_resolution=16), mapping, n_codes=7)
    codes = sample_codes(mapping, mean, 2000, 7, seeded(), truncation=(1.0, 1.0), mixing=0.0)
    assert 0.7 < metric(codes, mean.expand_as(codes)) < 1.3
