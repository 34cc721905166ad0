"""`rigid-live models` with the program's own manifest and a cache made by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from cli.main import run
from rigid.assets.store import read_manifest
from rigid.models.build import build_published_visible_net
from rigid.models.visibility import InterpolationNet


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no package to be had."""
    monkeypatch.setenv("RIGID_LIVE_CACHE", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nowhere"))
    return tmp_path


def test_list_names_every_model(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "list"]) == 0
    told = capsys.readouterr()
    lines = [line.split() for line in told.out.splitlines()]
    assert [line[0] for line in lines[1:]] == list(read_manifest())
    assert f"They are kept in {cache}." in told.err
    assert all("no" in line and "yes" not in line for line in lines[1:])


def test_the_list_is_json_on_request(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "list", "--json"]) == 0
    listed = {one["name"]: one for one in json.loads(capsys.readouterr().out)}
    assert list(listed) == list(read_manifest())
    assert listed["generator"]["bytes"] > 10**6 and listed["generator"]["here"] is False


def test_pull_without_network_fails_with_one_sentence(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "pull", "generator"]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("Error: Cannot fetch MappingNetwork.xml of the asset 'generator' (PyPI package random-face")
    assert not [path for path in (cache / "assets").rglob("*") if path.is_file()]


def test_verify_of_an_empty_cache_has_nothing_to_say(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "verify"]) == 0
    told = capsys.readouterr()
    assert told.err == "No model has been fetched yet; `rigid-live models pull` does it.\n"
    assert [line.split() for line in told.out.splitlines()[1:]] == [["mobile-256", "networks", "ok"]]


def test_verify_names_what_is_wrong(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = cache / "assets" / "face-landmarks"
    folder.mkdir(parents=True)
    (folder / "face_landmarker.task").write_bytes(b"half a file")
    assert run(["models", "verify"]) == 1
    captured = capsys.readouterr()
    assert captured.out.splitlines()[1].split("model", 1)[1].strip() == "face_landmarker.task has 11 bytes, not 3758596"
    assert (
        captured.err == "Error: Damaged or incomplete: face-landmarks; run `rigid-live models pull face-landmarks`.\n"
    )


def test_verify_of_a_model_not_fetched_fails(cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "verify", "generator"]) == 1
    assert "MappingNetwork.xml is missing" in capsys.readouterr().out


def test_import_stores_the_network_and_says_where(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network = InterpolationNet()
    torch.save({"masknet": network.state_dict()}, tmp_path / "visible.pt")
    assert run(["models", "import", str(tmp_path / "visible.pt"), "--as", "visible"]) == 0
    folder = cache / "imported" / "rigid-256"
    assert capsys.readouterr().out == f"Imported into rigid-256: visible net (in {folder}).\n"
    assert [path.name for path in folder.iterdir()] == ["visible_net.safetensors"]
    imported = build_published_visible_net()
    assert torch.equal(imported.conv3.weight, network.conv3.weight)


def test_import_of_what_is_no_checkpoint_is_bad_input(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").write_text("no checkpoint")
    assert run(["models", "import", str(tmp_path / "notes.txt"), "--as", "e4e"]) == 2
    assert capsys.readouterr().err.startswith("Error: notes.txt is ")
    assert run(["models", "import", str(tmp_path / "notes.txt"), "--as", "stylegan3"]) == 2
    assert not (cache / "imported").exists()
