"""Alignment: geometry on drawn pictures, the landmarker on a real clip or, where there is none, a generated face."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from rigid.arrays import Pixels
from rigid.assets.store import AssetStore
from rigid.face.alignment import Face, FaceLandmarker, FaceTracker, choose_face, crop, ffhq_transform
from rigid.face.landmarks import LEFT_EYE, MOUTH_CORNERS, N_LANDMARKS, RIGHT_EYE
from rigid.face.views import View, search_views, square_views
from rigid.geometry import apply, inverse, scale_of, similarity

CLIP = "LivePortrait_d0.mp4"


def face_points(
    left: tuple[float, float], right: tuple[float, float], mouth: tuple[float, float]
) -> NDArray[np.float32]:
    """Landmarks (478, 2) of which only the eyes and the mouth's corners are where they should be."""
    points = np.zeros((N_LANDMARKS, 2), np.float32)
    points[LEFT_EYE], points[RIGHT_EYE] = left, right
    points[MOUTH_CORNERS] = np.array([(-20, 0), (20, 0)]) + mouth
    return points


def square_face(centre: tuple[float, float], side: float) -> Face:
    """A face whose landmarks fill a square."""
    axis = np.linspace(-side / 2, side / 2, N_LANDMARKS)
    return Face((np.stack((axis, np.roll(axis, 7)), -1) + centre).astype(np.float32))


def test_the_crop_follows_the_recipe_of_ffhq() -> None:
    """Eyes 60 apart and 64 above the mouth: half side max(2.0 · 60, 1.8 · 64) = 120, centre 6.4 below the eyes."""
    transform = ffhq_transform(face_points((170, 100), (230, 100), (200, 164)), 256)
    quad = apply(inverse(transform), np.array([(0.0, 0.0), (256.0, 256.0)]))
    np.testing.assert_allclose(quad, [(80, -13.6), (320, 226.4)], atol=1e-4)


@pytest.mark.parametrize("angle", [0.3, -1.2, 3.0])
def test_the_crop_turns_with_the_head(angle: float) -> None:
    points = face_points((170, 100), (230, 100), (200, 170))
    turned = apply(similarity(np.zeros(2), 100.0, -angle, (50, 50)), points)
    expected = apply(ffhq_transform(points), points)
    np.testing.assert_allclose(apply(ffhq_transform(turned), turned)[LEFT_EYE], expected[LEFT_EYE], atol=1e-3)


def test_landmarks_in_one_point_do_not_divide_by_zero() -> None:
    assert np.isfinite(ffhq_transform(np.full((N_LANDMARKS, 2), 5.0))).all()


def test_cropping_one_to_one_copies_the_pixels() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (80, 90, 3), np.uint8)
    transform = similarity(np.array([42.0, 38.0]), 64.0, 0.0, (64, 64))
    np.testing.assert_array_equal(crop(frame, transform, 64), frame[6:70, 10:74])


def test_half_size_averages_pixel_pairs() -> None:
    """The half-pixel convention: output pixel 0 is the mean of input pixels 0 and 1."""
    frame = np.repeat(np.arange(128, dtype=np.uint8)[None, :, None], 128, 0).repeat(3, 2)
    half = crop(frame, similarity(np.array([64.0, 64.0]), 128.0, 0.0, (64, 64)), 64)
    np.testing.assert_allclose(half[32, :, 0], 2 * np.arange(64) + 0.5, atol=0.5)


@pytest.mark.parametrize("factor", [2.0, 3.7, 12.0])
def test_large_faces_do_not_alias(factor: float) -> None:
    """A checkerboard of single pixels becomes its mean."""
    side = round(64 * factor)
    frame = (np.indices((side, side)).sum(0) % 2 * 255).astype(np.uint8)[..., None].repeat(3, 2)
    small = crop(frame, similarity(np.array([side / 2, side / 2]), float(side), 0.2, (64, 64)), 64)
    assert abs(float(small.mean()) - 127.5) < 3
    assert small[8:-8, 8:-8].std() < 12


def test_beyond_the_border_the_picture_is_reflected() -> None:
    frame = np.random.default_rng(1).integers(0, 256, (200, 200, 3), np.uint8)
    shown = crop(frame, similarity(np.array([0.0, 100.0]), 64.0, 0.0, (64, 64)), 64)
    np.testing.assert_array_equal(shown[:, :32], shown[:, :31:-1])
    shrunk = crop(
        cv2.GaussianBlur(frame, (0, 0), 4).astype(np.uint8),
        similarity(np.array([0.0, 100.0]), 160.0, 0.0, (64, 64)),
        64,
    )
    np.testing.assert_allclose(shrunk[:, :32], shrunk[:, :31:-1].astype(float), atol=3)


def test_the_face_nearest_to_the_last_else_the_largest() -> None:
    small, large = square_face((50, 50), 20), square_face((150, 50), 60)
    assert choose_face([], small) is None
    assert choose_face([small, large], None) is large
    assert choose_face([large, small], square_face((60, 50), 40)) is small


class ScriptedFinder:
    """Finds, frame by frame, the faces it was given."""

    def __init__(self, script: list[list[Face]]):
        self.script = script
        self.others = 0
        self.closed = False

    def detect(self, frame: Pixels, timestamp_ms: int) -> list[Face]:
        return self.script.pop(0)

    def close(self) -> None:
        self.closed = True


BLANK = np.zeros((100, 200, 3), np.uint8)


def test_the_tracker_stays_with_its_face_when_a_larger_one_comes() -> None:
    ours, other = square_face((50, 50), 40), square_face((150, 50), 90)
    tracker = FaceTracker(ScriptedFinder([[ours], [other, ours], [], [other, ours], [other]]))
    seen = [tracker.track(BLANK, i / 30) for i in range(5)]
    assert [None if found is None else (found.face is ours, found.new) for found in seen] == [
        (True, True),
        (True, False),
        None,
        (True, False),
        (False, True),
    ]


def test_a_face_long_gone_is_forgotten() -> None:
    ours, other = square_face((50, 50), 40), square_face((150, 50), 90)
    tracker = FaceTracker(ScriptedFinder([[ours], [], [other, ours]]))
    tracker.track(BLANK, 0.0)
    assert tracker.track(BLANK, 1.0) is None
    found = tracker.track(BLANK, 5.0)
    assert found is not None and found.face is other and found.new


def test_the_tracker_smooths_and_closes_its_finder() -> None:
    finder = ScriptedFinder([[square_face((50, 50), 40)], [square_face((50.4, 50), 40)]])
    tracker = FaceTracker(finder, size=64)
    tracker.track(BLANK, 0.0)
    found = tracker.track(BLANK, 1 / 30)
    assert found is not None
    moved = found.landmarks.mean(0)[0] - 50
    assert 0 < moved < 0.3
    np.testing.assert_allclose(found.landmarks_in_crop, apply(found.transform, found.landmarks), atol=1e-4)
    tracker.close()
    assert finder.closed


@pytest.mark.parametrize(("width", "height"), [(64, 64), (640, 360), (360, 640), (3840, 2160)])
def test_the_search_covers_every_place_at_every_size(width: int, height: int) -> None:
    views = search_views(width, height)
    assert len(views) < 80
    places = np.random.default_rng(0).uniform(0, 1, (50, 2)) * (width, height)
    smallest = min(view.side for view in views)
    tiles = [view for view in views if view.side == smallest]
    for place in places:
        seen = [apply(view.transform, place) / view.size for view in tiles]
        assert any((point >= 0).all() and (point <= 1).all() for point in seen)
    assert all(max(view.size) <= 640 for view in views)


def test_a_window_in_the_corner_shows_that_corner_only() -> None:
    frame = np.arange(200 * 300 * 3, dtype=np.uint32).astype(np.uint8).reshape(200, 300, 3)
    view = View.of_window((64.0, 64.0), 128.0, 0.0)
    assert np.array_equal(view.transform, np.eye(2, 3))
    assert np.array_equal(view.picture(frame), frame[:128, :128])


@pytest.mark.parametrize(("width", "height"), [(640, 480), (480, 640), (1280, 480), (480, 480)])
def test_squares_cover_the_frame(width: int, height: int) -> None:
    views = square_views(width, height)
    side = min(width, height)
    for x, y in ((1, 1), (width - 1, height - 1), (width / 2, height / 2)):
        assert any(max(abs(view.centre[0] - x), abs(view.centre[1] - y)) <= side / 2 for view in views)


def test_a_window_stands_a_rolled_face_upright() -> None:
    points = face_points((100, 100), (100, 140), (70, 120))
    points[points.sum(1) == 0] = (90, 120)
    view = View.round_face(Face(points))
    left, right = (apply(view.transform, points[eye].mean(0)) for eye in (LEFT_EYE, RIGHT_EYE))
    assert left[1] == pytest.approx(right[1], abs=1e-3) and left[0] < right[0]


@lru_cache(maxsize=1)
def generated_face(store_folder: Path) -> Pixels:
    """A face rendered by the fetched generator, uint8 (512, 512, 3)."""
    import torch

    from rigid.models.build import build_mapping, build_teacher

    store = AssetStore(store_folder)
    with torch.no_grad():
        mapping = build_mapping(store)
        codes = mapping(torch.randn(256, 512, generator=torch.Generator().manual_seed(3)))
        code = codes.mean(0) + 0.6 * (codes[5] - codes.mean(0))
        teacher = build_teacher(store)
        picture = teacher(code.expand(1, teacher.n_codes, 512))[0].permute(1, 2, 0).numpy()
    levels = ((picture + 1) * 127.5).clip(0, 255).astype(np.uint8)
    face: Pixels = cv2.resize(levels, (512, 512), interpolation=cv2.INTER_AREA).astype(np.uint8)
    return face


@pytest.fixture(scope="module")
def portrait(store: AssetStore, data_dir: Path | None) -> Pixels:
    """One frontal face in a square picture, uint8 (512, 512, 3)."""
    if data_dir is None:
        return generated_face(store.cache_dir)
    with av.open(str(data_dir / "clips" / CLIP)) as container:
        frame: Pixels = next(container.decode(video=0)).to_ndarray(format="rgb24").astype(np.uint8)
    return frame


@pytest.fixture
def landmarker(model_path: Path) -> Iterator[FaceLandmarker]:
    made = FaceLandmarker(model_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def true_landmarks(portrait: Pixels, model_path: Path) -> NDArray[np.float32]:
    """Those of `portrait`, at its own size."""
    made = FaceLandmarker(model_path)
    (face,) = made.detect(portrait, 0)
    made.close()
    return face.landmarks


def placed(
    portrait: Pixels, size: tuple[int, int], side: float, centre: tuple[float, float], roll: float = 0.0
) -> tuple[Pixels, NDArray[np.float64]]:
    """A grey frame of `size` (width, height) with the portrait in it, and the transform portrait → frame."""
    scale = side / portrait.shape[0]
    cos, sin = scale * math.cos(roll), scale * math.sin(roll)
    linear = np.array([[cos, -sin], [sin, cos]])
    middle = np.array(portrait.shape[:2]) / 2
    transform = np.column_stack((linear, np.array(centre) - linear @ middle))
    small = cv2.resize(portrait, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else portrait
    moved = transform.copy()
    moved[:, :2] *= portrait.shape[0] / small.shape[0]
    moved[:, 2] += moved[:, :2] @ (0.5, 0.5) - 0.5
    frame = cv2.warpAffine(small, moved, size, borderValue=(120, 120, 120))
    return frame.astype(np.uint8), transform


@pytest.mark.parametrize(
    ("size", "side", "centre", "roll"),
    [
        ((64, 64), 64, (32, 32), 0.0),
        ((640, 480), 400, (320, 240), 0.0),
        ((480, 640), 150, (120, 500), 0.0),
        ((1280, 720), 200, (1100, 200), 0.0),
        ((3840, 2160), 900, (2900, 1400), 0.0),
        ((640, 480), 300, (320, 240), 0.9),
        ((640, 480), 300, (320, 240), -math.pi / 2),
        ((640, 480), 420, (60, 240), 0.0),
    ],
    ids=["64px", "webcam", "portrait", "small", "4k", "rolled", "lying", "half-out"],
)
def test_faces_of_any_size_place_and_roll_are_found_and_followed(
    landmarker: FaceLandmarker,
    portrait: Pixels,
    true_landmarks: NDArray[np.float32],
    size: tuple[int, int],
    side: float,
    centre: tuple[float, float],
    roll: float,
) -> None:
    frame, transform = placed(portrait, size, side, centre, roll)
    found: list[list[Face]] = [landmarker.detect(frame, 33 * i) for i in range(24)]
    assert found[-1] and found[-2], "not found within 0.8 s"
    expected = apply(transform, true_landmarks)
    seen = ((expected >= 0) & (expected < size)).all(1)
    error = np.linalg.norm(found[-1][0].landmarks - expected, axis=1)[seen]
    # 2 % of the portrait's side is 5 pixels of a 256 crop or less
    assert np.median(error) < max(1.0, 0.02 * side)


def test_without_a_face_there_is_none_and_later_there_is(landmarker: FaceLandmarker, portrait: Pixels) -> None:
    blank = np.full_like(portrait, 90)
    assert [landmarker.detect(blank, 33 * i) for i in range(3)] == [[], [], []]
    assert len(landmarker.detect(portrait, 99)) == 1
    assert landmarker.detect(blank, 132) == []


def test_clocks_that_stand_still_or_run_backwards_do_no_harm(landmarker: FaceLandmarker, portrait: Pixels) -> None:
    assert [len(landmarker.detect(portrait, stamp)) for stamp in (500, 500, 20, 0, 600)] == [1] * 5


def test_the_frame_size_may_change_midstream(landmarker: FaceLandmarker, portrait: Pixels) -> None:
    landmarker.detect(portrait, 0)
    frame, transform = placed(portrait, (640, 360), 300, (320, 180))
    (face,) = landmarker.detect(frame, 33)
    assert 0.9 < face.length / (landmarker.detect(portrait, 66)[0].length * scale_of(transform)) < 1.1


@pytest.mark.parametrize("shape", [(0, 10, 3), (10, 10), (10, 10, 4)])
def test_what_is_no_frame_is_refused(landmarker: FaceLandmarker, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="uint8 RGB"):
        landmarker.detect(np.zeros(shape, np.uint8), 0)


def test_expression_and_pose_come_when_asked_for(
    model_path: Path, portrait: Pixels, landmarker: FaceLandmarker
) -> None:
    plain = landmarker.detect(portrait, 0)[0]
    assert plain.blendshapes == {} and plain.pose is None
    full = FaceLandmarker(model_path, blendshapes=True, pose=True)
    rolled, _ = placed(portrait, (512, 512), 400, (256, 256), 0.7)
    upright, turned = full.detect(portrait, 0)[0], None
    for i in range(10):
        turned = full.detect(rolled, 33 * i + 33)[0]
    full.close()
    assert len(upright.blendshapes) == 52 and 0 <= upright.blendshapes["mouthSmileLeft"] <= 1
    assert upright.pose is not None and turned is not None and turned.pose is not None
    angles = [math.atan2(-face.pose[1, 0], face.pose[0, 0]) for face in (upright, turned) if face.pose is not None]
    assert angles[1] - angles[0] == pytest.approx(0.7, abs=0.12)


def test_closing_twice_is_safe(model_path: Path) -> None:
    made = FaceLandmarker(model_path)
    made.close()
    made.close()


def test_crops_agree_with_the_aligned_footage(model_path: Path, data_dir: Path | None, portrait: Pixels) -> None:
    """Against crops made elsewhere by the same recipe; without footage, against one's own crop of a moved face."""
    tracker = FaceTracker(FaceLandmarker(model_path))
    if data_dir is None:
        frames = [portrait, placed(portrait, (700, 600), 400, (370, 280), 0.2)[0]]
        (first, second) = (crop(frame, _tracked(tracker, frame, i)) for i, frame in enumerate(frames))
        shifts = [_shift(first, second)]
    else:
        pairs = zip(_frames(data_dir / "clips" / CLIP, 20), _frames(data_dir / "aligned" / CLIP, 20), strict=True)
        shifts = [
            _shift(crop(frame, _tracked(tracker, frame, i / 25)), aligned) for i, (frame, aligned) in enumerate(pairs)
        ]
    tracker.close()
    assert np.abs(np.median(shifts, axis=0)).max() < 1.0
    assert np.abs(shifts).max() < 2.5


def _tracked(tracker: FaceTracker, frame: Pixels, timestamp: float) -> NDArray[np.float64]:
    found = tracker.track(frame, timestamp)
    assert found is not None
    return found.transform


def _frames(path: Path, count: int) -> Iterator[Pixels]:
    with av.open(str(path)) as container:
        for _, frame in zip(range(count), container.decode(video=0), strict=False):
            yield frame.to_ndarray(format="rgb24").astype(np.uint8)


def _shift(a: Pixels, b: Pixels) -> tuple[float, float]:
    """By how many pixels the middle of one crop is displaced in the other."""
    window = np.outer(np.hanning(256), np.hanning(256))
    greys = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float64) for picture in (a, b)]
    (dx, dy), _ = cv2.phaseCorrelate(greys[0], greys[1], window)
    return dx, dy
