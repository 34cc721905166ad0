"""The program `rigid-live`: one file a command; heavy modules are imported inside the commands, so help is fast."""

from __future__ import annotations

import importlib
import io
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Annotated

import typer

from cli.errors import explain
from cli.help import PlainGroup, arrange

PANELS = {
    "See it, use it": ("demo", "serve", "edit", "verify", "client"),
    "This machine": ("doctor", "bench", "engines"),
    "The networks": ("models", "evaluate", "export", "train"),
    "Edits of your own": ("attributes",),
    "Many machines": ("cluster",),
}
"""The modules of `cli` that hold commands, under the titles by which `--help` lists them."""
COMMANDS = tuple(name for names in PANELS.values() for name in names)

app = typer.Typer(
    name="rigid-live",
    help="Edit faces in live video. Begin with `rigid-live demo`: it needs no camera.",
    epilog="Results go to stdout, all else to stderr. It ends with 0 when done, 2 for wrong usage or bad input, 1 when "
    "something failed. Options may be set by the environment, too: RIGID_LIVE_SERVE_PORT is --port of `serve`.",
    cls=PlainGroup,
    add_completion=False,
    pretty_exceptions_enable=False,
    # every option may also be set by the environment: RIGID_LIVE_SERVE_PORT is `serve --port`
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "RIGID_LIVE"},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"rigid-live {version('rigid-live')}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None: ...


for _name in COMMANDS:
    importlib.import_module(f"cli.{_name}").register(app)
arrange(app, PANELS)


def run(arguments: Sequence[str], program: Callable[..., object] = app) -> int:
    """Run the program; returns the exit status: 0 done, 2 usage or bad input, 1 failed."""
    try:
        status = program(_complete(arguments) or ["--help"], prog_name="rigid-live", standalone_mode=False)
    except Exception as error:
        explained = explain(error)
        if explained is None:
            raise
        message, code = explained
        print(f"Error: {message}", file=sys.stderr, flush=True)
        return code
    return status if isinstance(status, int) else 0


def _complete(arguments: Sequence[str]) -> list[str]:
    """`--cluster` without an address means the cluster of this machine; Typer knows no options with or without one."""
    completed: list[str] = []
    for i, argument in enumerate(arguments):
        completed.append(argument)
        if argument == "--cluster" and (i + 1 == len(arguments) or arguments[i + 1].startswith("-")):
            completed.append("auto")
    return completed


def main() -> None:
    """The console script: run the program with the process's arguments and exit."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # the name of a file may be no UTF-8, and is to be told all the same; on Windows a pipe takes a code page
            # that has few characters
            encoding = "utf-8" if sys.platform == "win32" else None
            stream.reconfigure(encoding=encoding, errors="surrogateescape")
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
