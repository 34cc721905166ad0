"""For whom it works, in the tiny world: groups, balance, tables, what is kept, and what bad input gets."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cli.main import run
from rigid.arrays import Array, Pixels
from rigid.discovery.observe import Seen
from rigid.discovery.regions import CHEEKS, PLAIN_SKIN
from rigid.evaluation.fairness import FairnessJob, FairnessTools, measure_fairness
from rigid.evaluation.fairness_report import LEAST_PEOPLE, Person, compare, shortfalls
from rigid.evaluation.generated import Generated
from rigid.evaluation.groups import AXES, TONE_GROUPS, Balance, monk_tone, name_groups, tone_group
from rigid.evaluation.measure import Meters
from rigid.models.mobile_stylegan import MappingNetwork
from rigid.training.occluders.hands import MONK_TONES
from tests.evaluation.conftest import InTinyWorld
from tests.evaluation.test_sheet import library
from tests.evaluation.world import PixelDistance, embed, make_clip
from tests.fakes import TINY, FakeRuntime
from tests.networks import randomise
from tests.worlds import FixedTracker, landmarks_in_crop

COMMAND = "rigid-live evaluate --fairness --out out"


class Labels:
    """Measures `light`, the mean grey level, and takes bright faces for old and red ones for male."""

    measures: tuple[str, ...] = ("light", "age", "male", "glasses")
    version = "1"

    def observe(self, images: Pixels) -> Seen:
        return {"landmarks": np.stack([face_points(image.shape[0]) for image in images])}

    def measure(self, images: Pixels, seen: Seen) -> Array:
        light = images.mean((1, 2, 3)) / 255
        red = images[..., 0].mean((1, 2)) - images[..., 1].mean((1, 2))
        return np.stack([light, 80 * light, red, np.zeros_like(light)], 1).astype(np.float32)

    def __call__(self, images: Pixels) -> Array:
        return self.measure(images, self.observe(images))


def face_points(size: int) -> Array:
    """A face whose cheeks and forehead lie apart."""
    points = landmarks_in_crop(size)
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], np.float32)
    for part, centre in zip((*CHEEKS, PLAIN_SKIN[0]), ((0.38, 0.55), (0.62, 0.55), (0.5, 0.28)), strict=True):
        shape = np.resize(corners, (len(part), 2))
        points[list(part)] = size * (np.array(centre) + 0.05 * shape)
    return points.astype(np.float32)


def tools(runtime: FakeRuntime | None = None, said: list[str] | None = None) -> FairnessTools:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        mapping = MappingNetwork(TINY.code_size)
        for module in mapping.modules():
            randomise(module)
    generated = Generated(runtime or FakeRuntime(), library(), mapping.eval(), torch.zeros(TINY.code_size))
    labels = Labels()
    meters = Meters(PixelDistance(), embed, labels)
    return FairnessTools(generated, meters, labels, FixedTracker, {}, (said if said is not None else []).append)


def job(tmp_path: Path, **changes: Any) -> FairnessJob:
    return replace(FairnessJob(tmp_path / "out", {"light": 0.5}, tmp_path / "clips", faces=3, frames=3), **changes)


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    folder = tmp_path / "clips"
    folder.mkdir()
    for name in ("one", "two"):
        make_clip(folder / f"{name}.mp4", frames=4)
    return folder


def test_every_published_tone_is_nearest_to_itself() -> None:
    points = face_points(64)
    for number, tone in enumerate(MONK_TONES, 1):
        face = np.full((64, 64, 3), tone.astype(np.uint8), np.uint8)
        assert monk_tone(face, points) == number
    assert [tone_group(tone) for tone in (1, 4, 5, 6, 7, 10)] == ["1-4", "1-4", "5", "6", "7-10", "7-10"]


def test_a_tone_is_measured_at_cheeks_and_forehead_alone() -> None:
    points = face_points(64)
    face = np.zeros((64, 64, 3), np.uint8)
    for part in (*CHEEKS, PLAIN_SKIN[0]):
        (left, top), (right, bottom) = np.floor(points[list(part)].min(0)), np.ceil(points[list(part)].max(0))
        face[int(top) : int(bottom) + 1, int(left) : int(right) + 1] = MONK_TONES[2]
    assert monk_tone(face, points) == 3


def test_groups_are_named_by_what_is_measured() -> None:
    assert name_groups(8, {"age": 50.0, "male": -0.1, "glasses": 0.6}) == {
        "skin tone": "7-10",
        "apparent age": "50 and over",
        "gender presentation": "feminine",
        "glasses": "glasses",
    }
    assert name_groups(1, {"age": 29.9, "male": 2.0, "glasses": 0.1})["apparent age"] == "under 30"


def test_balance_takes_as_many_of_each_tone_and_gender() -> None:
    balance = Balance(16)
    light = name_groups(2, {"age": 20.0, "male": 1.0, "glasses": 0.0})
    assert [balance.takes(light) for _ in range(3)] == [True, True, False]
    for tone in (1, 5, 6, 10):
        for male in (-1.0, 1.0):
            while balance.takes(name_groups(tone, {"age": 20.0, "male": male, "glasses": 0.0})):
                pass
    assert balance.full


def person(name: str, tone: str, identity: float, strength: float = 1.0) -> Person:
    groups = {axis: names[0] for axis, names in AXES.items()} | {"skin tone": tone}
    return Person(name, groups, identity, {"smile": strength, "age": math.nan}, 0.1, 1.0)


def test_the_worst_group_is_told_beside_the_mean_of_everybody() -> None:
    light = [person(f"light {i}", TONE_GROUPS[0], 1.0, 3.0) for i in range(3)]
    dark = [person(f"dark {i}", TONE_GROUPS[3], 0.8, 1.0) for i in range(3)]
    lone = [person("lone", TONE_GROUPS[1], 0.0)]
    table = compare([*light, *dark])
    assert table["everybody"]["all"]["people"] == 6 and table["skin tone"]["7-10"]["people"] == 3
    assert table["skin tone"]["1-4"]["strength"] == pytest.approx(1.5)
    worst = shortfalls(table)["skin tone"]
    assert worst["identity"] == pytest.approx(1 - 0.8 / 0.9) and worst["strength"] == pytest.approx(0.5)
    assert table["skin tone"]["1-4"]["identity_error"] == pytest.approx(0)
    # of three of 1 and three of 0.8: the deviation, 0.1095, over the root of six
    assert table["everybody"]["all"]["identity_error"] == pytest.approx(0.0447, abs=1e-4)
    assert worst["lpips"] == pytest.approx(0) and LEAST_PEOPLE == 3
    assert shortfalls(compare([*light, *lone]))["skin tone"]["identity"] < 0, "one person says nothing"


def test_generated_people_and_those_of_clips_are_measured_and_kept(tmp_path: Path, clips: Path) -> None:
    seen: list[int] = []
    first, again = FakeRuntime(), FakeRuntime()
    found = measure_fairness(job(tmp_path), tools(first), COMMAND, seen.append)
    report = json.loads((tmp_path / "out" / "fairness.json").read_text())
    assert [one["name"] for one in report["people"]["clips"]] == ["one", "two"]
    assert found.generated and seen[-1] == 5 and report["drawn"] == found.drawn >= len(found.generated)
    for people in (found.generated, found.clips):
        for one in people:
            assert 0 < one.identity <= 1 and one.lpips > 0 and one.strengths["light"] > 0
            assert set(one.groups) == set(AXES)
    table = (tmp_path / "out" / "fairness.md").read_text()
    assert "| skin tone | 1-4 |" in table and " ± " in table
    measure_fairness(job(tmp_path), tools(again), COMMAND)
    assert first.inverted > 0 and again.inverted == 0


def test_a_clip_without_a_face_is_left_out_and_named(tmp_path: Path, clips: Path) -> None:
    (clips / "one.mp4").write_bytes(b"no video")
    said: list[str] = []
    found = measure_fairness(job(tmp_path, faces=0), tools(said=said), COMMAND)
    assert [one.name for one in found.clips] == ["two"] and len(said) == 1 and said[0].startswith("one is left out: ")
    with pytest.raises(ValueError, match="Nobody could be measured"):
        measure_fairness(job(tmp_path, faces=0, names=["one"]), tools(), COMMAND)


def test_the_command_measures_generated_faces_alone(
    tmp_path: Path, in_tiny_world: InTinyWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    in_tiny_world(tools())
    out = tmp_path / "out"
    arguments = ["evaluate", "--fairness", "--out", str(out), "--engine", "torch", "--set", "light=0.5"]
    assert run([*arguments, "--faces", "2", "--frames", "3"]) == 0
    report = json.loads((out / "fairness.json").read_text())
    assert list(report["people"]) == ["generated"] and "--fairness --faces 2" in report["command"]
    assert "fairness.md: the tables" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--fairness", "--faces", "0"], "There is nobody to measure"),
        (["--fairness", "--set", "smile=0"], "Every edit needs a strength other than 0"),
        (["--fairness", "--videos", "none"], "There is no folder none"),
        (["--fairness", "--sheet"], "ask for one at a time"),
        (["--faces", "3"], "--faces goes with --fairness"),
        ([], "Which clips? Give --videos"),
    ],
)
def test_bad_options_are_one_sentence_and_status_2(
    tmp_path: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["evaluate", "--out", str(tmp_path / "out"), *arguments]) == 2
    message = capsys.readouterr().err
    assert message.startswith("Error: ") and said in message and message.count("\n") == 1
    assert not (tmp_path / "out").exists()
