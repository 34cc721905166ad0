"""`rigid-live cluster status` of a service that is told of, not run."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from cli.main import run

WORKERS = [
    {
        "name": "w1",
        "state": "ready",
        "address": "10.0.0.2",
        "version": "0.1.0",
        "sessions": 2,
        "free": 10,
        "problem": None,
    },
    {
        "name": "w2",
        "state": "lost",
        "address": None,
        "version": None,
        "sessions": 0,
        "free": 0,
        "problem": "w2 is gone.",
    },
]


@pytest.fixture(autouse=True)
def service(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster with these workers."""
    monkeypatch.setattr("cli.cluster.join_cluster", lambda _address: SimpleNamespace(workers=lambda: WORKERS))


def test_workers_are_a_table_and_what_is_wrong_is_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["cluster", "status"]) == 0
    told = capsys.readouterr()
    assert [line.split() for line in told.out.splitlines()] == [
        ["worker", "state", "address", "version", "sessions", "free"],
        ["w1", "ready", "10.0.0.2", "0.1.0", "2", "10"],
        ["w2", "lost", "0", "0"],
    ]
    assert told.err == "Warning: w2 is gone.\n"


def test_workers_are_json_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["cluster", "status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == WORKERS
