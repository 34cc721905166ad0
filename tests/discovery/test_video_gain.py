"""How long an edit must be in video, in a world where a stream makes the face lighter and little else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from rigid.arrays import Array, Pixels
from rigid.discovery.footage import RUN_UP, Footage, Take, last_frame, take_clips
from rigid.discovery.statement import Statement, read_statements, write_statement
from rigid.discovery.video_gain import MOST_GAIN, RECIPE_OF, Gains, fit_folder, fit_gains, measure_reached, state_folder
from rigid.edits.attribute import Attribute
from rigid.edits.attribute_file import read_attribute, write_attribute
from rigid.edits.attribute_header import AttributeHeader
from rigid.edits.library import AttributeLibrary
from rigid.files.clips import Clip
from rigid.stream.face_stream import Tracker
from tests.clips import write_clip
from tests.fakes import TINY, FakeRuntime
from tests.worlds import FixedTracker, textured_frame

HELD_BACK = replace(TINY, edit_gain=1.25)
LIGHT = RECIPE_OF["light"]


class LightMeter:
    """Sees how light the middle of a picture is, and no face where it is too light."""

    measures: tuple[str, ...] = ("light",)

    def __init__(self, blinding: float = 2.0) -> None:
        self.blinding = blinding

    def __call__(self, images: Pixels) -> Array:
        values = images[:, 24:40, 24:40].reshape(len(images), -1, 1).mean(1).astype(np.float32) / 255
        return np.where(values > self.blinding, np.nan, values).astype(np.float32)


def footage(meter: LightMeter | None = None, runtime: FakeRuntime | None = None) -> Footage:
    tracker = FixedTracker()
    # soft enough for what inverts it: where that is wrong, less of a change is shown
    frames = [np.asarray(cv2.GaussianBlur(textured_frame(i), (0, 0), 16.0), np.uint8) for i in range(RUN_UP)]
    seconds = [i / 25 for i in range(RUN_UP)]
    faces = [face for frame, at in zip(frames, seconds, strict=True) if (face := tracker.track(frame, at))]
    return Footage.of([Take(frames, seconds, faces)], runtime or FakeRuntime(HELD_BACK), meter or LightMeter())


def lightening(length: float, target: float, name: str = "light") -> Attribute:
    direction = np.zeros((TINY.n_codes, TINY.code_size), np.float32)
    direction[: TINY.n_codes - TINY.n_shared_codes] = length
    return Attribute(name, name, "light", -1, 1, 0, "", "", direction, measure="light", target=target)


def written(folder: Path, attribute: Attribute) -> Path:
    header = AttributeHeader(
        attribute.name,
        "Light",
        "light",
        "by hand",
        1.0,
        tuple(range(TINY.n_codes)),
        measure="light",
        target=attribute.target,
        calibration={"generated": 0.12},
    )
    path = folder / f"{attribute.name}.safetensors"
    write_attribute(path, header, attribute.direction)
    return path


def test_what_a_stream_shows_is_measured_in_the_last_frame() -> None:
    seen = measure_reached(footage(), lightening(0.3, 0.1), LIGHT, 1.0)
    back = measure_reached(footage(), lightening(0.3, 0.1), LIGHT, -1.0)
    assert seen is not None and back is not None
    # two thirds of the codes move by 0.3 · 1.25 of [-1, 1]
    assert seen.change == pytest.approx(0.125, rel=0.25) and back.change == pytest.approx(-0.125, rel=0.25)
    assert (seen.faces, seen.lost) == (1, 0)


@pytest.mark.parametrize("length", [0.15, 0.45])
def test_the_gain_makes_up_for_what_a_stream_holds_back_or_adds(length: float) -> None:
    scene, attribute = footage(), lightening(length, 0.12)
    said: list[str] = []
    gain = fit_gains(scene, attribute, LIGHT, said.append).video
    assert (gain > 1) == (length < 0.3) and len(said) > 1
    seen = measure_reached(scene, replace(attribute, video_gain=gain), LIGHT, 1.0)
    assert seen is not None and seen.change == pytest.approx(0.12, rel=0.16)


def test_an_edit_that_is_right_already_keeps_its_length() -> None:
    scene, attribute = footage(), lightening(0.3, 0.1)
    seen = measure_reached(scene, attribute, LIGHT, 1.0)
    assert seen is not None
    assert fit_gains(scene, replace(attribute, target=seen.change * 1.1), LIGHT) == Gains()


def test_no_gain_goes_beyond_what_faces_bear() -> None:
    assert fit_gains(footage(), lightening(0.1, 0.12), LIGHT) == Gains(MOST_GAIN)
    # so little is to be seen of it that twice as long would not help
    assert fit_gains(footage(), lightening(0.02, 0.12), LIGHT) == Gains()
    before = float(footage().measures[0, 0])
    with pytest.raises(ValueError, match="loses faces"):
        fit_gains(footage(LightMeter(before + 0.01)), lightening(0.6, 0.12), LIGHT)


def ramp_footage() -> Footage:
    """Frames that grow lighter to the right, so that what is moved to the left makes the middle lighter."""
    tracker = FixedTracker()
    frames = [np.repeat(np.tile(np.arange(128, dtype=np.uint8), (96, 1))[..., None], 3, 2) for _ in range(RUN_UP)]
    seconds = [i / 25 for i in range(RUN_UP)]
    faces = [face for frame, at in zip(frames, seconds, strict=True) if (face := tracker.track(frame, at))]
    return Footage.of([Take(frames, seconds, faces)], FakeRuntime(HELD_BACK), LightMeter())


def leftward(share: float, group: str, target: float) -> Attribute:
    """Moves every landmark to the left by `share` of the crop, and makes the face no lighter by itself."""
    motion = np.zeros((2, 478, 2), np.float32)
    motion[0, :, 0], motion[1, :, 0] = -share, share
    return replace(lightening(1e-4, target), group=group, motion=motion)


def test_an_edit_of_the_shape_is_left_to_motion() -> None:
    scene, attribute = ramp_footage(), leftward(0.05, "shape", 0.01)
    gains = fit_gains(scene, attribute, LIGHT)
    assert gains.video == 0 and 0.5 < gains.motion < 1.5
    seen = measure_reached(scene, gains.of(attribute), LIGHT, 1.0)
    back = measure_reached(scene, gains.of(attribute), LIGHT, -1.0)
    assert seen is not None and back is not None
    assert seen.change == pytest.approx(0.01, rel=0.16) and back.change < -0.005


def test_motion_adds_what_an_expression_lacks() -> None:
    scene = ramp_footage()
    motion = leftward(0.05, "expression", 0.0).motion
    attribute = replace(lightening(0.06, 0.018), group="expression", motion=motion)
    gains = fit_gains(scene, attribute, LIGHT)
    assert gains.video == 1 and gains.motion > 0.1
    seen = measure_reached(scene, gains.of(attribute), LIGHT, 1.0)
    assert seen is not None and seen.change == pytest.approx(0.018, rel=0.16)
    enough = replace(attribute, target=reached_alone(scene, attribute))
    assert fit_gains(scene, enough, LIGHT) == Gains()


def test_motion_of_the_way_back_alone_is_neither_fitted_nor_lost() -> None:
    scene = ramp_footage()
    back = np.zeros((2, 478, 2), np.float32)
    back[1, :, 0] = 0.05
    attribute = replace(lightening(0.06, 0.018), group="expression", motion=back, motion_gain=1.5)
    assert fit_gains(scene, attribute, LIGHT) == replace(
        fit_gains(scene, replace(attribute, motion=None), LIGHT), motion=1.5
    )


def reached_alone(scene: Footage, attribute: Attribute) -> float:
    seen = measure_reached(scene, attribute, LIGHT, 1.0)
    assert seen is not None
    return seen.change


def test_files_get_their_gain_and_what_they_reach(tmp_path: Path) -> None:
    path = written(tmp_path, lightening(0.15, 0.12))
    statement = Statement("light", "light", 0.12, {"generated": 0.12}, {"generated": 5}, {"light": 1.0}, 0.9, 0.0, 0.0)
    write_statement(tmp_path / "statements" / "light.json", statement)
    scene = footage()
    fit_folder(tmp_path, (), scene)
    state_folder(tmp_path, ["light"], scene)
    header = read_attribute(path, n_codes=TINY.n_codes, code_size=TINY.code_size).header
    assert header.video_gain > 1.2
    assert header.calibration["generated"] == 0.12
    assert header.calibration["video"] == pytest.approx(0.12, rel=0.16)
    assert header.calibration["video_back"] < 0
    kept = read_statements(tmp_path / "statements")["light"]
    assert header.measured == {"video_faces": 1, "video_back_faces": 1}
    assert kept.reached == header.calibration and kept.faces == {"generated": 5, "video": 1, "video_back": 1}


def test_an_attribute_that_is_not_there_is_refused(tmp_path: Path) -> None:
    written(tmp_path, lightening(0.15, 0.12))
    with pytest.raises(ValueError, match="no calibrated attribute 'smile'; it has: light"):
        fit_folder(tmp_path, ["smile"], footage())


def test_an_edit_that_fails_is_not_measured() -> None:
    class Broken(FakeRuntime):
        def synthesize(self, codes: Array, noise: Array) -> Array:
            raise RuntimeError("the engine broke")

    one, scene = lightening(0.3, 0.1), footage()
    library = AttributeLibrary([one], n_codes=TINY.n_codes, code_size=TINY.code_size)
    with pytest.raises(ArithmeticError, match="the engine broke"):
        last_frame(scene.takes[0], Broken(), library, {"light": 1.0})


def test_takes_lie_evenly_in_a_clip_and_show_a_face_throughout(tmp_path: Path) -> None:
    clip = Clip("a", write_clip(tmp_path / "a.mp4"))
    blind = FixedTracker()
    blind.blind.add(1)
    trackers: list[Tracker] = [FixedTracker(), blind, FixedTracker()]
    takes = list(take_clips([clip], lambda: trackers.pop(0), 3))
    assert [len(take.frames) for take in takes] == [RUN_UP, RUN_UP]
    assert takes[0].seconds[0] < 0.1 and takes[1].seconds[0] > 0.2
