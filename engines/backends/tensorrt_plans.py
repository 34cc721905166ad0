"""TensorRT's engines on disk: those built for this GPU, and portable ones that any machine has built."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engines.backends.tensorrt_library import MOST_BATCH, THIS_GPU, Library, is_half
from engines.exports import HALF, WHOLE, gpu_graph_files, network_hash
from engines.graph_runtime import EngineError
from rigid.models.engine_cache import EngineCache, EngineKey

logger = logging.getLogger(__name__)

PORTABLE = "any GPU"
"""The device of an engine whose record has the GPUs that can run it as its target."""


class Plans:
    """Engines that `library` builds of exported networks."""

    def __init__(self, library: Library, kept: Path | None):
        """`kept`: the folder below which engines are kept; None keeps nothing."""
        self.library = library
        self._cache = None if kept is None else EngineCache(kept / library.name, library.name)

    def make_key(self, path: Path, device: str) -> EngineKey:
        """What the engine for the network `path` is kept under; `device`: the GPU's name, or `PORTABLE`."""
        settings = f"{'bf16' if is_half(path) else 'f32'}, batches to {MOST_BATCH}"
        return EngineKey(network_hash(path), self.library.version, device, settings, f"{path.parent.name}/{path.name}")

    def is_built(self, path: Path, gpu: str) -> bool:
        """Whether an engine for the network `path` is kept that fits the GPU of that name, so that opening is quick."""
        return any(self.library.find_misfit(plan) is None for _, plan in self._find_kept(path, gpu))

    def open(self, path: Path, gpu: str) -> Any:
        """The engine for the network `path` on the GPU of that name: one that is kept and fits it, else a new one.

        EngineError where the library cannot build or load it.
        """
        for key, plan in self._find_kept(path, gpu):
            misfit = self.library.find_misfit(plan)
            if misfit is None:
                engine = self.library.load(plan)
                if engine is not None:
                    return engine
                assert self._cache is not None
                self._cache.set_aside(key, f"it cannot be loaded: {self.library.log.last}")
            else:
                logger.warning("engine %s: %s for %s is not used: %s", self.library.name, path.name, key.device, misfit)
        engine = self.library.load(self._build(path, gpu))
        if engine is None:
            name, last = self.library.name, self.library.log.last
            raise EngineError(f"The engine {name} cannot load what it built for {path.name}: {last}.")
        return engine

    def build_portable(
        self, folder: Path, capabilities: Sequence[str], report: Callable[[str], None], *, force: bool = False
    ) -> None:
        """Build and keep engines of all networks in `folder`; see `engines.build_portable`."""
        for path in [path for kind in (HALF, WHOLE) for path in gpu_graph_files(folder, kind).values()]:
            report(f"{path.name}: {self._build_portable(path, capabilities, force=force)}, {describe(capabilities)}")

    def read_learnt(self, path: Path, gpu: str) -> bytes:
        """What the library learnt when it ran the engine for the network `path` on this GPU."""
        return b"" if self._cache is None else self._cache.read_learnt(self.make_key(path, gpu).name, "ran")

    def keep_learnt(self, path: Path, gpu: str, learnt: bytes) -> None:
        """Keep that for the next start."""
        if self._cache is not None:
            with self._warning_of_disks():
                self._cache.keep_learnt(learnt, self.make_key(path, gpu).name, "ran")

    def _find_kept(self, path: Path, gpu: str) -> Iterator[tuple[EngineKey, bytes]]:
        """What is kept for this GPU, then what is portable."""
        if self._cache is None or not path.is_file():
            return
        for key in [self.make_key(path, device) for device in (gpu, PORTABLE)]:
            plan = self._cache.read(key)
            if plan is not None:
                yield key, plan

    def _build_portable(self, path: Path, capabilities: Sequence[str], *, force: bool) -> str:
        """How large it is and how long it took, in words."""
        assert self._cache is not None
        key, target, started = self.make_key(path, PORTABLE), describe(capabilities), time.monotonic()
        if not force and self._cache.read_target(key) == target:
            return "there already"
        plan, _ = self.library.build(path, capabilities)
        self._cache.write(key, plan, target)
        return f"{len(plan) / 1e6:.1f} MB in {time.monotonic() - started:.1f} s"

    def _build(self, path: Path, gpu: str) -> bytes:
        """An engine for this GPU alone, which is kept."""
        logger.warning("engine %s: %s is built for %s, once", self.library.name, path.name, gpu)
        of = (self.library.version, gpu)
        plan, learnt = self.library.build(path, THIS_GPU, None if self._cache is None else self._cache.read_learnt(*of))
        if self._cache is not None:
            with self._warning_of_disks():
                self._cache.write(self.make_key(path, gpu), plan)
                if learnt:
                    self._cache.keep_learnt(learnt, *of)
        return plan

    @contextmanager
    def _warning_of_disks(self) -> Iterator[None]:
        """A full disk costs the next start its time, not this one its engine."""
        try:
            yield
        except OSError as error:
            logger.warning("engine %s: what was built or learnt is not kept: %s", self.library.name, error)


def describe(capabilities: Sequence[str]) -> str:
    """Which GPUs have one of `capabilities`, in words; none stand for all of them."""
    return f"compute capability {', '.join(capabilities)}" if capabilities else "all compute capabilities"
