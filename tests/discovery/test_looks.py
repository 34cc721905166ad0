from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from rigid.discovery.looks import (
    LOOKS,
    HandLabel,
    describe,
    learn_looks,
    no_looks,
    read_hand_labels,
    read_looks,
    roc_area,
    write_looks,
)
from rigid.face.landmarks import LEFT_EYE, MOUTH_CORNERS, RIGHT_EYE
from tests.discovery.faces import landmarks


def labelled(count: int, seed: int) -> tuple[np.ndarray, list[HandLabel]]:
    """Descriptions whose first number says whether there is a beard, the others nothing."""
    random = np.random.default_rng(seed)
    descriptions = random.standard_normal((count, 40)).astype(np.float32)
    labels = [
        HandLabel(0, i, frozenset({"beard"} if descriptions[i, 0] > 0.8 else ()), frozenset()) for i in range(count)
    ]
    return descriptions, labels


@pytest.mark.slow
def test_a_look_is_learned_from_labels_but_not_from_what_is_unsure(tmp_path: Path) -> None:
    descriptions, labels = labelled(200, 0)
    unsure = [HandLabel(0, i, frozenset(), frozenset({"beard"})) for i in range(200)]
    looks, areas = learn_looks(np.concatenate([descriptions, descriptions]), [*labels, *unsure], ("glasses", "beard"))
    row = looks.names.index("beard")
    assert looks.names == ("glasses", "beard") and areas["beard"] > 0.85
    assert np.abs(looks.weights[row]).argmax() == 0 and looks.weights[row, 0] > 0
    write_looks(looks, tmp_path / "looks.npz")
    descriptions, labels = labelled(300, 1)
    logits = read_looks(tmp_path / "looks.npz").logits(descriptions)[:, row]
    there = torch.tensor([float("beard" in label.looks) for label in labels])
    assert roc_area(torch.from_numpy(logits), there) > 0.9


def test_the_area_is_one_half_for_guesses() -> None:
    assert roc_area(torch.tensor([0.0, 1.0, 2.0]), torch.tensor([0.0, 1.0, 1.0])) == 1.0
    assert roc_area(torch.zeros(4), torch.tensor([0.0, 1.0, 1.0, 0.0])) == 0.5
    assert roc_area(torch.zeros(2), torch.ones(2)) == 0.5


def test_labels_are_read_with_their_doubts(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("seed,index,looks\n64,3,beard glasses?\n64,4,\n")
    first, second = read_hand_labels(path)
    assert first == HandLabel(64, 3, frozenset({"beard"}), frozenset({"glasses"}))
    assert not second.looks and not second.unsure
    path.write_text("seed,index,looks\n64,3,antlers\n")
    with pytest.raises(ValueError, match="'antlers' is no look"):
        read_hand_labels(path)


def test_a_description_follows_the_face() -> None:
    random = np.random.default_rng(0)
    small = random.integers(0, 255, (16, 16, 3)).astype(np.uint8)
    image = np.kron(small, np.ones((16, 16, 1), np.uint8))
    points = landmarks()
    points[LEFT_EYE], points[RIGHT_EYE], points[MOUTH_CORNERS] = (100, 110), (156, 110), (128, 165)
    here = describe(image, points)
    assert here.shape == no_looks().mean.shape
    moved = describe(np.roll(image, (5, 9), (0, 1)), points + np.array((9, 5), np.float32))
    middle = slice(4 * 14 * 5, 10 * 14 * 5)
    np.testing.assert_allclose(
        here[middle].reshape(6, 14, 5)[:, 4:10], moved[middle].reshape(6, 14, 5)[:, 4:10], atol=2
    )


def test_the_labels_that_ship_are_a_few_hundred_and_what_ships_was_learned_from_them() -> None:
    labels = read_hand_labels()
    assert len(labels) >= 300 and len({(label.seed, label.index) for label in labels}) == len(labels)
    assert read_looks().names == LOOKS
    for look in LOOKS:
        assert sum(look in label.looks for label in labels) >= 8, look
