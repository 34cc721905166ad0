"""What commands list: rows, as a table for people or as JSON for programs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Row = Mapping[str, Any]
Column = str | Callable[[Row], object]
"""A field of the row, or what is made of it."""
UNBOUNDED = 10_000
"""Columns of what is no terminal: programs read a line a row."""


def print_rows(rows: Iterable[Row], columns: Mapping[str, Column], *, as_json: bool = False) -> None:
    """Print `rows`: whole as JSON, else the `columns`, by their headings, as wide as the terminal."""
    listed = list(rows)
    if as_json:
        print_json(listed)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    cells = [[_value(row, column) for column in columns.values()] for row in listed]
    for number, heading in enumerate(columns):
        known = [one[number] for one in cells if one[number] is not None]
        is_number = bool(known) and all(map(_is_number, known))
        table.add_column(heading, justify="right" if is_number else "left", overflow="fold", no_wrap=number == 0)
    for one in cells:
        table.add_row(*(Text(_text(value)) for value in one))
    is_bounded = sys.stdout.isatty() or "COLUMNS" in os.environ
    console = Console(width=None if is_bounded else UNBOUNDED)
    with console.capture() as drawn:
        console.print(table)
    for line in drawn.get().splitlines():
        typer.echo(line.rstrip())


def print_json(found: object) -> None:
    """Print `found` for programs."""
    typer.echo(json.dumps(found, indent=2, ensure_ascii=False))


def _value(row: Row, column: Column) -> object:
    return row[column] if isinstance(column, str) else column(row)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(value: object) -> str:
    """A cell, in words; nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={_text(one)}" for name, one in value.items())
    return ", ".join(map(_text, value)) if isinstance(value, list | tuple) else str(value)
