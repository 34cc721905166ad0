"""Fields of a configuration that say themselves how an operator is asked for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

Value = TypeVar("Value")
Bytes = TypeVar("Bytes", int, int | None)
MEGABYTE = 2**20


@dataclass(frozen=True)
class Setting:
    """How an operator is asked for a field of a configuration: as an option of `rigid-live serve`."""

    metavar: str | None
    help: str
    option: str | None = None
    """The option's name, where it is not the field's."""
    type: Any = None
    """The type of what is given, where it is not the field's."""
    variable: str | None = None
    """The environment variable, where it is not named after the option."""
    read: Callable[[Any], Any] = lambda given: given
    """Makes the field's value of what is given; ValueError, one sentence, where it cannot."""
    show: Callable[[Any], Any] = lambda default: default
    """Makes what would be given for the field's default."""


def ask(default: Value, metavar: str | None, help: str, **ways: Any) -> Value:
    """A field that an operator may set; `ways` are those of `Setting`."""
    made: Value = field(default=default, metadata={"setting": Setting(metavar, help, **ways)})
    return made


def ask_for_several(
    option: str, metavar: str, help: str, read: Callable[[str], Value], variable: str | None = None
) -> tuple[Value, ...]:
    """A field of what is given one by one, nothing by default."""

    def read_all(given: list[str] | None) -> tuple[Value, ...]:
        return tuple(read(one) for one in given or ())

    return ask(
        (), metavar, help, option=option, type=list[str] | None, read=read_all, show=lambda _: None, variable=variable
    )


def ask_for_megabytes(default: Bytes, option: str, help: str) -> Bytes:
    """A field in bytes, which is given in MB."""
    read, show = optional(lambda given: round(given * MEGABYTE)), optional(lambda default: default / MEGABYTE)
    return ask(default, "MB", help, option=option, type=float | None, read=read, show=show)


def optional(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Have None stay None."""
    return lambda given: None if given is None else convert(given)
