"""What a long task is given to tell how far it is."""

from __future__ import annotations

from collections.abc import Callable

Say = Callable[[str], None]
"""Takes a line for the user."""
CountDone = Callable[[int], None]
"""Takes how much is done so far, in the task's own unit."""


def say_nothing(_: str) -> None:
    """Say nothing: nobody is told, or another process speaks for all."""
