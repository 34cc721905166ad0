"""The Fréchet distance, and I3D files."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rigid.evaluation.fvd import I3D, STRIDE, WINDOW, frechet_distance


class FakeI3D(nn.Module):
    """Called like the published file; its features are the mean colours of the first and the second half."""

    def forward(self, x: Tensor, rescale: bool, resize: bool, return_features: bool) -> Tensor:
        assert rescale and resize and return_features
        return torch.cat((x[:, :, :8].mean((2, 3, 4)), x[:, :, 8:].mean((2, 3, 4))), 1)


def test_equal_samples_are_no_distance_apart() -> None:
    sample = np.random.default_rng(0).normal(size=(40, 5))
    assert frechet_distance(sample, sample) == pytest.approx(0, abs=1e-9)


def test_a_shift_counts_squared() -> None:
    sample = np.random.default_rng(0).normal(size=(40, 3))
    assert frechet_distance(sample, sample + np.array([3, 4, 0])) == pytest.approx(25)


def test_a_spread_counts_by_its_standard_deviations() -> None:
    sample = np.random.default_rng(0).normal(size=(40, 1))
    deviation = sample.std(ddof=1)
    centred = sample - sample.mean()
    assert frechet_distance(centred, 3 * centred) == pytest.approx(4 * deviation**2)


def test_fewer_windows_than_features_are_enough_and_one_is_not() -> None:
    random = np.random.default_rng(0)
    assert math.isfinite(frechet_distance(random.normal(size=(3, 20)), random.normal(size=(4, 20))))
    assert math.isnan(frechet_distance(random.normal(size=(1, 20)), random.normal(size=(4, 20))))


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_features_are_of_overlapping_windows(tmp_path: Path) -> None:
    path = tmp_path / "i3d.pt"
    torch.jit.script(FakeI3D()).save(str(path))
    i3d = I3D(path)
    frames = np.repeat(np.arange(WINDOW + STRIDE, dtype=np.uint8), 3 * 16).reshape(-1, 4, 4, 3)
    features = i3d(frames)
    assert features.shape == (2, 6)
    assert features[0] == pytest.approx([3.5] * 3 + [11.5] * 3) and features[1] == pytest.approx(
        [11.5] * 3 + [19.5] * 3
    )
    assert i3d(frames[: WINDOW - 1]).size == 0


def test_a_file_that_is_no_torchscript_is_refused(tmp_path: Path) -> None:
    (tmp_path / "weights.pt").write_bytes(b"weights")
    with pytest.raises(ValueError, match="weights.pt is not a TorchScript file; --i3d"):
        I3D(tmp_path / "weights.pt")
    with pytest.raises(ValueError, match="There is no file .*none.pt"):
        I3D(tmp_path / "none.pt")
