"""`rigid-live doctor`: everything is told, and what is wrong is told too."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cli.main import run
from engines import EngineError
from engines.machine import processor_problem
from rigid.assets.store import AssetStore
from server.bench import diagnosis
from server.bench.diagnosis import Checks, diagnose, lines

PATH = {
    "engine": "fake",
    "networks": {"recurrent_encoder": "ready", "face_parser": "ready"},
    "fps": 9.5,
    "stage_ms": {"align": 10.0, "invert": 20.0, "synthesize": 60.0, "blend": 8.0},
    "limit": "synthesize",
}


CHECKS = Checks(lambda *_: "abc" * 20, lambda *_: Path("exports"), lambda _: [], lambda *_: PATH)
Doctor = Callable[..., int]


@pytest.fixture
def store(tmp_path: Path) -> AssetStore:
    return AssetStore(tmp_path)


@pytest.fixture
def doctor(store: AssetStore, monkeypatch: pytest.MonkeyPatch) -> Doctor:
    """Runs the command on what the checks find."""

    def run_with(*arguments: str, checks: Checks = CHECKS) -> int:
        monkeypatch.setattr(diagnosis, "diagnose", lambda profile, engine, _: diagnose(profile, engine, store, checks))
        return run(["doctor", *arguments])

    return run_with


def test_a_whole_machine_is_told(store: AssetStore) -> None:
    report = diagnose("mobile-256", "auto", store, CHECKS)
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


@pytest.mark.parametrize(
    ("kind", "has", "problem"),
    [("AMD64", True, ""), ("arm64", False, ""), ("AMD64", False, "has no AVX2, without which")],
)
def test_a_processor_without_avx2_is_told(store: AssetStore, kind: str, has: bool, problem: str) -> None:
    note = processor_problem(kind, lambda: has) or ""
    assert bool(note) == bool(problem) and problem in note
    report = diagnose("mobile-256", "auto", store, CHECKS) | {"note": note}
    assert ("Note       This processor (" in "\n".join(lines(report))) == bool(problem)
    assert not report["problems"]


def test_what_is_missing_is_a_problem_and_the_status_1(doctor: Doctor, capsys: pytest.CaptureFixture[str]) -> None:
    def missing(*_: object) -> Path:
        raise EngineError("The exported networks are missing; run `rigid-live export`.")

    assert doctor(checks=replace(CHECKS, find_exports=missing)) == 1
    shown = capsys.readouterr()
    assert "Exports    none" in shown.out and "Problem    The exported networks are missing" in shown.out
    assert shown.err.count("\n") == 1


def test_what_is_done_without_is_told_and_what_is_damaged_is_a_problem(
    doctor: Doctor, capsys: pytest.CaptureFixture[str]
) -> None:
    networks = {"face_parser": "missing: faces are masked by their landmarks"}
    without = replace(CHECKS, measure_path=lambda *_: PATH | {"networks": networks})
    assert doctor(checks=without) == 0
    assert "Network    face parser missing: faces are masked by their landmarks\n" in capsys.readouterr().out
    assert doctor(checks=replace(without, check_weights=lambda _: ["The weights are damaged."])) == 1
    assert "Problem    The weights are damaged." in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--profile", "mobile-9"], ["--engine", "gpu"]])
def test_unknown_names_are_usage_errors(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", *arguments]) == 2
    assert arguments[1] in capsys.readouterr().err


def test_json_is_json(doctor: Doctor, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor("--json") == 0
    assert json.loads(capsys.readouterr().out)["path"] == PATH
