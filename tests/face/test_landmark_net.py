"""The landmark net by itself, and the faces that are followed with it, against MediaPipe's whole landmarker."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rigid.arrays import Pixels
from rigid.face import detector, landmark_net, task_nets
from rigid.face.alignment import FaceLandmarker, ffhq_transform
from rigid.face.detector import FaceDetector
from rigid.face.faces import Face
from rigid.face.followed_faces import PATIENCE, SURE, FollowedFaces, distance
from rigid.face.landmark_net import LandmarkNet, Seen, is_steady, region, region_of
from rigid.face.landmarker import open_faces
from rigid.face.landmarks import N_LANDMARKS
from rigid.face.mediapipe_landmarker import MediaPipeFaces
from rigid.face.views import View
from rigid.geometry import apply, glance, resample, rotate, similarity
from rigid.models.engine_cache import EngineKey
from rigid.models.openvino_core import compile_kept
from tests.face.test_alignment import placed


@pytest.fixture(scope="module")
def true_face(portrait: Pixels, model_path: Path) -> Face:
    """As MediaPipe's FaceLandmarker sees it."""
    whole = MediaPipeFaces(model_path, blendshapes=False, pose=False)
    (face,) = whole.look(portrait, View.of_frame(512, 512), None)
    whole.close()
    return face


@pytest.fixture(scope="module")
def net(model_path: Path) -> LandmarkNet:
    return LandmarkNet(model_path)


@pytest.fixture
def landmarker(model_path: Path) -> Iterator[FaceLandmarker]:
    made = FaceLandmarker(model_path)
    yield made
    made.close()


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[View]:
    """The views that the detector was asked to search."""
    asked: list[View] = []
    detect = FaceDetector.detect

    def noted(self: FaceDetector, frame: Pixels, view: View) -> list[View]:
        asked.append(view)
        return detect(self, frame, view)

    monkeypatch.setattr(FaceDetector, "detect", noted)
    return asked


def off(found: NDArray[np.float32], expected: NDArray[np.floating]) -> float:
    """Median distance of landmarks in pixels of the 256 crop."""
    transform = ffhq_transform(expected)
    return float(np.median(np.linalg.norm(apply(transform, found) - apply(transform, expected), axis=1)))


def oblong(angle: float) -> NDArray[np.float32]:
    """Landmarks that fill a box of 100 × 140 about (200, 300), turned by `angle`."""
    points = np.random.default_rng(0).uniform((-50, -70), (50, 70), (N_LANDMARKS, 2))
    points[:2] = [(-50, -70), (50, 70)]
    points[33], points[263] = (-40, -20), (40, -20)
    landmarks: NDArray[np.float32] = (rotate(points, angle) + np.array([200, 300])).astype(np.float32)
    return landmarks


@pytest.mark.parametrize("angle", [0.0, 0.8, -2.5])
def test_a_region_lies_round_the_landmarks_and_turns_with_them(angle: float) -> None:
    where = region_of(oblong(angle))
    assert where.side == pytest.approx(1.38 * 140, rel=1e-4) and where.angle == pytest.approx(angle, abs=1e-5)
    down = rotate(np.array([0.0, 0.025 * where.side]), angle)
    np.testing.assert_allclose(where.centre, down + np.array([200, 300]), atol=1e-3)
    np.testing.assert_allclose(apply(where.transform, np.array(where.centre)), (128, 128), atol=1e-6)


def test_regions_are_alike_until_they_move_grow_or_turn() -> None:
    middle = np.array([100.0, 100.0])
    here = region(middle, 100, 3.1)
    assert is_steady(here, region(middle + 5, 95, -3.1))
    assert not is_steady(here, region(middle + 7, 100, 3.1))
    assert not is_steady(here, region(middle, 115, 3.1)) and not is_steady(here, region(middle, 85, 3.1))
    assert not is_steady(here, region(middle, 100, 2.9))
    assert distance(here, region(middle + np.array([0, 50]), 200, 0.0)) == pytest.approx(0.25)


def test_a_glance_interpolates_where_little_is_shrunk() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (90, 100, 3), np.uint8)
    transform = similarity(np.array([50.0, 45.0]), 60.0, 0.3, (64, 64))
    np.testing.assert_array_equal(glance(frame, transform, (64, 64)), resample(frame, transform, (64, 64), 0))


@pytest.mark.parametrize("factor", [2.0, 3.7, 12.0])
def test_a_glance_at_much_averages_it(factor: float) -> None:
    """A ramp stays where it is, to half a pixel, and single pixels become their mean."""
    side = round(64 * factor)
    ramp = np.linspace(20, 220, side)[None, :, None]
    frame = np.broadcast_to(ramp, (side, side, 3)) + np.where(np.indices((side, side)).sum(0) % 2, 20, -20)[..., None]
    transform = similarity(np.array([side / 2, side / 2]), float(side), 0.0, (64, 64))
    seen = glance(frame.astype(np.uint8), transform, (64, 64))[4:-4, 4:-4].astype(float)
    expected = 20 + 200 * ((np.arange(64)[4:-4] + 0.5) * side / 64 - 0.5) / (side - 1)
    assert abs(seen.mean(0).mean(-1) - expected).max() < 1.5
    assert seen.std(0).max() < 12


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (700, 5)])
def test_a_glance_at_any_picture_is_black_outside_it(size: tuple[int, int]) -> None:
    frame = np.full((size[1], size[0], 3), 200, np.uint8)
    seen = glance(frame, similarity(np.array([0.0, 0.0]), 1000.0, 0.4, (64, 64)), (64, 64))
    assert seen.shape == (64, 64, 3) and not seen[:5, :5].any()
    assert not glance(frame, similarity(np.array([9000.0, 0.0]), 1000.0, 0.0, (64, 64)), (64, 64)).any()


def test_the_net_sees_what_mediapipe_sees(net: LandmarkNet, portrait: Pixels, true_face: Face) -> None:
    seen = net.see(portrait, region_of(true_face.landmarks))
    assert seen.steady and seen.score > SURE
    assert off(seen.landmarks, true_face.landmarks) < 1.0


def test_a_face_is_seen_in_sides_of_its_aligned_picture(net: LandmarkNet, portrait: Pixels, true_face: Face) -> None:
    seen = net.see_aligned(portrait)
    assert seen.steady and off(seen.landmarks * 512, true_face.landmarks) < 1.5


def test_the_net_says_where_no_face_is(net: LandmarkNet, true_face: Face) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (512, 512, 3), np.uint8)
    for frame in (np.full((512, 512, 3), 128, np.uint8), noise):
        seen = net.see(frame, region_of(true_face.landmarks))
        assert seen.score < 0 and not seen.steady


@pytest.mark.parametrize(("shift", "size", "turn"), [(0.2, 1.0, 0.0), (0.0, 1.4, 0.0), (0.0, 1.0, 0.4)])
def test_a_face_that_moved_is_looked_at_again(
    net: LandmarkNet, portrait: Pixels, true_face: Face, shift: float, size: float, turn: float
) -> None:
    own = region_of(true_face.landmarks)
    seen = net.see(
        portrait, region(np.array(own.centre) - np.array([shift * own.side, 0]), own.side * size, own.angle + turn)
    )
    assert seen.steady and off(seen.landmarks, true_face.landmarks) < 1.5


def test_a_followed_face_costs_two_searches_a_second_for_itself_and_for_others(
    landmarker: FaceLandmarker, portrait: Pixels, searches: list[View]
) -> None:
    counts = []
    for i in range(13):
        assert len(landmarker.detect(portrait, 200 * i)) == 1
        counts.append(len(searches))
    assert counts == [1] * 3 + [2] * 2 + [3] * 3 + [4] * 2 + [5] * 3
    whole, window = View.of_frame(512, 512).side, View.round_face(landmarker.detect(portrait, 2500)[0]).side
    assert [view.side for view in searches] == pytest.approx([whole, whole, window, whole, window], rel=0.05)


@pytest.mark.parametrize("step", [0.05, 0.2])
def test_it_keeps_up_with_fast_movements(
    landmarker: FaceLandmarker, portrait: Pixels, true_face: Face, step: float
) -> None:
    """`step`: face lengths a frame."""
    for i in range(10):
        middle = 150 + i * step * true_face.length * 0.5
        frame, transform = placed(portrait, (640, 480), 256, (middle, 240))
        (face,) = landmarker.detect(frame, 40 * i)
        assert off(face.landmarks, apply(transform, true_face.landmarks)) < 2.0


def test_after_a_cut_the_face_is_found_where_it_is_now(
    landmarker: FaceLandmarker, portrait: Pixels, true_face: Face
) -> None:
    for i, middle in enumerate([(150, 240), (150, 240), (480, 260)]):
        frame, transform = placed(portrait, (640, 480), 256, middle)
        (face,) = landmarker.detect(frame, 40 * i)
        assert off(face.landmarks, apply(transform, true_face.landmarks)) < 2.0


def test_one_who_is_followed_stays_followed_when_a_larger_face_comes(
    landmarker: FaceLandmarker, portrait: Pixels, true_face: Face
) -> None:
    alone, transform = placed(portrait, (800, 480), 200, (150, 240))
    both = alone.copy()
    both[:, 320:] = placed(portrait, (800, 480), 420, (560, 240))[0][:, 320:]
    expected = apply(transform, true_face.landmarks)
    for i, frame in enumerate([alone, alone, *[both] * 8]):
        assert off(landmarker.detect(frame, 300 * i)[0].landmarks, expected) < 2.0


def test_a_lost_face_is_told_at_once_and_found_again(landmarker: FaceLandmarker, portrait: Pixels) -> None:
    covered = portrait.copy()
    covered[:] = 110
    shown = [portrait, portrait, covered, covered, portrait, portrait]
    assert [len(landmarker.detect(frame, 40 * i)) for i, frame in enumerate(shown)] == [1, 1, 0, 0, 1, 1]


class Mistaken(LandmarkNet):
    """Takes a place for a face, once where there is a net that looks `then`."""

    def __init__(self, landmarks: NDArray[np.float32], score: float, then: LandmarkNet | None = None):
        self._mistake = Seen(landmarks, score, steady=True)
        self._then, self._asked = then, 0

    def see(self, frame: Pixels, where: View) -> Seen:
        self._asked += 1
        return self._mistake if self._then is None or self._asked == 1 else self._then.see(frame, where)


class Blind(FaceDetector):
    """Finds no face."""

    def __init__(self) -> None:
        """It needs no network."""

    def detect(self, frame: Pixels, view: View) -> list[View]:
        return []


def test_the_detector_says_when_the_net_has_strayed(
    model_path: Path, net: LandmarkNet, portrait: Pixels, true_face: Face
) -> None:
    """Close by, to the face; further off, to nothing, so that a search begins. Unasked it stays where it is."""
    frame, transform = placed(portrait, (640, 480), 200, (320, 240))
    own = apply(transform, true_face.landmarks).astype(np.float32)
    side = region_of(own).side
    near, far = ((own + np.array([share * side, 0])).astype(np.float32) for share in (0.2, 0.5))
    for strayed, score, doubt in ((near, 5.0, False), (far, 20.0, True), (far, 20.0, False)):
        faces = FollowedFaces(Mistaken(strayed, score, net), FaceDetector(model_path))
        face = faces.follow(frame, Face(own), doubt=doubt)
        if strayed is near:
            assert face is not None and off(face.landmarks, own) < 2.0
        else:
            assert (face is None) == doubt


@pytest.mark.parametrize(("score", "kept"), [(20.0, 8), (5.0, PATIENCE)])
def test_where_the_detector_misses_a_face_the_net_is_believed_if_it_is_sure(
    portrait: Pixels, true_face: Face, score: float, kept: int
) -> None:
    faces = FollowedFaces(Mistaken(true_face.landmarks, score), Blind())
    found = [faces.follow(portrait, true_face, doubt=True) for _ in range(8)]
    assert [face is not None for face in found] == [True] * kept + [False] * (8 - kept)


def test_networks_are_compiled_once_a_process(
    model_path: Path, portrait: Pixels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[str] = []

    def note(read: Callable[[], Any], settings: Any, plans: Any, key: EngineKey) -> Any:
        compiled.append(key.network.split()[1])
        return compile_kept(read, settings, plans, key)

    monkeypatch.setattr(task_nets, "compile_kept", note)
    path = Path(shutil.copy(model_path, tmp_path / "new.task"))
    for _ in range(2):
        landmarker = FaceLandmarker(path)
        assert len(landmarker.detect(portrait, 0)) == 1
        landmarker.close()
    assert sorted(compiled) == [detector.MEMBER, landmark_net.MEMBER]


def test_what_was_compiled_is_kept_and_sees_the_same(
    model_path: Path, portrait: Pixels, true_face: Face, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process has no network of a path that it did not read before; what was kept of the same file stands for it."""
    monkeypatch.setenv("RIGID_LIVE_CACHE", str(tmp_path))
    seen, written = [], set()
    for name in ("first.task", "second.task"):
        path = Path(shutil.copy(model_path, tmp_path / name))
        seen.append(LandmarkNet(path).see(portrait, region_of(true_face.landmarks)))
        written |= {(kept.name, kept.stat().st_mtime_ns) for kept in (tmp_path / "plans" / "landmarks").glob("*.plan")}
    np.testing.assert_array_equal(seen[0].landmarks, seen[1].landmarks)
    assert len(written) == 1, "it is compiled again"


def test_expression_and_pose_want_all_of_mediapipe(model_path: Path) -> None:
    kinds = []
    for blendshapes, pose in ((False, False), (True, False), (False, True)):
        opened = open_faces(model_path, blendshapes=blendshapes, pose=pose)
        kinds.append(type(opened))
        opened.close()
    assert kinds == [FollowedFaces, MediaPipeFaces, MediaPipeFaces]


def test_with_all_of_mediapipe_faces_are_found_and_followed_as_well(
    model_path: Path, portrait: Pixels, true_face: Face
) -> None:
    landmarker = FaceLandmarker(model_path, pose=True)
    frame, transform = placed(portrait, (640, 480), 150, (320, 240), math.pi / 4)
    found = [landmarker.detect(frame, 40 * i) for i in range(20)]
    landmarker.close()
    assert found[-1] and off(found[-1][0].landmarks, apply(transform, true_face.landmarks)) < 4.0


def test_sessions_on_several_threads_see_what_each_sees_alone(model_path: Path, portrait: Pixels) -> None:
    frames = [placed(portrait, (640, 480), 220 + 15 * i, (300 + 6 * i, 240))[0] for i in range(6)]

    def watch(order: int) -> NDArray[np.float32]:
        landmarker = FaceLandmarker(model_path)
        shown = frames[order:] + frames[:order]
        found = np.stack([landmarker.detect(frame, 40 * i)[0].landmarks for i, frame in enumerate(shown)])
        landmarker.close()
        return found

    alone = [watch(order) for order in range(4)]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(watch, range(4)))
    np.testing.assert_array_equal(alone, together)
