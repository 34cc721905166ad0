"""One runtime for many sessions: calls that wait at the same time run as one batch, each with its own state."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Self

from engines.batch_calls import make_batch_call_runtime
from engines.graph_runtime import EngineError
from rigid.arrays import Array
from rigid.models.contract import PICTURES, RecurrentState, Runtime, Sizes
from rigid.operating_system import count_cores

logger = logging.getLogger(__name__)

Kind = Literal["invert", "synthesize", "synthesize_face", "parse"]


@dataclass(frozen=True)
class BatchingOptions:
    """How calls are put together."""

    most_rows: int = 16
    """Pictures in a batch; a single call may hold more and then runs by itself."""
    longest_wait: float = 0.002
    """Seconds that a call waits for others to come, where the round before held more calls than this one."""

    @classmethod
    def of_machine(cls, threads: int | None, *, gpu: bool) -> Self:
        """On processors a batch has a picture a core, as a larger one is no quicker, and takes memory.

        `threads`: how many one call may use; None = as many as there are cores. `gpu`: whether there is one.
        """
        return cls() if gpu else cls(min(cls.most_rows, threads or count_cores()))


@dataclass
class _Call:
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


class BatchedRuntime:
    """A `Runtime` whose calls may come from any number of threads at once.

    One thread of its own runs the engine. It takes the call that has waited longest and all others of its kind that
    wait, oldest first, as far as the batch holds them: nobody is passed over, and a caller, who has one call at a
    time, waits for no more than what came before. What a batch answers is copied out to each caller, so that no
    state is shared. Where a batch fails, its calls run one by one, and only the call at fault gets the error.
    """

    def __init__(self, runtime: Runtime, options: BatchingOptions | None = None):
        """`runtime` is called from one thread only, and closed with this one."""
        self._runtime, self._joint = runtime, make_batch_call_runtime(runtime)
        self._options = options or BatchingOptions()
        self._changed = threading.Condition()
        self._waiting: deque[_Call] = deque()
        self._closed = False
        self._expected = 1
        self.batches: Counter[int] = Counter()
        """How many rounds held how many calls."""
        self._thread = threading.Thread(target=self._run, name="batching", daemon=True)
        self._thread.start()

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
        return self._wait_for(_Call("invert", (inputs,), state))  # type: ignore[return-value]

    def synthesize(self, codes: Array, noise: Array) -> Array:
        """See `rigid.models.contract.Runtime`."""
        _check("codes", codes, len(codes), (self.sizes.n_codes, self.sizes.code_size))
        _check("noise", noise, len(codes), self.sizes.noise_shape)
        return self._wait_for(_Call("synthesize", (codes, noise)))  # type: ignore[return-value]

    def synthesize_face(self, codes: Array, noise: Array, corners: Array) -> Array:
        """See `rigid.models.contract.Runtime`."""
        _check("codes", codes, len(codes), (self.sizes.n_codes, self.sizes.code_size))
        _check("noise", noise, len(codes), self.sizes.noise_shape)
        _check("corners", corners, len(codes), (2,))
        return self._wait_for(_Call("synthesize_face", (codes, noise, corners)))  # type: ignore[return-value]

    def parse(self, pictures: Array) -> Array:
        """See `rigid.models.contract.Runtime`."""
        side = self.sizes.image_size
        _check("pictures", pictures, len(pictures), (3, side, side))
        return self._wait_for(_Call("parse", (pictures,)))  # type: ignore[return-value]

    def close(self) -> None:
        """End the thread once what waits is done, and close the engine; safe to call twice."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join()
        self._runtime.close()

    def _wait_for(self, call: _Call) -> object:
        with self._changed:
            if self._closed:
                raise EngineError(f"The engine {self.name} was closed; load it again.")
            self._waiting.append(call)
            self._changed.notify_all()
        call.done.wait()
        if call.error is not None:
            raise call.error
        return call.answer

    def _run(self) -> None:
        while calls := self._take():
            self.batches[len(calls)] += 1
            self._expected = len(calls)
            self._answer(calls)

    def _take(self) -> list[_Call]:
        """The next round's calls; none once closed."""
        with self._changed:
            while not self._waiting:
                if self._closed:
                    return []
                self._changed.wait()
            deadline = self._waiting[0].came + self._options.longest_wait
            while len(self._fitting()) < self._expected and not self._closed:
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            calls = self._fitting()
            self._waiting = deque(call for call in self._waiting if not any(call is taken for taken in calls))
            return calls

    def _fitting(self) -> list[_Call]:
        """The oldest call and those of its kind that fit into one batch with it."""
        first, *others = self._waiting
        calls, rows = [first], first.rows
        for call in others:
            if call.kind == first.kind and rows + call.rows <= self._options.most_rows:
                calls.append(call)
                rows += call.rows
        return calls

    def _answer(self, calls: Sequence[_Call]) -> None:
        """Run `calls` as one batch; one by one where that fails."""
        try:
            for call, answer in zip(calls, self._answers(calls), strict=True):
                call.answer = answer
        except Exception as error:  # whatever an engine raises belongs to the callers, not to the thread all share
            if len(calls) == 1:
                calls[0].error = error
            else:
                logger.warning("A batch of %d calls failed and is run call by call: %s", len(calls), error)
                for call in calls:
                    self._answer([call])
        for call in calls:
            call.done.set()

    def _answers(self, calls: Sequence[_Call]) -> Sequence[object]:
        if calls[0].kind == "invert":
            return self._joint.invert_each([(call.arrays[0], call.state) for call in calls if call.state is not None])
        if calls[0].kind == "parse":
            return self._joint.parse_each([call.arrays[0] for call in calls])
        return self._joint.synthesize_each([call.arrays for call in calls])


def _check(name: str, array: Array, batch: int, shape: tuple[int, ...]) -> None:
    """ValueError here, where it meets the caller alone."""
    if array.shape != (batch, *shape) or not batch:
        raise ValueError(
            f"{name} has the shape {array.shape}; ({', '.join(map(str, (batch or 'B', *shape)))}) is expected."
        )
