"""The face parser's network: shapes, probabilities, and that the shipped weights know a face."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from rigid.models.build import new_face_parser
from rigid.models.face_parser import CLASSES, SHRINK


def test_every_place_has_probabilities() -> None:
    torch.manual_seed(0)
    parser = new_face_parser().eval()
    pictures = torch.rand(2, 3, 256, 256) * 2 - 1
    found = parser(pictures)
    assert found.shape == (2, len(CLASSES), 256 // SHRINK, 256 // SHRINK)
    torch.testing.assert_close(found.sum(1), torch.ones(2, 64, 64))
    # a batch is its pictures
    torch.testing.assert_close(parser(pictures[1:]), found[1:], rtol=1e-4, atol=1e-5)


def test_halved_pictures_give_the_same() -> None:
    torch.manual_seed(0)
    parser = new_face_parser().eval()
    pictures = torch.rand(1, 3, 128, 128)
    torch.testing.assert_close(parser.logits(F.avg_pool2d(pictures, 2)).softmax(1), parser(pictures))
