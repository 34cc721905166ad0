"""Measures sessions that share an engine: their frames through the whole path, as fast as it takes them."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from statistics import median

import psutil

from rigid.arrays import Pixels
from rigid.stream.face_stream import StepResult
from rigid.stream.frame_record import FrameRecord
from rigid.stream.group_stream import AnyStream
from server.frames.worker import InferenceWorker, Lane, in_hand_for, threads_for
from server.session.session_stats import percentile

MakeStream = Callable[[], AnyStream]
WARM_UP_FRAMES = 3
FRAME_SECONDS = 1 / 30
PERCENTILES = (("p50", 0.5), ("p95", 0.95))
STAGES = ("align", "invert", "synthesize", "parse", "blend")


@dataclass(frozen=True)
class Measure:
    """What `n` sessions at once came to."""

    n: int
    fps: float
    """Frames a second, all sessions together."""
    frame_ms: Sequence[float]
    """For every frame, the milliseconds from when the path begins with it to when it is back."""
    stages: Mapping[str, Sequence[float]]
    """For every frame that went through a stage, its milliseconds."""
    face_frames: int
    edited_frames: int
    """Of these, a hurried one may show the faces made for the one before, moved along: see `stages`."""
    errors: Sequence[str]
    process_mb: float
    """Memory of the whole process while the sessions lived, MB."""

    def stage_ms(self) -> dict[str, float]:
        """The stages' medians; 0 for one that never ran."""
        return {stage: round(median(times), 2) if times else 0.0 for stage, times in self.stages.items()}

    def frame_percentiles(self) -> dict[str, float]:
        """The median and the 95th percentile of `frame_ms`."""
        return {name: round(percentile(self.frame_ms, share) or 0.0, 1) for name, share in PERCENTILES}

    def as_json(self, base_mb: float) -> dict[str, object]:
        """`memory_mb` is what the process grew by since it had `base_mb`, a session."""
        return {
            "n": self.n,
            "fps": round(self.fps, 2),
            "frame_ms": self.frame_percentiles(),
            "stage_ms": self.stage_ms(),
            "memory_mb": round((self.process_mb - base_mb) / self.n, 1),
            "process_mb": round(self.process_mb, 1),
            "frames": len(self.frame_ms),
            "face_frames": self.face_frames,
            "edited_frames": self.edited_frames,
            "generated_frames": len(self.stages["invert"]),
            "failed_frames": len(self.errors),
        }


def measure(
    make_stream: MakeStream, frames: Sequence[Pixels], edits: Mapping[str, float], n: int, seconds: float
) -> Measure:
    """Run `n` sessions for `seconds`, each handing in its next frame as soon as the last one is located.

    They share a worker like the server's, with as many frames of a session in hand, and are as hurried as where a
    camera is faster. `frames`, uint8 RGB, are played forwards and backwards, so that there is no cut, 30 a second: what
    a session does not come to in time is left out. Each starts elsewhere in them.
    """
    viewers = [_Viewer(make_stream(), frames, edits, i * len(frames) // n) for i in range(n)]
    worker = InferenceWorker(threads_for(), in_hand_for())
    try:
        for viewer in viewers:
            viewer.warm_up()
        begin = time.perf_counter()
        for viewer in viewers:
            viewer.start(worker, begin + seconds)
        worker.start()
        for viewer in viewers:
            viewer.done.wait()
        process_mb = memory_mb()
    finally:
        worker.stop()
        for viewer in viewers:
            viewer.stream.close()
    return _summarise(viewers, begin, process_mb)


def memory_mb() -> float:
    """Memory this process holds, MB."""
    gc.collect()
    return float(psutil.Process().memory_info().rss) / 1e6


@dataclass
class _FrameRecord:
    """What is kept of a session's frames; not the frames, which would count as the session's memory."""

    frame_ms: list[float] = field(default_factory=list)
    stages: dict[str, list[float]] = field(default_factory=lambda: {stage: [] for stage in STAGES})
    face_frames: int = 0
    edited_frames: int = 0
    errors: list[str] = field(default_factory=list)

    def add(self, result: StepResult, milliseconds: float) -> None:
        self.frame_ms.append(milliseconds)
        self.face_frames += result.face
        self.edited_frames += result.edited
        self.errors += [result.error] if result.error is not None else []
        for stage, taken in result.stage_ms.items():
            self.stages[stage].append(taken)


class _Viewer:
    """One session in a closed loop."""

    def __init__(self, stream: AnyStream, frames: Sequence[Pixels], edits: Mapping[str, float], offset: int):
        self.stream = stream
        self.tally = _FrameRecord()
        self.done = threading.Event()
        self.finished = 0.0
        self._frames = frames
        self._edits = edits
        self._offset = offset
        self._last = -1
        self._began: float | None = None
        self._offered = 0
        self._deadline = 0.0
        self._lane: Lane[bool] | None = None

    def warm_up(self) -> None:
        for _ in range(WARM_UP_FRAMES):
            self._step()

    def start(self, worker: InferenceWorker, deadline: float) -> None:
        """Hand in the first frame; the last is the one that is handed in before `deadline`."""
        self._deadline, self._began = deadline, time.perf_counter() - (self._last + 1) * FRAME_SECONDS
        self._lane = worker.lane(self._locate, self._generate, self._blend)
        self._offer(self._lane)

    def _offer(self, lane: Lane[bool]) -> None:
        self._offered += 1
        lane.offer(True)

    def _locate(self, _: bool) -> tuple[float, FrameRecord]:
        # Its time begins here, as where a newer frame takes the place of those that wait.
        began = time.perf_counter()
        with self._ending_on_a_fault():
            located = replace(self.stream.locate(*self._next_frame()), hurried=True)
        # A camera that is faster than the path: the next one is there.
        if self._lane is not None and time.perf_counter() < self._deadline:
            self._offer(self._lane)
        return began, located

    def _generate(self, work: tuple[float, FrameRecord]) -> tuple[float, FrameRecord]:
        began, located = work
        with self._ending_on_a_fault():
            return began, self.stream.generate(located, self._edits)

    def _blend(self, work: tuple[float, FrameRecord]) -> None:
        began, made = work
        with self._ending_on_a_fault():
            result = self.stream.blend(made)
        self.finished = time.perf_counter()
        self.tally.add(result, 1000 * (self.finished - began))
        with self._ending_on_a_fault():
            self.stream.catch_up()
        # Whether another frame comes was decided when this one was located.
        if len(self.tally.frame_ms) == self._offered:
            self.done.set()

    @contextmanager
    def _ending_on_a_fault(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.done.set()
            raise

    def _step(self) -> StepResult:
        frame, timestamp = self._next_frame()
        return self.stream.step(frame, self._edits, timestamp)

    def _next_frame(self) -> tuple[Pixels, float]:
        """The camera's newest, or the next one where there is none yet."""
        passed = 0.0 if self._began is None else time.perf_counter() - self._began
        self._last = max(self._last + 1, int(passed / FRAME_SECONDS))
        return self._frames[there_and_back(self._offset + self._last, len(self._frames))], self._last * FRAME_SECONDS


def there_and_back(step: int, count: int) -> int:
    """Count 0, 1, …, count − 1, count − 2, …, 1, 0, 1, …"""
    around = step % max(1, 2 * count - 2)
    return min(around, 2 * count - 2 - around)


def _summarise(viewers: Sequence[_Viewer], begin: float, process_mb: float) -> Measure:
    tallies = [viewer.tally for viewer in viewers]
    frame_ms = [milliseconds for tally in tallies for milliseconds in tally.frame_ms]
    return Measure(
        n=len(viewers),
        fps=len(frame_ms) / (max(viewer.finished for viewer in viewers) - begin),
        frame_ms=frame_ms,
        stages={stage: [taken for tally in tallies for taken in tally.stages[stage]] for stage in STAGES},
        face_frames=sum(tally.face_frames for tally in tallies),
        edited_frames=sum(tally.edited_frames for tally in tallies),
        errors=[error for tally in tallies for error in tally.errors],
        process_mb=process_mb,
    )
