"""What whoever is before the camera can mend, told from where a face lies, and of most pictures only."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from av import VideoFrame

from rigid.arrays import Pixels
from rigid.stream.frame_record import FrameRecord, Sighting
from server.frames.advice import ADVICE_WINDOW, Advice, advice_for
from tests.server.world import PaintedResult, PaintingStream, running


def place(box: tuple[float, float, float, float] = (100, 60, 220, 200), faces: int = 1) -> Sighting:
    """A face that fills `box`."""
    points, crop = np.reshape(np.array(box, np.float32), (2, 2)), np.zeros((4, 4, 3), np.uint8)
    return Sighting(np.eye(2, 3), points, crop, (240, 320, 3), faces)


def grey(level: int) -> VideoFrame:
    return VideoFrame.from_ndarray(np.full((240, 320, 3), level, np.uint8), format="rgb24").reformat(format="yuv420p")


@pytest.mark.parametrize(
    ("level", "face", "told"),
    [
        (128, place(), set()),
        (128, None, set()),
        (20, None, {"too_dark"}),
        (20, place(), {"too_dark"}),
        (128, place((-30, 60, 90, 200)), {"face_cut_off"}),
        (128, place((220, 60, 340, 200)), {"face_cut_off"}),
        (128, place((100, -20, 220, 120)), {"face_cut_off"}),
        (128, place((100, 150, 220, 290)), {"face_cut_off"}),
        (128, place((-3, 60, 117, 200)), set()),
        (128, place(faces=2), {"several_faces"}),
        (128, place((100, 60, 150, 120)), {"too_small"}),
        (20, place((-30, 60, 20, 120), 2), {"face_cut_off", "several_faces", "too_dark", "too_small"}),
    ],
)
def test_what_is_told_of_a_picture(level: int, face: Sighting | None, told: set[str]) -> None:
    assert advice_for(grey(level), face) == told


def test_only_what_lasts_is_told() -> None:
    advice = Advice()
    for number in range(ADVICE_WINDOW):
        advice.add({"face_covered"} if number % 3 == 0 else {"too_dark", "face_cut_off"})
    assert advice.now == ["face_cut_off", "too_dark"]
    for _ in range(ADVICE_WINDOW):
        advice.add(())
    assert advice.now == []


def test_a_sighting_knows_its_place_in_the_frame() -> None:
    transform = np.array([[0.0, 2.0, -20.0], [-2.0, 0.0, 300.0]])
    frame = np.array([[100.0, 60.0], [140.0, 90.0]])
    landmarks = (frame @ transform[:, :2].T + transform[:, 2]).astype(np.float32)
    sighting = Sighting(transform, landmarks, np.zeros((4, 4, 3), np.uint8), (240, 320, 3), 2)
    assert sighting.box == pytest.approx((100, 60, 140, 90))


class CoveredStream(PaintingStream):
    """A small face with something before it, beside another one."""

    def step(self, *given: object) -> PaintedResult:
        done = super().step(*given)  # type: ignore[arg-type]
        return PaintedResult(done.frame, covered=0.5)

    def locate(self, frame: Pixels, timestamp: float) -> FrameRecord:
        return replace(super().locate(frame, timestamp), sighting=place((100, 60, 150, 120), 2))


async def test_a_session_tells_what_its_viewer_can_mend() -> None:
    async with running(make_stream=CoveredStream) as world:
        await world.ready()
        async with world.viewer() as viewer:
            told = ["face_covered", "several_faces", "too_small"]
            await viewer.until(lambda: bool(viewer.said("stats")) and viewer.said("stats")[-1]["advice"] == told)
            assert (await world.http.get(f"{viewer.url}/stats")).json()["advice"] == told
            text = (await world.http.get("/metrics")).text
            assert all(f'rigid_live_frames_advised_total{{advice="{code}"}}' in text for code in told)
