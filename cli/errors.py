"""How the program ends when something goes wrong: one sentence on stderr and an exit status."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer

FAILED = 1
BAD_INPUT = 2


EXTRAS = {
    "dlib": "evaluate",
    "matplotlib": "train",
    "mediapipe": "train",
    "onnx": "train",
    "onnxscript": "train",
    "pyvirtualcam": "virtualcam",
    "ray": "cluster",
    "torch": "train",
}
"""What brings the modules that not every command needs."""


class Failure(Exception):
    """Ends the program with one sentence for the user and the exit status `code`."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def fail(message: str, code: int = FAILED) -> NoReturn:
    """End the program with one sentence: status FAILED (1) when the work failed, BAD_INPUT (2) for bad input."""
    raise Failure(message, code)


@contextmanager
def bad_input() -> Iterator[None]:
    """End the program with status BAD_INPUT where the block finds, by a ValueError, that what was given cannot be."""
    try:
        yield
    except ValueError as error:
        fail(str(error), BAD_INPUT)


def say(line: str) -> None:
    """Tell the user a line beside the result: on stderr."""
    typer.echo(line, err=True)


def explain(error: Exception) -> tuple[str, int] | None:
    """The sentence and the exit status for an error that is the user's or the machine's; None for a fault of ours."""
    if isinstance(error, Failure):
        return str(error), error.code
    if isinstance(error, typer.TyperException):
        return error.format_message(), error.exit_code
    if isinstance(error, typer.Abort):
        return "Stopped before it was done.", FAILED
    if isinstance(error, ModuleNotFoundError) and error.name in EXTRAS:
        remedy = f"pip install 'rigid-live[{EXTRAS[error.name]}]'"
        return f"This needs {error.name}, which is not installed; run `{remedy}`.", FAILED
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{error.filename or 'The output'} could not be written: {error.strerror}.", FAILED
    return (str(error), FAILED) if isinstance(error, _list_expected_failures()) else None


def _list_expected_failures() -> tuple[type[Exception], ...]:
    """What an engine or the model store raises; not imported for it: a module not loaded cannot have raised."""
    names = (("rigid.assets.store", "AssetError"), ("engines", "EngineError"))
    return tuple(getattr(sys.modules[module], name) for module, name in names if module in sys.modules)
