"""What sessions share: a runtime that takes calls from any number of threads, and has them answered by others."""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Literal

from engines.graph_runtime import EngineError
from rigid.arrays import Array
from rigid.models.contract import PICTURES, RecurrentState, Runtime, Sizes

Kind = Literal["invert", "synthesize", "synthesize_face", "parse"]


@dataclass
class Call:
    """What one caller waits for."""

    kind: Kind
    arrays: tuple[Array, ...]
    state: RecurrentState | None = None
    came: float = field(default_factory=time.monotonic)
    done: threading.Event = field(default_factory=threading.Event)
    answer: object = None
    error: Exception | None = None

    @property
    def rows(self) -> int:
        return int(self.arrays[0].shape[0])


class SharedRuntime(ABC):
    """A `Runtime` whose calls may come from any number of threads at once: they are checked, and wait in a queue."""

    def __init__(self, runtime: Runtime):
        """`runtime` is closed with this one."""
        self._runtime = runtime
        self._changed = threading.Condition()
        self._closed = False

    @property
    def name(self) -> str:
        return self._runtime.name

    @property
    def sizes(self) -> Sizes:
        return self._runtime.sizes

    def invert(self, inputs: Array, state: RecurrentState) -> tuple[Array, Array, RecurrentState]:
        """See `rigid.models.contract.Runtime`."""
        side = self.sizes.image_size
        _check("inputs", inputs, len(inputs), (3, side, side))
        for name in ("hidden", "cell"):
            _check(name, getattr(state, name), len(inputs), self.sizes.hidden_shape)
        for name in PICTURES:
            if getattr(state, name) is not None:
                _check(name, getattr(state, name), len(inputs), (3, side, side))
        return self._wait_for(Call("invert", (inputs,), state))  # type: ignore[return-value]

    def synthesize(self, codes: Array, noise: Array) -> Array:
        """See `rigid.models.contract.Runtime`."""
        _check("codes", codes, len(codes), (self.sizes.n_codes, self.sizes.code_size))
        _check("noise", noise, len(codes), self.sizes.noise_shape)
        return self._wait_for(Call("synthesize", (codes, noise)))  # type: ignore[return-value]

    def synthesize_face(self, codes: Array, noise: Array, corners: Array) -> Array:
        """See `rigid.models.contract.Runtime`."""
        _check("codes", codes, len(codes), (self.sizes.n_codes, self.sizes.code_size))
        _check("noise", noise, len(codes), self.sizes.noise_shape)
        _check("corners", corners, len(codes), (2,))
        return self._wait_for(Call("synthesize_face", (codes, noise, corners)))  # type: ignore[return-value]

    def parse(self, pictures: Array) -> Array:
        """See `rigid.models.contract.Runtime`."""
        side = self.sizes.image_size
        _check("pictures", pictures, len(pictures), (3, side, side))
        return self._wait_for(Call("parse", (pictures,)))  # type: ignore[return-value]

    @abstractmethod
    def close(self) -> None:
        """End what answers once what waits is done, and close the engine; safe to call twice."""

    @abstractmethod
    def _enqueue(self, call: Call) -> None:
        """Put a call where it waits; the lock is held."""

    def _wait_for(self, call: Call) -> object:
        with self._changed:
            if self._closed:
                raise EngineError(f"The engine {self.name} was closed; load it again.")
            self._enqueue(call)
            self._changed.notify_all()
        call.done.wait()
        if call.error is not None:
            raise call.error
        return call.answer


def _check(name: str, array: Array, batch: int, shape: tuple[int, ...]) -> None:
    """ValueError here, where it meets the caller alone."""
    if array.shape != (batch, *shape) or not batch:
        raise ValueError(
            f"{name} has the shape {array.shape}; ({', '.join(map(str, (batch or 'B', *shape)))}) is expected."
        )
