"""A stream's frames with their stages overlapped: while one is generated, the next is located and the last blended."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

from rigid.arrays import Pixels
from rigid.stream.face_stream import StepResult
from rigid.stream.frame_record import FrameRecord
from rigid.stream.group_stream import AnyStream


class Step(NamedTuple):
    """What `FaceStream.step` is given."""

    frame: Pixels
    edits: Mapping[str, float]
    timestamp: float


def overlapped(stream: AnyStream, steps: Iterable[Step]) -> Generator[StepResult, None, None]:
    """What `stream.step` gives for each of `steps`, in order; nobody else uses the stream meanwhile.

    Frames are located and blended on two threads of their own and generated on the caller's; closing the generator
    waits for both. `steps` is read two frames ahead of what is given. ValueError for a frame of another shape or type.
    Where a frame cannot be blended, the next one passes too: it was generated before that was known.
    """
    # one thread each keeps a stage's frames in order
    with ThreadPoolExecutor(1, "locate") as locating, ThreadPoolExecutor(1, "blend") as blending:
        coming = iter(steps)

        def locate_next() -> tuple[Step, Future[FrameRecord]] | None:
            step = next(coming, None)
            return None if step is None else (step, locating.submit(stream.locate, step.frame, step.timestamp))

        blended: Future[StepResult] | None = None
        ahead = locate_next()
        while ahead is not None:
            step, located = ahead[0], ahead[1].result()
            ahead = locate_next()
            made = stream.generate(located, step.edits)
            last, blended = blended, blending.submit(stream.blend, made)
            if last is not None:
                yield last.result()
        if blended is not None:
            yield blended.result()
