"""Several sessions' streams on one runtime, for tests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from engines.batch_calls import InvertAnswer, InvertCall
from engines.batching import BatchedRuntime
from rigid.arrays import Pixels
from rigid.models.contract import Runtime
from rigid.stream.face_stream import FaceStream
from tests.patience import PATIENCE_SECONDS, eventually
from tests.worlds import Brighten, FixedTracker, textured_frame


class Wandering(FixedTracker):
    """A face that moves a little, each session's its own way."""

    def __init__(self, session: int, size: int) -> None:
        super().__init__(centre=(56 + 5 * session, 44 + 2 * session), side=52 + 6 * session, size=size)


def frames_of(session: int, count: int) -> list[Pixels]:
    """One session's video, unlike the others'."""
    return [textured_frame(7 * session + i // 3) for i in range(count)]


def play(runtime: Runtime, session: int, count: int, pause: Callable[[int], None] = lambda frame: None) -> list[Pixels]:
    """What one session shows."""
    stream = FaceStream(runtime, Wandering(session, runtime.sizes.image_size), Brighten(runtime.sizes))
    shown = []
    for i, frame in enumerate(frames_of(session, count)):
        pause(i)
        result = stream.step(frame, {"light": 0.3 * (session + 1)}, i / 25)
        assert result.error is None and result.edited
        shown.append(result.frame)
    stream.close()
    return shown


def play_together(runtime: Runtime, sessions: int, count: int, *, in_step: bool) -> list[list[Pixels]]:
    """All sessions at once: in step, so that their calls meet, or each as fast as it can."""
    barrier = threading.Barrier(sessions)

    def meet(frame: int) -> None:
        if in_step:
            barrier.wait(PATIENCE_SECONDS)

    with ThreadPoolExecutor(sessions) as pool:
        futures = [pool.submit(play, runtime, session, count, meet) for session in range(sessions)]
        return [future.result() for future in futures]


def hold_first(batched: BatchedRuntime, sessions: int) -> None:
    """Let the engine's first call wait until all other sessions wait: some meet, whatever else the machine does."""
    runtime: Any = batched._joint
    invert_each = runtime.invert_each

    def held(calls: Sequence[InvertCall]) -> list[InvertAnswer]:
        runtime.invert_each = invert_each
        # the first call may hold several sessions already
        eventually(lambda: len(batched._waiting) >= sessions - len(calls), "the other sessions' calls")
        answers: list[InvertAnswer] = invert_each(calls)
        return answers

    runtime.invert_each = held
