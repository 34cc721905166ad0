from __future__ import annotations

import json

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


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["list", "--profile", "no-such"], "no-such"),
        (["discover", "--profile", "no-such"], "no-such"),
        (["discover", "--only", "laugh"], "laugh"),
        (["discover", "--samples", "3"], "samples"),
        (["discover", "--seed", "-1"], "seed"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(
    arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["attributes", *arguments]) == 2
    captured = capsys.readouterr()
    assert problem in captured.err and "Traceback" not in captured.err
