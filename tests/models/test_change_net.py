from __future__ import annotations

import torch

from rigid.models.build import new_change_net
from rigid.models.change_net import compose


def test_untrained_it_keeps_the_real_pixels() -> None:
    kept, residual = new_change_net()(torch.rand(2, 12, 64, 64) * 2 - 1)
    assert kept.shape == (2, 1, 32, 32) and residual.shape == (2, 3, 32, 32)
    assert kept.min() > 0.95 and residual.abs().max() == 0


def test_the_face_is_the_edited_one_with_what_is_kept_and_added() -> None:
    edited, real, inverted = (torch.full((1, 3, 8, 8), value) for value in (0.5, 0.3, 0.2))
    kept, residual = torch.full((1, 1, 4, 4), 0.5), torch.full((1, 3, 4, 4), -0.1)
    assert torch.allclose(compose(edited, real, inverted, kept, residual), torch.tensor(0.5 + 0.05 - 0.1))
