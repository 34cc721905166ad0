"""A tiny world of engines: a store of one's own, exports without networks, engines that are there on any machine."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import cast

from engines.exports import GRAPHS, HALF, INT8_RECORD, WHOLE, export_folder, weights_hash, write_record
from engines.registry import Engine
from rigid.assets.store import AssetStore
from tests.fakes import FakeRuntime


class FileStore(AssetStore):
    """A store whose assets are whatever lies in its folder."""

    def file(self, asset: str, file_name: str) -> Path:
        return self.cache_dir / file_name


def write_exports(profile: str, store: AssetStore) -> Path:
    """Write the profile's exports, empty and of its present weights; their folder."""
    folder = export_folder(profile, store)
    folder.mkdir(parents=True)
    for name in GRAPHS:
        for kind in (WHOLE, HALF):
            (folder / kind.format(name)).touch()
    write_record(folder, weights_hash(profile, store))
    return folder


def write_int8(folder: Path) -> None:
    """Write int8's record beside the exports in `folder`, of no files."""
    record = (folder / "export.json").read_text()
    (folder / INT8_RECORD).write_text(record)


class NamedRuntime(FakeRuntime):
    """A fake runtime with a name of its own; each call takes `delay_seconds` of the processor."""

    def __init__(self, name: str, call_seconds: float) -> None:
        super().__init__(delay_seconds=call_seconds)
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    def _take_time(self) -> None:
        began = time.process_time()
        while time.process_time() - began < self.delay_seconds:
            pass


@dataclass(frozen=True)
class FakeEngine(Engine):
    """An engine that is installed here and needs no GPU, with fake runtimes."""

    package: str = ""
    install: str = ""
    module: str = ""
    loaded: list[str] = field(default_factory=list)
    """The engines that were loaded so far, of all that share it."""
    call_seconds: float = 0.0
    """What each call of its networks takes of the processor."""
    is_kept: bool = False
    """Whether it was built before."""

    @property
    def installed(self) -> bool:
        return True

    def load_module(self) -> ModuleType:
        def load(*_: object) -> NamedRuntime:
            self.loaded.append(self.name)
            return NamedRuntime(self.name, self.call_seconds)

        return cast(ModuleType, SimpleNamespace(load=load, open_graphs=load, is_built=lambda *_: self.is_kept))
