"""Show how far a long task has come: a bar on a terminal, plain lines otherwise, always on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

SECONDS_BETWEEN_LINES = 10.0

Update = Callable[[int], None]
"""Takes how much is done so far, in the task's own unit."""


@contextmanager
def show_progress(title: str, total: int | None = None, unit: str = "") -> Iterator[Update]:
    """Announce a task, yield the function that takes its progress, and announce its end.

    `total` is None where it is not known; `unit` "bytes" is shown as kB, MB, GB. A task that raises is
    not announced as done.
    """
    console = Console(stderr=True)
    if console.is_terminal:
        with _bar(console, unit) as bar:
            task = bar.add_task(title, total=total)
            yield lambda done: bar.update(task, completed=done)
            if total is not None:
                bar.update(task, completed=total)
    else:
        yield from _lines(title, total, unit)


def _bar(console: Console, unit: str) -> Progress:
    count: ProgressColumn = DownloadColumn() if unit == "bytes" else MofNCompleteColumn()
    return Progress(TextColumn("{task.description}"), BarColumn(), count, TimeRemainingColumn(), console=console)


def _lines(title: str, total: int | None, unit: str) -> Iterator[Update]:
    _print(f"{title} ...")
    last = started = time.monotonic()

    def update(done: int) -> None:
        nonlocal last
        if time.monotonic() - last >= SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            _print(f"{title}: {amount(done, unit)}" + (f" of {amount(total, unit)}" if total is not None else ""))

    try:
        yield update
    except BaseException:
        _print(f"{title}: not done")
        raise
    _print(f"{title}: done in {time.monotonic() - started:.1f} s")


def amount(count: int, unit: str) -> str:
    """`count` with its unit; bytes as MB."""
    return f"{count / 1e6:.1f} MB" if unit == "bytes" else f"{count} {unit}".rstrip()


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
