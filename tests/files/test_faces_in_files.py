"""Whose face is edited in a file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cli.faces import aim, aim_later, choose_faces
from cli.main import run
from rigid.arrays import Pixels
from rigid.assets.store import AssetStore
from rigid.face.group_tracker import FaceChoice
from rigid.files.edit import edit_file
from rigid.files.edit_job import EditJob
from rigid.files.face_list import find_faces
from rigid.stream.face_stream import StreamOptions
from rigid.stream.fading import Fade
from rigid.stream.group_stream import GroupStream
from tests.clips import frames_of, write_clip
from tests.face.test_alignment import generated_face
from tests.fakes import FakeRuntime
from tests.groups import SHAPE, People, Person, make_tracker, standing
from tests.worlds import Brighten, EditOn

AT_ONCE = StreamOptions(fade=Fade(seconds=0.0, frames=1))
STAMPS = [40 * number for number in range(8)]


def open_group() -> GroupStream:
    """Number 1 on the right, number 2 on the left."""
    people = People(Person(standing(60.0)), Person(standing(190.0), side=64))
    return GroupStream(FakeRuntime(), make_tracker(people), Brighten(), AT_ONCE)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "in.mp4"
    write_clip(path, STAMPS, size=(SHAPE[1], SHAPE[0]), picture=lambda number, size: np.full(SHAPE, 90, np.uint8))
    return path


def halves_changed(before: Path, after: Path) -> list[bool]:
    """Whether the left and the right half of the last frame differ by more than encoding does."""
    first, last = (frames_of(path)[-1][1].astype(int) for path in (before, after))
    return [bool(np.abs(first - last)[:, half].mean() > 2) for half in (slice(0, 125), slice(125, None))]


@pytest.mark.parametrize(
    ("edits", "expected"), [({"light": 1.0}, [True, True]), ({"2:light": 1.0}, [True, False]), ({}, [False, False])]
)
def test_a_film_has_all_faces_edited_or_one(
    film: Path, tmp_path: Path, edits: dict[str, float], expected: list[bool]
) -> None:
    report = edit_file(EditJob(film, tmp_path / "out.mp4", edits), open_group, "tiny")
    assert report.faces == [1, 2] and report.face_frames == len(STAMPS)
    assert halves_changed(film, tmp_path / "out.mp4") == expected


def test_a_number_that_nobody_had_is_told(film: Path, tmp_path: Path) -> None:
    report = edit_file(EditJob(film, tmp_path / "out.mp4", {"9:light": 1.0}), open_group, "tiny")
    assert report.warnings == [f"No face of {film} had the number 9; those there were: 1, 2."]


def test_the_command_edits_one_face_of_two(film: Path, tmp_path: Path, edit_on: EditOn) -> None:
    edit_on(open_group)
    out = tmp_path / "out.mp4"
    assert run(["edit", str(film), str(out), "--set", "light=1", "--only", "1", "--no-sign"]) == 0
    assert halves_changed(film, out) == [False, True]
    assert run(["edit", str(film), str(out), "--face", "2:light=1", "--no-sign"]) == 0
    assert halves_changed(film, out) == [True, False]


def test_options_for_one_face_are_edits_with_its_number() -> None:
    assert aim(["smile=1"], None) == ["smile=1"] and aim(["smile=1"], 2) == ["2:smile=1"]
    assert aim_later(["2.5:age=1"], None) == ["2.5:age=1"] and aim_later(["2.5:age=1"], 2) == ["2.5:2:age=1"]


@pytest.mark.parametrize(
    ("faces", "most", "left"), [("all", 4, False), ("left-to-right", 4, True), ("largest", 1, False)]
)
def test_the_options_say_whose_faces_are_edited(faces: str, most: int, left: bool) -> None:
    assert choose_faces(faces, 4) == FaceChoice(most, left, thorough=True)


@pytest.fixture(scope="module")
def two_portraits(store: AssetStore) -> Pixels:
    """A larger face on the right, a smaller one on the left."""
    face = np.asarray(Image.fromarray(generated_face(store.cache_dir)).resize((256, 256)))
    frame = np.full((400, 900, 3), 128, np.uint8)
    frame[100:300, 60:260] = np.asarray(Image.fromarray(face).resize((200, 200)))
    frame[60:316, 560:816] = face
    return frame


@pytest.mark.parametrize(("left_to_right", "first"), [(True, "left"), (False, "right")])
def test_who_has_which_number_is_listed_and_drawn(
    two_portraits: Pixels, store: AssetStore, tmp_path: Path, left_to_right: bool, first: str
) -> None:
    Image.fromarray(two_portraits).save(tmp_path / "in.png")
    model = store.file("face-landmarks", "face_landmarker.task")
    listed = find_faces(tmp_path / "in.png", model, FaceChoice(4, left_to_right, thorough=True))
    assert [face.number for face in listed] == [1, 2]
    assert ("left" if listed[0].box[2] < 450 else "right") == first
    assert all(face.frames == 1 for face in listed)


def test_the_command_lists_faces(two_portraits: Pixels, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(two_portraits).save(tmp_path / "in.png")
    words = ["edit", str(tmp_path / "in.png"), str(tmp_path / "list.png"), "--list-faces"]
    assert run(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["face", "1", "2"]
    assert run([*words, "--json"]) == 0
    assert [face["number"] for face in json.loads(capsys.readouterr().out)] == [1, 2]
    with Image.open(tmp_path / "list.png") as picture:
        assert picture.size == (512, 256)


def test_pages_are_numbered_as_their_edit_numbers_them(
    two_portraits: Pixels, store: AssetStore, tmp_path: Path
) -> None:
    page = Image.fromarray(two_portraits)
    page.save(tmp_path / "in.tiff", save_all=True, append_images=[page])
    listed = find_faces(tmp_path / "in.tiff", store.file("face-landmarks", "face_landmarker.task"), FaceChoice(4))
    assert [face.at for face in listed] == [0.0, 0.0, 10.0, 10.0], "pages have nothing to do with each other"
    assert [face.number for face in listed] == [1, 2, 3, 4]


@pytest.mark.parametrize(("shown", "target"), [("no face", "list.png"), ("must end in one of", "list.txt")])
def test_what_cannot_be_listed_is_told_in_one_sentence(
    two_portraits: Pixels, tmp_path: Path, capsys: pytest.CaptureFixture[str], shown: str, target: str
) -> None:
    picture = two_portraits if "end in" in shown else np.full((64, 64, 3), 90, np.uint8)
    Image.fromarray(picture).save(tmp_path / "in.png")
    assert run(["edit", str(tmp_path / "in.png"), str(tmp_path / target), "--list-faces"]) == 2
    assert shown in capsys.readouterr().err.lower()
