"""Flow estimators: what they find, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from rigid.training.device import DEVICE
from rigid.training.flow import DisFlow, load_flow
from tests.training.test_warping import smooth_picture


class Difference(nn.Module):
    """A "flow" that shows which picture came first."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        return (first - 2 * second)[:, : self.channels]


def saved(folder: Path, channels: int = 2) -> Path:
    batch = torch.export.Dim("batch")
    first, second = torch.zeros(2, 2, 3, 16, 16)
    program = torch.export.export(Difference(channels), (first, second), dynamic_shapes=({0: batch}, {0: batch}))
    torch.export.save(program, folder / "flow.pt2")
    return folder / "flow.pt2"


def test_dis_finds_a_shift() -> None:
    wide = smooth_picture(96) * 4
    first, second = wide[..., 16:80, 16:80], wide[..., 14:78, 13:77]
    flow = DisFlow()(first, second)
    assert flow.shape == (1, 2, 64, 64)
    found = flow[0, :, 16:-16, 16:-16].mean((1, 2))
    assert torch.allclose(found, torch.tensor([3.0, 2.0]), atol=0.4)


@pytest.mark.slow
def test_an_exported_network_stands_in_for_any_batch(tmp_path: Path) -> None:
    estimate = load_flow(saved(tmp_path))
    first, second = torch.rand(3, 3, 16, 16), torch.rand(3, 3, 16, 16)
    assert torch.allclose(estimate(first, second), (first - 2 * second)[:, :2], atol=1e-6)
    assert estimate(first.to(DEVICE), second.to(DEVICE)).device.type == DEVICE.type


def test_what_is_no_flow_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no flow estimator at"):
        load_flow(tmp_path / "none.pt2")
    (tmp_path / "bad.pt2").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"bad\.pt2 cannot be read"):
        load_flow(tmp_path / "bad.pt2")
    with pytest.raises(ValueError, match=r"\(1, 2, 16, 16\) is needed"):
        load_flow(saved(tmp_path, channels=1))(torch.zeros(1, 3, 16, 16), torch.zeros(1, 3, 16, 16))
