"""The parser's stage and what it learns from, on worlds made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from rigid.arrays import Pixels
from rigid.assets.store import AssetStore
from rigid.models.build import build_mobile_generator
from rigid.models.contract import CLASSES
from rigid.reporting import say_nothing
from rigid.training.loop import LoopOptions, run
from rigid.training.occluders.layer import nothing
from rigid.training.occluders.occlude import OCCLUDERS, OTHER, occlude, paste
from rigid.training.parser import FACE_PARSER_FILE, ParserOptions, ParserStage, Parts
from rigid.training.parser_faces import LabelledFaces, load_or_make_blocks
from rigid.training.parser_hand import hand_labelled, read_hand_labels
from rigid.training.parser_labels import (
    LABEL_SIZE,
    UNKNOWN,
    Clusters,
    PictureAndComponents,
    filter_guided,
    label,
    read_clusters,
    unpack,
)
from rigid.training.parser_measures import iou
from rigid.training.parser_real import label_by_parser
from rigid.training.parser_views import view

NUMBER = {name: number for number, name in enumerate(CLASSES)}
SKIN_COLOUR, HAIR_COLOUR, WALL_COLOUR = (200, 150, 130), (60, 40, 30), (90, 120, 160)


def drawn_face(seed: int = 0) -> tuple[Pixels, Pixels]:
    """A wall, a round of hair and a face before it: picture and labels."""
    random = np.random.default_rng(seed)
    picture, labels = np.empty((LABEL_SIZE, LABEL_SIZE, 3), np.uint8), np.zeros((LABEL_SIZE, LABEL_SIZE), np.uint8)
    picture[:] = WALL_COLOUR
    x, y = (int(v) for v in random.integers(58, 70, 2))
    for colour, part, axes in ((HAIR_COLOUR, "hair", (44, 50)), (SKIN_COLOUR, "skin", (30, 38))):
        cv2.ellipse(picture, (x, y), axes, 0, 0, 360, colour, -1)
        cv2.ellipse(labels, (x, y), axes, 0, 0, 360, NUMBER[part], -1)
    return picture, labels


def faces(seeds: Sequence[int]) -> LabelledFaces:
    images, labels = zip(*map(drawn_face, seeds), strict=True)
    return LabelledFaces(np.stack(images), np.stack(labels))


def landmarks_at(places: dict[int, tuple[float, float]]) -> NDArray[np.float32]:
    """Landmarks (478, 2) all in the picture's middle but those in `places`."""
    points = np.full((478, 2), 0.5, np.float32)
    for number, place in places.items():
        points[number] = place
    return points


def likelihoods_of(parts: NDArray[np.int64], count: int) -> NDArray[np.float32]:
    """Certainty (64, 64, count) that each place is what `parts` (64, 64) says."""
    certain: NDArray[np.float32] = np.eye(count, dtype=np.float32)[parts]
    return certain


def test_clusters_say_what_is_near_their_centres() -> None:
    clusters = Clusters(
        np.zeros(3, np.float32), np.eye(3, 2, dtype=np.float32),
        np.array([[0, 0], [10, 0], [0, 10]], np.float32), ("hair", "skin|hair", "hair"),
    )  # fmt: skip
    assert clusters.kinds == ["hair", "skin|hair"]
    found = clusters.likelihoods(np.array([[[0, 1], [9, 0], [1, 9]]], np.float32))
    np.testing.assert_array_equal(found.argmax(2), [[0, 1, 0]])
    np.testing.assert_allclose(found.sum(2), 1, rtol=1e-5)


def test_every_shipped_cluster_is_named() -> None:
    clusters = read_clusters()
    assert len(clusters.parts) == len(clusters.centres) >= 60
    named = {name for part in clusters.parts for name in part.split("|")}
    assert named <= {*CLASSES, "garment", "unknown"}
    assert {"hair", "skin", "garment", "glasses", "ears", "neck", "background"} <= named


def test_components_are_the_features_projected(store: AssetStore) -> None:
    generator, clusters = build_mobile_generator("mobile-256", store), read_clusters()
    codes = torch.randn(1, generator.n_codes, 512, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        pictures, components = unpack(PictureAndComponents(generator, clusters)(codes).numpy(), 256)
        levels = list(generator.features(codes))
        np.testing.assert_allclose(pictures, generator(codes).numpy(), atol=1e-4)
    # the middle of a 2×2 square of the 32² level and so on is not met exactly; the level of 64² itself is
    assert components.shape == (1, 64, 64, clusters.basis.shape[1])
    power = [level * torch.rsqrt(level.square().mean(1, keepdim=True) + 1e-8) for level in levels[1:5]]
    grid = [
        torch.nn.functional.interpolate(p, size=(64, 64), mode="bilinear") if p.shape[-1] < 64
        else torch.nn.functional.avg_pool2d(p, p.shape[-1] // 64)
        for p in power
    ]  # fmt: skip
    joined = torch.cat(grid, 1)[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(components[0], (joined - clusters.mean) @ clusters.basis, atol=0.02)


def test_a_border_goes_where_its_colour_belongs() -> None:
    picture, truth = drawn_face()
    kinds = ["background", "skin", "hair", "skin|hair"]
    parts = cv2.resize(truth, (64, 64), interpolation=cv2.INTER_NEAREST)
    coarse = np.select([parts == NUMBER["skin"], parts == NUMBER["hair"]], [1, 2], 0)
    skin = (parts == NUMBER["skin"]).astype(np.uint8)
    band = cv2.dilate(skin, np.ones((5, 5))) - cv2.erode(skin, np.ones((5, 5)))
    coarse[band > 0] = 3
    everywhere = landmarks_at({152: (0.5, 0.99)})
    found = label(picture, likelihoods_of(coarse, 4), kinds, everywhere)
    for part in ("skin", "hair", "background"):
        assert iou(found, truth)[part] > 0.9, part


def test_hats_are_above_the_eyes_and_cloth_is_not() -> None:
    kinds, parts = ["background", "skin", "garment"], np.zeros((64, 64), np.int64)
    parts[20:50, 20:44] = 1
    parts[5:15, 18:46], parts[54:64, 10:54], parts[2:20, 58:64] = 2, 2, 2
    oval = {number: (0.33 if number % 2 else 0.67, 0.5) for number in range(478)}
    eyes = {33: (0.4, 0.4), 263: (0.6, 0.4), 152: (0.5, 0.78)}
    found = label(
        np.full((LABEL_SIZE, LABEL_SIZE, 3), 128, np.uint8), likelihoods_of(parts, 3), kinds, landmarks_at(oval | eyes)
    )
    assert found[20, 64] == NUMBER["hat"]
    assert found[120, 64] == NUMBER["cloth"]
    assert found[20, 124] == UNKNOWN


def test_guided_keeps_the_guides_edge() -> None:
    guide = np.zeros((32, 32), np.float32)
    guide[:, 16:] = 1
    blurred = np.asarray(cv2.GaussianBlur(guide, (0, 0), 2), np.float32)[..., None].repeat(2, 2)
    found = filter_guided(guide, blurred, 4, 1e-4)
    assert found[16, 13, 0] < 0.15 and found[16, 18, 1] > 0.85


@pytest.mark.parametrize("kind", OCCLUDERS)
def test_what_is_pasted_on_is_labelled(kind: str) -> None:
    drawn = 0
    for seed in range(8):
        picture, labels = drawn_face(seed)
        layer = OCCLUDERS[kind].draw(picture, labels, np.random.default_rng(seed))
        shown, found = paste(picture, labels, layer, np.random.default_rng(seed))
        np.testing.assert_array_equal(found[found != OTHER], labels[found != OTHER])
        far = cv2.dilate((layer.alpha > 0).astype(np.uint8), np.ones((81, 81))) == 0
        np.testing.assert_array_equal(shown[far], picture[far])
        drawn += int((found == OTHER).any())
    assert drawn >= 6


def test_nothing_covers_nothing() -> None:
    picture, labels = drawn_face()
    shown, found = paste(picture, labels, nothing(LABEL_SIZE), np.random.default_rng(0))
    np.testing.assert_array_equal(shown, picture)
    np.testing.assert_array_equal(found, labels)


def test_views_move_labels_with_their_picture() -> None:
    picture, labels = drawn_face()
    random, alike = np.random.default_rng(3), []
    for _ in range(20):
        shown, found = view(picture, labels, picture, random)
        assert shown.shape == picture.shape and found.shape == labels.shape
        hair, skin = (shown[found == NUMBER[part]].mean() for part in ("hair", "skin"))
        alike.append(skin > hair)
    assert np.mean(alike) > 0.8
    first, second = (occlude(picture, labels, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])


def test_iou_counts_what_is_known() -> None:
    truth = np.array([[0, 0, 1, UNKNOWN]], np.uint8)
    assert iou(np.array([[0, 1, 1, 5]], np.uint8), truth) == {"mean": 0.5, "background": 0.5, "skin": 0.5}


def test_blocks_are_made_once(tmp_path: Path) -> None:
    made: list[int] = []

    def make(number: int) -> LabelledFaces:
        made.append(number)
        return faces([number])

    first, again = (load_or_make_blocks(tmp_path, [0, 3], make) for _ in range(2))
    assert made == [0, 3] and len(again) == 2
    np.testing.assert_array_equal(first.labels, again.labels)


def parse_brightness(picture: Pixels) -> NDArray[np.float32]:
    """A parser that is sure of skin where it is light, of a hat where it is black, and of nothing in between."""
    small = cv2.resize(picture, (64, 64), interpolation=cv2.INTER_AREA).mean(2) / np.float32(255)
    parts = np.zeros((len(CLASSES), 64, 64), np.float32)
    parts[NUMBER["skin"]], parts[NUMBER["hair"]] = small, 1 - small
    parts[NUMBER["hair"]][small < 0.1], parts[NUMBER["hat"]][small < 0.1] = 0, 1
    return parts


def test_a_real_face_is_labelled_where_the_parser_is_sure() -> None:
    picture = np.full((256, 256, 3), 128, np.uint8)
    picture[:, :100], picture[:, 200:] = 230, 40
    picture[:60, 100:200] = 0
    labels = label_by_parser(picture, parse_brightness, landmarks_at({}))
    places = {(90, 20): NUMBER["skin"], (90, 110): NUMBER["hair"], (90, 75): UNKNOWN, (10, 75): UNKNOWN}
    assert {place: labels[place] for place in places} == places


def test_a_lopsided_parser_is_evened_out_by_looking_mirrored() -> None:
    def parse(picture: Pixels) -> NDArray[np.float32]:
        parts = np.zeros((len(CLASSES), 64, 64), np.float32)
        parts[NUMBER["hair"], :, :32], parts[NUMBER["background"], :, 32:] = 1, 1
        return parts

    labels = label_by_parser(np.zeros((256, 256, 3), np.uint8), parse, landmarks_at({}))
    assert (labels == UNKNOWN).mean() > 0.95


def test_real_faces_are_part_of_a_batch() -> None:
    wall = LabelledFaces(np.zeros((1, 128, 128, 3), np.uint8), np.full((1, 128, 128), NUMBER["cloth"], np.uint8))
    options = ParserOptions(batch=32, real_share=0.5)
    trained = ParserStage(options, lambda: Parts(faces(range(4)), faces(range(4, 8)), wall))
    _, labels = trained.draw_batch(0)
    share = np.mean([(drawn == NUMBER["cloth"]).any() for drawn in labels])
    assert 0.25 < share < 0.75


def stage(steps: int) -> ParserStage:
    options = ParserOptions(steps=steps, batch=4, learning_rate=1e-2)
    return ParserStage(options, lambda: Parts(faces(range(12)), faces(range(20, 24))))


def test_it_begins_from_the_weights_it_is_given(tmp_path: Path) -> None:
    first = stage(1)
    first.export(tmp_path)
    options = ParserOptions(initial=tmp_path / FACE_PARSER_FILE)
    second = ParserStage(options, lambda: Parts(faces(range(2)), faces(range(2, 4))))
    ours, theirs = first.network.state_dict(), second.network.state_dict()
    assert all(torch.equal(value.half(), theirs[name].half()) for name, value in ours.items())


@pytest.mark.slow
def test_it_learns_and_draws_what_it_found(tmp_path: Path) -> None:
    trained = stage(36)
    losses = [trained.step(index)["loss"] for index in range(36)]
    assert np.mean(losses[-6:]) < 0.8 * np.mean(losses[:6])
    measures = trained.validate(tmp_path)
    assert measures["iou_skin"] > 0.4 and "seen_mean" in measures
    assert (tmp_path / "parser.png").exists()


@pytest.mark.slow
def test_it_resumes_exactly(tmp_path: Path) -> None:
    def train(name: str, stop: int, *, resume: bool = False) -> dict[str, torch.Tensor]:
        run(stage(4), LoopOptions(stop, save_every=1), tmp_path / name, resume=resume, say=say_nothing)
        return load_file(tmp_path / name / FACE_PARSER_FILE)

    whole = train("whole", 4)
    train("parts", 2)
    resumed = train("parts", 4, resume=True)
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


def test_hand_labels_are_drawn_and_gaps_are_unknown() -> None:
    assert sum(name.startswith("generated-") for name in hand_labelled()) == 30
    assert len(hand_labelled()) == 60
    # the outlines of her hair and her face do not quite meet
    labels = read_hand_labels("mask_337", landmarks_at({152: (0.5, 0.86)}))
    assert labels is not None and read_hand_labels("nobody", landmarks_at({})) is None
    places = {(64, 44): "skin", (14, 64): "hair", (10, 10): "background", (76, 98): "ears", (114, 64): "neck"}
    assert {place: CLASSES[labels[place]] for place in places} == places
    assert 0 < (labels == UNKNOWN).mean() < 0.02
