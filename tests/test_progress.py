"""Progress where nobody looks at a terminal: plain lines on stderr."""

from __future__ import annotations

import pytest

from rigid.progress import amount, show_progress


def test_plain_lines_tell_start_and_end(capsys: pytest.CaptureFixture[str]) -> None:
    with show_progress("Counting", 3, "frames") as update:
        update(3)
    first, last = capsys.readouterr().err.splitlines()
    assert first == "Counting ..."
    assert last.startswith("Counting: done in ")


def test_plain_lines_tell_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with show_progress("Counting", 3, "frames", seconds_between_lines=0.0) as update:
        update(2, "a.mp4")
    shown = capsys.readouterr().err
    assert "Counting: 2 of 3 frames, " in shown
    assert " a second, " in shown and " min left; a.mp4" in shown


def test_a_task_that_fails_is_not_called_done(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError), show_progress("Counting"):
        raise RuntimeError
    assert capsys.readouterr().err.splitlines()[-1] == "Counting: not done"


def test_amounts() -> None:
    assert amount(40_915_000, "bytes") == "40.9 MB"
    assert amount(7, "frames") == "7 frames"
    assert amount(7, "") == "7"
