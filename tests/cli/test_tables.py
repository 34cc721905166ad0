"""What commands list: rows as a table or as JSON, as wide as there is room, and in colour where that is wanted."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

import pytest

from cli.main import run
from cli.tables import Column, print_rows

ROWS = [
    {"name": "first", "size": 7, "here": True, "edits": {"smile": 0.5, "age": 1.0}, "note": None},
    {"name": "second", "size": 12, "here": False, "edits": {}, "note": "pip install 'rigid-live[train]'"},
]
COLUMNS: dict[str, Column] = {
    "name": "name",
    "size": "size",
    "here": "here",
    "edits": "edits",
    "twice": lambda row: 2 * row["size"],
    "": "note",
}
LISTS = ["attributes list", "attributes presets", "engines list", "models list", "models verify"]


def test_a_row_is_a_line_with_numbers_on_the_right(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    print_rows(ROWS, COLUMNS)
    assert capsys.readouterr().out.splitlines() == [
        "name    size  here  edits             twice",
        "first      7  yes   smile=0.5, age=1     14",
        "second    12  no                         24  pip install 'rigid-live[train]'",
    ]


def test_no_line_is_wider_than_there_is_room_and_names_stay_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    print_rows([{"name": "face-landmarks", "what": "word " * 30}], {"name": "name", "what": "what"})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 3 and max(map(len, lines)) <= 40
    assert lines[1].startswith("face-landmarks  word")


def test_numbers_stand_on_the_right_where_some_are_not_known(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([{"name": "a", "dB": None}, {"name": "b", "dB": 7.5}], {"name": "name", "decibels": "dB"})
    assert capsys.readouterr().out.splitlines() == ["name  decibels", "a", "b          7.5"]


def test_json_has_all_of_every_row(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(iter(ROWS), {"name": "name"}, as_json=True)
    assert json.loads(capsys.readouterr().out) == ROWS


def test_nothing_is_a_heading_or_an_empty_list(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([], COLUMNS)
    assert capsys.readouterr().out.split() == ["name", "size", "here", "edits", "twice"]
    print_rows([], COLUMNS, as_json=True)
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.parametrize("words", LISTS)
def test_every_list_is_a_table_with_headings_and_json(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*words.split(), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows and all("name" in row for row in rows)
    assert run(words.split()) == 0
    heading, *lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [row["name"] for row in rows]
    assert heading == heading.rstrip() and heading.split()


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_a_terminal_has_colours_unless_they_are_not_wanted(no_color: str, coloured: bool) -> None:
    told = on_terminal(["models", "pull", "--help"], {"NO_COLOR": no_color, "COLUMNS": "60"})
    assert ("\x1b[1;36m" in told or "\x1b[36m" in told) is coloured


def test_what_is_no_terminal_has_none_and_progress_is_no_result() -> None:
    done = subprocess.run([sys.executable, "-m", "cli.main", "models", "list"], capture_output=True, text=True)
    assert done.returncode == 0 and "\x1b" not in done.stdout + done.stderr
    assert "They are kept in" in done.stderr and "They are kept in" not in done.stdout


def on_terminal(words: list[str], environment: dict[str, str]) -> str:
    """What the program writes to a terminal."""
    ours, theirs = pty.openpty()
    settings = {**os.environ, "TERM": "xterm-256color", **environment}
    process = subprocess.Popen([sys.executable, "-m", "cli.main", *words], stdout=theirs, env=settings)
    os.close(theirs)
    parts = []
    try:
        while part := os.read(ours, 65536):
            parts.append(part)
    except OSError:
        # Linux says so where the other side was closed.
        os.close(ours)
    assert process.wait() == 0
    return b"".join(parts).decode()
