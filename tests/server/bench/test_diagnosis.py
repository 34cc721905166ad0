"""`rigid-live doctor`: everything is told, and what is wrong is told too."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

import cv2
import pytest

from cli.main import run
from engines import EngineError
from rigid.assets.store import AssetStore
from server.bench import diagnosis
from server.bench.diagnosis import diagnose, lines

PATH = {
    "engine": "fake",
    "networks": {"recurrent_encoder": "ready", "face_parser": "ready"},
    "fps": 9.5,
    "stage_ms": {"align": 10.0, "invert": 20.0, "synthesize": 60.0, "blend": 8.0},
    "limit": "synthesize",
}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AssetStore:
    monkeypatch.setenv("RIGID_LIVE_CACHE", str(tmp_path))
    monkeypatch.setattr(diagnosis, "measure_path", lambda *_: PATH)
    monkeypatch.setattr(diagnosis, "weights_hash", lambda *_: "abc" * 20)
    monkeypatch.setattr(diagnosis, "require_exports", lambda *_: tmp_path / "exports")
    monkeypatch.setattr(diagnosis, "check_weights", lambda profile: [])
    return AssetStore()


def test_a_whole_machine_is_told(store: AssetStore) -> None:
    report = diagnose("mobile-256", "auto", store)
    assert not report["problems"] and report["path"]["limit"] == "synthesize"
    assert {"processor", "cores", "versions", "python", "features", "gpus"} <= set(report["machine"])
    assert json.loads(json.dumps(report)) == report
    text = "\n".join(lines(report))
    for told in (
        "Processor ",
        "Features ",
        "GPUs ",
        "torch ",
        "CPUExecutionProvider",
        "abcabc",
        "Network    recurrent encoder ready",
        "Network    face parser ready",
        "Limit      synthesize",
    ):
        assert told in text


def test_a_processor_without_avx2_is_told(store: AssetStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, has, note in (("AMD64", True, ""), ("arm64", False, ""), ("AMD64", False, "has no AVX2, without which")):
        monkeypatch.setattr(platform, "machine", lambda kind=kind: kind)
        monkeypatch.setattr(cv2, "checkHardwareSupport", lambda feature, has=has: has)
        report = diagnose("mobile-256", "auto", store)
        assert bool(report["note"]) == bool(note) and note in report["note"]
        assert ("Note       This processor (" in "\n".join(lines(report))) == bool(note)
        assert not report["problems"]


def test_what_is_missing_is_a_problem_and_the_status_1(
    store: AssetStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(*_: Any) -> Any:
        raise EngineError("The exported networks are missing; run `rigid-live export`.")

    monkeypatch.setattr(diagnosis, "require_exports", missing)
    assert run(["doctor"]) == 1
    shown = capsys.readouterr()
    assert "Exports    none" in shown.out and "Problem    The exported networks are missing" in shown.out
    assert shown.err.count("\n") == 1


def test_what_is_done_without_is_told_and_what_is_damaged_is_a_problem(
    store: AssetStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    networks = {"face_parser": "missing: faces are masked by their landmarks"}
    monkeypatch.setattr(diagnosis, "measure_path", lambda *_: PATH | {"networks": networks})
    assert run(["doctor"]) == 0
    assert "Network    face parser missing: faces are masked by their landmarks\n" in capsys.readouterr().out
    monkeypatch.setattr(diagnosis, "check_weights", lambda profile: ["The weights are damaged."])
    assert run(["doctor"]) == 1
    assert "Problem    The weights are damaged." in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--profile", "mobile-9"], ["--engine", "gpu"]])
def test_unknown_names_are_usage_errors(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", *arguments]) == 2
    assert arguments[1] in capsys.readouterr().err


def test_json_is_json(store: AssetStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["path"] == PATH
