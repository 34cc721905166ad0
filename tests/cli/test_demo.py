"""`rigid-live demo`: the page's address and who opens it, and the film in its place."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import closing
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest

from cli.demo import SHOWN, SHOWN_LATER
from cli.main import run
from client import DEMO_FILM
from rigid.assets.store import AssetStore
from rigid.edits.library import load_library
from rigid.face.alignment import Face, FaceLandmarker
from rigid.files.timeline import parse_edit, parse_scheduled
from rigid.files.video_reader import Picture, VideoReader
from scripts.demo_film import FRAMES, LARGEST, SIDE
from server.config import ServerConfig
from tests.files.overlap import edit_alone, real_stream
from tests.worlds import EditOn, FixedTracker, make_stream

Opened = list[str]


@pytest.fixture
def opened(served: list[ServerConfig], monkeypatch: pytest.MonkeyPatch) -> Opened:
    """What is opened in a browser, by a server that is ready at once."""
    addresses: Opened = []
    monkeypatch.setattr("webbrowser.open", addresses.append)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("DISPLAY", ":0")
    return addresses


def test_opens_the_page_with_the_face(opened: Opened, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["demo", "--port", "0"]) == 0
    (address,) = opened
    assert address.startswith("http://127.0.0.1:") and address.endswith("/?source=demo")
    assert capsys.readouterr().out == f"{address}\n"


@pytest.mark.parametrize(("options", "screen"), [(["--no-browser"], ":0"), ([], None)])
def test_opens_nothing_unasked(
    options: list[str], screen: str | None, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    if screen is None:
        monkeypatch.delenv("DISPLAY")
    assert run(["demo", "--port", "0", *options]) == 0
    assert opened == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--engine", "steam"], "There is no engine 'steam'"),
        (["--set", "smile=1"], "--set goes with --out"),
        (["--out", "film.doc"], "film.doc"),
        (["--out", "film.mp4", "--set", "grin=1"], "grin"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["demo", *arguments]) == 2
    told = capsys.readouterr().err
    assert told.startswith("Error: ") and said in told and told.count("\n") == 1


def test_a_port_in_use_is_one_sentence_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert run(["demo", "--port", str(taken.getsockname()[1])]) == 2
    assert "choose another one with --port" in capsys.readouterr().err


@pytest.mark.slow
def test_writes_before_beside_after(tmp_path: Path, edit_on: EditOn) -> None:
    tracker = FixedTracker((SIDE / 2, SIDE / 2), SIDE / 2)
    edit_on(lambda: make_stream(tracker=tracker))
    target = tmp_path / "demo.mp4"
    assert run(["demo", "--out", str(target), "--set", "light=1"]) == 0
    with VideoReader(target) as reader:
        picture = next(item.image for item in reader if isinstance(item, Picture))
    assert picture.shape == (SIDE, 2 * SIDE, 3)
    changed = np.abs(picture[:, :SIDE].astype(np.float32) - picture[:, SIDE:]).mean(-1)
    assert changed[200:280, 200:280].mean() > 20 and changed[:40].max() < 5, "the face alone"


def test_the_film_is_small_and_what_it_is_shown_with_exists() -> None:
    assert DEMO_FILM.stat().st_size <= LARGEST
    with VideoReader(DEMO_FILM) as reader:
        pictures = [item.image for item in reader if isinstance(item, Picture)]
    assert len(pictures) == FRAMES and pictures[0].shape == (SIDE, SIDE, 3)
    jump = np.abs(pictures[0].astype(np.float32) - pictures[-1]).mean()
    steps = [np.abs(b.astype(np.float32) - a).mean() for a, b in pairwise(pictures)]
    assert jump < 2 * max(steps), "its end leads back to its beginning"
    library = load_library("mobile-256")
    library.validate(dict(map(parse_edit, SHOWN)))
    assert all(library.validate({one.name: one.strength}) for one in map(parse_scheduled, SHOWN_LATER))


@pytest.mark.slow
def test_the_face_is_calm_and_smiles_where_it_is_asked_to(store: AssetStore) -> None:
    with VideoReader(DEMO_FILM) as reader:
        pictures = [item.image for item in islice((one for one in reader if isinstance(one, Picture)), 4)]
    with closing(real_stream("mobile-256")) as stream:
        shown = edit_alone(stream, pictures)
    landmarker = FaceLandmarker(store.file("face-landmarks", "face_landmarker.task"), blendshapes=True)
    before, after = (_smile(landmarker.detect(picture, time)) for time, picture in enumerate((pictures[-1], shown[-1])))
    landmarker.close()
    assert before < 0.5 and after > before + 0.3


def _smile(faces: Sequence[Face]) -> float:
    (face,) = faces
    return (face.blendshapes["mouthSmileLeft"] + face.blendshapes["mouthSmileRight"]) / 2
