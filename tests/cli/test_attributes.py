from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cli.main import run


def test_the_list_is_json_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["attributes", "list", "--json"]) == 0
    entries = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert {"smile", "mouth_open", "age", "yaw"} <= set(entries)
    agreed = {"name", "label", "group", "min", "max", "default", "unit", "source"}
    assert all(agreed <= set(entry) for entry in entries.values())


def test_the_list_is_a_line_an_attribute(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["attributes", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("smile") and "expression" in line for line in lines)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache and a configuration folder of this test alone."""
    monkeypatch.setenv("RIGID_LIVE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("RIGID_LIVE_CONFIG", str(tmp_path / "config"))
    return tmp_path


def test_an_attribute_is_imported_listed_and_removed(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(own / "boundary.npy", np.ones((1, 512), np.float32))
    arguments = [str(own / "boundary.npy"), "--name", "grin", "--group", "expression", "--layers", "4-7"]
    assert run(["attributes", "import", *arguments, "--strength", "0.5"]) == 0
    assert "grin" in capsys.readouterr().out
    assert run(["attributes", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)[-1]
    assert (listed["name"], listed["group"], listed["custom"]) == ("grin", "expression", True)
    assert run(["attributes", "import", *arguments]) == 2
    assert "already" in capsys.readouterr().err
    assert run(["attributes", "remove", "grin"]) == 0
    assert capsys.readouterr().out == "grin is removed.\n"
    assert run(["attributes", "remove", "grin"]) == 2
    assert run(["attributes", "list"]) == 0
    assert "grin" not in capsys.readouterr().out


def test_presets_are_listed_with_the_users_own(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = own / "config" / "presets"
    folder.mkdir(parents=True)
    (folder / "mine.json").write_text('{"edits": {"smile": 0.25}}', encoding="utf-8")
    (folder / "odd.json").write_text('{"edits": {"grin": 1}}', encoding="utf-8")
    assert run(["attributes", "presets"]) == 0
    told = capsys.readouterr()
    assert "smile=0.25" in told.out and "'grin'" in told.err
    assert run(["attributes", "presets", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[-1]["name"] == "mine"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["import", "no-such-file.npy", "--name", "grin"], "no-such-file.npy"),
        (["import", __file__, "--name", "smile"], "'smile' already"),
        (["import", __file__, "--name", "grin"], "test_attributes.py"),
        (["remove", "smile"], "'smile'"),
        (["presets", "--profile", "no-such"], "no-such"),
        (["list", "--profile", "no-such"], "no-such"),
        (["discover", "--profile", "no-such"], "no-such"),
        (["discover", "--only", "laugh"], "laugh"),
        (["discover", "--samples", "3"], "samples"),
        (["discover", "--seed", "-1"], "seed"),
        (["discover", "--method", "guess"], "guess"),
        (["discover", "--method", "sefa", "--components", "0"], "components"),
        (["discover", "--clips", "/nowhere"], "/nowhere"),
        (["measure", "--profile", "no-such"], "no-such"),
        (["measure", "--only", "laugh"], "laugh"),
        (["measure", "/nowhere"], "/nowhere"),
        (["measure", "--clips", "/nowhere"], "/nowhere"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(
    arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["attributes", *arguments]) == 2
    captured = capsys.readouterr()
    assert problem in captured.err and "Traceback" not in captured.err
