"""Show how far a long task has come: a bar on a terminal, plain lines otherwise, always on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

SECONDS_BETWEEN_LINES = 10.0


class Update(Protocol):
    """Takes how much is done so far, in the task's own unit, and what is in hand, to be shown beside the title."""

    def __call__(self, done: int, doing: str = "") -> None: ...


@contextmanager
def show_progress(
    title: str, total: int | None = None, unit: str = "", seconds_between_lines: float = SECONDS_BETWEEN_LINES
) -> Iterator[Update]:
    """Announce a task, yield the function that takes its progress, and announce its end.

    `total` is None where it is not known; `unit` "bytes" is shown as kB, MB, GB. A task that raises is
    not announced as done.
    """
    console = Console(stderr=True)
    if console.is_terminal:
        with _bar(console, unit) as bar:
            task = bar.add_task(title, total=total)

            def show(done: int, doing: str = "") -> None:
                bar.update(task, completed=done, description=f"{title}: {doing}" if doing else title)

            yield show
            if total is not None:
                bar.update(task, completed=total)
    else:
        yield from _lines(title, total, unit, seconds_between_lines)


def _bar(console: Console, unit: str) -> Progress:
    count: ProgressColumn = DownloadColumn() if unit == "bytes" else MofNCompleteColumn()
    columns = [TextColumn("{task.description}"), BarColumn(), count, TimeRemainingColumn()]
    if unit == "frames":
        columns.insert(3, _Speed())
    return Progress(*columns, console=console)


class _Speed(ProgressColumn):
    """How many a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f} a second", style="progress.data.speed")


def _lines(title: str, total: int | None, unit: str, seconds_between: float) -> Iterator[Update]:
    _print(f"{title} ...")
    last = started = time.monotonic()

    def update(done: int, doing: str = "") -> None:
        nonlocal last
        if time.monotonic() - last >= seconds_between:
            last = time.monotonic()
            now = f"; {doing}" if doing else ""
            so_far = amount(done, unit) if total is None else f"{_number(done, unit)} of {amount(total, unit)}"
            _print(f"{title}: {so_far}{_pace(done, total, last - started, unit)}{now}")

    try:
        yield update
    except BaseException:
        _print(f"{title}: not done")
        raise
    _print(f"{title}: done in {time.monotonic() - started:.1f} s")


def _pace(done: int, total: int | None, seconds: float, unit: str) -> str:
    """How many frames a second so far, and how long the rest takes at that."""
    if unit != "frames" or not done or not seconds:
        return ""
    left = "" if total is None else f", {max(0, total - done) * seconds / done / 60:.1f} min left"
    return f", {done / seconds:.1f} a second{left}"


def amount(count: int, unit: str) -> str:
    """`count` with its unit; bytes as MB."""
    return f"{_number(count, unit)} {'MB' if unit == 'bytes' else unit}".rstrip()


def _number(count: int, unit: str) -> str:
    return f"{count / 1e6:.1f}" if unit == "bytes" else str(count)


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
