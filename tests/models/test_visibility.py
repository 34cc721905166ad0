"""The visible net: its shape, its reach, and that it learns which neighbour to believe."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rigid.models.visibility import VisibleNet


def pair(height: int, width: int, batch: int = 2) -> Tensor:
    return torch.rand((batch, 6, height, width), generator=torch.Generator().manual_seed(5)) * 2 - 1


@pytest.mark.parametrize(("height", "width"), [(64, 64), (50, 71)])
def test_every_pixel_gets_a_share(height: int, width: int) -> None:
    torch.manual_seed(0)
    share = VisibleNet()(pair(height, width))
    assert share.shape == (2, 1, height, width)
    assert 0 <= share.min() < share.max() <= 1


def test_it_has_the_papers_layers() -> None:
    modules = list(VisibleNet().modules())
    assert sum(isinstance(module, nn.Conv2d) for module in modules) == 5
    assert sum(isinstance(module, nn.ConvTranspose2d) for module in modules) == 5


def test_an_edge_reaches_its_pixel_through_the_shallow_maps() -> None:
    torch.manual_seed(0)
    network = VisibleNet((4, 4, 4)).eval()
    changed = pair(64, 64, 1)
    changed[0, 0, 20, 40] += 1
    difference = (network(changed) - network(pair(64, 64, 1))).abs()[0, 0]
    row, column = divmod(int(difference.argmax()), 64)
    assert abs(row - 20) <= 4 and abs(column - 40) <= 4


def test_it_learns_which_neighbour_shows_the_frame() -> None:
    """The earlier neighbour is spoilt in the left half, the later one in the right half."""
    torch.manual_seed(0)
    network = VisibleNet((8, 8, 8))
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    left = (torch.arange(32) < 16).float()
    for _ in range(40):
        frame, spoil = torch.rand(4, 3, 32, 32), torch.full((4, 3, 32, 32), -1.0)
        earlier, later = torch.lerp(frame, spoil, left), torch.lerp(frame, spoil, 1 - left)
        share = network(torch.cat((earlier, later), 1))
        loss = F.l1_loss(share * earlier + (1 - share) * later, frame)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1, "half of each neighbour would leave 0.75"
