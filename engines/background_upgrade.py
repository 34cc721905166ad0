"""A runtime that serves with one engine while a better one is built in the background."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from engines.batch_calls import InvertAnswer, InvertCall, make_batch_call_runtime
from engines.graph_runtime import EngineError
from rigid.arrays import Array
from rigid.models.contract import RecurrentState, Runtime, Sizes

logger = logging.getLogger(__name__)


class UpgradingRuntime:
    """`first` until `build`, which runs on a thread of its own, has made another engine; that one from then on.

    Between two calls only, and state goes in and out of every call, so that no stream notices. Where `build` fails,
    it stays with `first`, and says so once.
    """

    def __init__(self, first: Runtime, build: Callable[[], Runtime]):
        self._current = first
        self._build = build
        self._built: Runtime | None = None
        self._closed = False
        self._changing = threading.Lock()
        self.thread = threading.Thread(target=self._run, name="build-engine", daemon=True)
        self.thread.start()

    @property
    def name(self) -> str:
        return self._current.name

    @property
    def sizes(self) -> Sizes:
        return self._current.sizes

    def invert(self, inputs: Array, state: RecurrentState) -> tuple[Array, Array, RecurrentState]:
        """See `rigid.models.contract.Runtime`."""
        return self._newest().invert(inputs, state)

    def synthesize(self, codes: Array, noise: Array) -> Array:
        """See `rigid.models.contract.Runtime`."""
        return self._newest().synthesize(codes, noise)

    def synthesize_face(self, codes: Array, noise: Array, corners: Array) -> Array:
        """See `rigid.models.contract.Runtime`; the engine stays, as another one may make no faces."""
        return self._current.synthesize_face(codes, noise, corners)

    def parse(self, pictures: Array) -> Array:
        """See `rigid.models.contract.Runtime`; the engine stays, as another one may have no face parser."""
        return self._current.parse(pictures)

    def invert_each(self, calls: Sequence[InvertCall]) -> list[InvertAnswer]:
        """See `engines.batch_calls.BatchCallRuntime`."""
        return make_batch_call_runtime(self._newest()).invert_each(calls)

    def synthesize_each(self, calls: Sequence[tuple[Array, ...]]) -> list[Array]:
        """See `engines.batch_calls.BatchCallRuntime`; for faces the engine stays."""
        faces = len(calls[0]) > 2
        return make_batch_call_runtime(self._current if faces else self._newest()).synthesize_each(calls)

    def parse_each(self, calls: Sequence[Array]) -> list[Array]:
        """See `engines.batch_calls.BatchCallRuntime`; the engine stays."""
        return make_batch_call_runtime(self._current).parse_each(calls)

    def close(self) -> None:
        """Close what serves; what is still being built is closed once it is done."""
        with self._changing:
            self._closed = True
            built, self._built = self._built, None
        if built is not None:
            built.close()
        self._current.close()

    def _newest(self) -> Runtime:
        with self._changing:
            built, self._built = self._built, None
        if built is not None:
            logger.info("engine %s takes over from %s", built.name, self._current.name)
            self._current.close()
            self._current = built
        return self._current

    def _run(self) -> None:
        try:
            built = self._build()
        except EngineError as error:
            logger.warning("engine %s goes on: %s", self._current.name, error)
            return
        with self._changing:
            if not self._closed:
                self._built = built
                return
        built.close()
