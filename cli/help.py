"""What `--help` shows of a command: what it does and takes, in as few lines as that needs."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption


class PlainCommand(TyperCommand):
    """A command whose help is plain."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return what it takes."""
        return _show_plainly(super().get_params(ctx))


class PlainGroup(TyperGroup):
    """A group of commands whose help is plain."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return what it takes."""
        return _show_plainly(super().get_params(ctx))


def arrange(app: typer.Typer, panels: Mapping[str, Sequence[str]]) -> None:
    """Make every help of `app` plain, and show its commands under the titles of `panels`."""
    title = {name: panel for panel, names in panels.items() for name in names}
    for command in app.registered_commands:
        command.rich_help_panel = title[str(command.name)]
    for group in app.registered_groups:
        group.rich_help_panel = title[str(group.name)]
    _make_plain(app)


def _make_plain(app: typer.Typer) -> None:
    for command in app.registered_commands:
        command.cls = PlainCommand
        if command.callback is not None:
            # Lines are as long as the terminal's, not as those of the source.
            command.help = re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.getdoc(command.callback) or "")
    for group in app.registered_groups:
        group.cls = PlainGroup
        if group.typer_instance is not None:
            _make_plain(group.typer_instance)


def _show_plainly(parameters: list[Any]) -> list[Any]:
    """Leave out each option's variable, which the program's own help explains once, and the type of a flag."""
    for option in parameters:
        if isinstance(option, TyperOption):
            option.show_envvar = False
            option.metavar = "" if option.is_flag else option.metavar
    return parameters
