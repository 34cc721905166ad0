"""`rigid-live engines`: what is listed, and what is cleared."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from cli.main import run
from engines import EngineError
from engines.fastest_engine import cache_file, find_fastest
from engines.inventory import FOLDERS, clear_all, list_all
from engines.registry import ENGINES
from rigid.assets.store import AssetStore
from rigid.operating_system import name_processor
from tests.fakes import FakeRuntime


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AssetStore:
    monkeypatch.setenv("RIGID_LIVE_CACHE", str(tmp_path))
    return AssetStore()


def test_every_engine_is_listed_with_what_was_measured(store: AssetStore) -> None:
    find_fastest(["onnxruntime"], lambda name: FakeRuntime(delay_seconds=0.02), cache_file(store), "tiny")
    listed = {entry.name: entry for entry in list_all(store)}
    assert list(listed) == list(ENGINES)
    assert listed["torch"].state == "ready" and listed["torch"].note == ""
    assert re.fullmatch(r"a frame's networks: \d+ ms", listed["onnxruntime"].note)
    assert listed["tensorrt"].state in ("not installed", "no GPU", "ready")


def test_what_is_kept_compiled_is_listed(store: AssetStore) -> None:
    folder = store.cache_dir / "plans" / "openvino"
    folder.mkdir(parents=True)
    (folder / "a.plan").write_bytes(bytes(3_000_000))
    notes = {entry.name: entry.note for entry in list_all(store)}
    assert notes["openvino"] == "compiled: 3 MB" and notes["onnxruntime"] == ""


def test_the_list_as_json(store: AssetStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["engines", "list", "--json"]) == 0
    entries = json.loads(capsys.readouterr().out)
    assert [entry["name"] for entry in entries] == list(ENGINES)
    assert all(set(entry) == {"name", "state", "note"} for entry in entries)


def test_clearing_leaves_what_was_fetched(store: AssetStore, capsys: pytest.CaptureFixture[str]) -> None:
    for name in (*FOLDERS, "assets"):
        (store.cache_dir / name / "deep").mkdir(parents=True)
        (store.cache_dir / name / "deep" / "file").write_bytes(b"1234")
    assert clear_all(store) == (len(FOLDERS), 4 * len(FOLDERS))
    assert (store.cache_dir / "assets" / "deep" / "file").read_bytes() == b"1234"
    assert [path.name for path in store.cache_dir.iterdir()] == ["assets"]
    assert run(["engines", "clear"]) == 0 and "Removed 0 files" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--engine", "gpu"], ["--profile", "mobile-9", "--engine", "torch"]])
def test_building_what_is_unknown_is_a_usage_error(
    store: AssetStore, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["engines", "build", *arguments]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_measurement_of_another_machine_is_not_told(store: AssetStore) -> None:
    kept = cache_file(store)
    find_fastest(["openvino"], lambda name: FakeRuntime(), kept, "tiny")
    assert list_all(store)[0].note != ""
    kept.write_text(kept.read_text().replace(name_processor(), "Another processor"))
    assert list_all(store)[0].note == ""

    def fail(name: str) -> FakeRuntime:
        raise EngineError("It is measured anew.")

    with pytest.raises(EngineError, match="None of the engines"):
        find_fastest(["openvino"], fail, kept, "tiny")
