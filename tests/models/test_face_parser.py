"""The face parser's network: shapes, probabilities, and that the shipped weights know a face."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from rigid.assets.store import AssetStore
from rigid.models.build import build_face_parser, build_mobile_generator, mean_code, new_face_parser
from rigid.models.contract import CLASSES, SHRINK


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


def test_the_shipped_weights_know_a_generated_face(store: AssetStore) -> None:
    codes = mean_code("mobile-256").expand(1, 16, -1)
    with torch.no_grad():
        picture = build_mobile_generator("mobile-256", store)(codes)
        found = np.array(CLASSES)[build_face_parser()(picture.clamp(-1, 1))[0].argmax(0)]
    # the mean face looks straight ahead: eyes at 0.45 of the height, the mouth at 0.72
    assert (found[34:50, 22:42] == "skin").mean() > 0.3
    assert {"nose"} <= set(found[34:40, 30:34].ravel())
    assert {"eyes"} <= set(found[26:33, 20:30].ravel()) and {"eyes"} <= set(found[26:33, 34:44].ravel())
    assert {"lips"} <= set(found[42:52, 26:38].ravel())
    assert (found[2:8, 24:40] == "hair").mean() > 0.5
    assert not (found == "other").any()
