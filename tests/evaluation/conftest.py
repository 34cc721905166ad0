"""The command `evaluate` in the tiny world."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from rigid.evaluation.fairness import FairnessTools
from rigid.evaluation.run import Tools
from rigid.evaluation.sheet import SheetTools
from tests.fakes import FakeRuntime

InTinyWorld = Callable[[Tools | FairnessTools | SheetTools], list[dict[str, Any]]]


@pytest.fixture
def in_tiny_world(monkeypatch: pytest.MonkeyPatch) -> InTinyWorld:
    """Makes the command use the tools that are given; it gives the keywords that they were opened with."""

    def install(given: Tools | FairnessTools | SheetTools) -> list[dict[str, Any]]:
        opened: list[dict[str, Any]] = []

        def open_sheet(*_: object, **keywords: Any) -> Tools | FairnessTools | SheetTools:
            opened.append(keywords)
            return given

        @contextmanager
        def open_others(*_: object, **keywords: Any) -> Iterator[Tools | FairnessTools | SheetTools]:
            yield open_sheet(**keywords)

        name, opener = {
            Tools: ("open_tools", open_others),
            FairnessTools: ("open_fairness_tools", open_others),
            SheetTools: ("open_sheet_tools", open_sheet),
        }[type(given)]
        monkeypatch.setattr(f"rigid.evaluation.tools.{name}", opener)
        monkeypatch.setattr("engines.load_runtime", lambda *_, **__: FakeRuntime())
        return opened

    return install
