"""`python -m scripts.measure_first_picture CLIP`: how long after its offer a client has its first edited picture.

A server with the real networks and a client in Python, two processes, speak over the loopback; each step is noted as
it first ends, by the system's one monotonic clock. For docs/performance.md.
"""

from __future__ import annotations

import asyncio
import inspect
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import wraps
from multiprocessing import Queue
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from aiortc import RTCDtlsTransport, RTCIceTransport, RTCPeerConnection
from aiortc.codecs.vpx import Vp8Decoder, Vp8Encoder

from cli.main import main as run_program
from client.python.connection import AsyncClient
from rigid.arrays import Pixels
from rigid.files.clips import read_frames
from scripts.measure_frame import whole
from server.frames.frame_editor import FrameEditor, SessionFrame
from server.session.manager import SessionManager

ADDRESS, PORT = "http://127.0.0.1", 8765
ROUNDS, SECONDS, FPS = 6, 5.0, 30


class Step(NamedTuple):
    """What is noted, as it ends, of a method of the client's or the server's process."""

    label: str
    owner: type
    method: str
    counts: Callable[[Any], bool] = lambda answer: True


def is_edited(frame: SessionFrame) -> bool:
    return frame.record is not None and any(face.level > 0 for face in frame.record.members.values())


OFFER = Step("client: offer made", RTCPeerConnection, "setLocalDescription")
STEPS = (
    OFFER,
    Step("server: answered", SessionManager, "open"),
    Step("client: ICE", RTCIceTransport, "start"),
    Step("client: DTLS", RTCDtlsTransport, "start"),
    Step("client: first picture encoded", Vp8Encoder, "encode"),
    Step("server: decoded", Vp8Decoder, "decode"),
    Step("server: face looked for", FrameEditor, "locate"),
    Step("server: through the networks", FrameEditor, "generate", is_edited),
    Step("server: edit put in", FrameEditor, "finish"),
    Step("server: encoded", Vp8Encoder, "encode"),
    Step("client: edited picture decoded", Vp8Decoder, "decode"),
)
Note = tuple[float, float, str]
"""When, the process's processor time by then, and what."""


def main() -> None:
    frames = [whole(frame) for frame, _ in read_frames(Path(sys.argv[1]), FPS)]
    context = multiprocessing.get_context("spawn")
    notes: Queue[Note] = context.Queue()
    server = context.Process(target=serve, args=(notes,), daemon=True)
    server.start()
    note_steps("client", notes)
    try:
        wait_until_ready()
        rounds = [follow(play(frames, notes)) for _ in range(ROUNDS)]
    finally:
        server.terminate()
        server.join()
    for number, step in enumerate(STEPS):
        clock, processor = ([1e3 * one[number][i] for one in rounds] for i in (0, 1))
        each = " ".join(f"{milliseconds:5.0f}" for milliseconds in clock)
        work = f"{statistics.median(processor):4.0f} ms of work"
        print(f"{step.label:32} {statistics.median(clock):5.0f} ms ({each}), {work}")


def serve(notes: Queue[Note]) -> None:
    note_steps("server", notes)
    sys.argv = ["rigid-live", "serve", "--port", str(PORT)]
    run_program()


def note_steps(side: str, notes: Queue[Note]) -> None:
    """Let this process tell when its steps end."""
    for step in STEPS:
        if step.label.startswith(side):
            setattr(step.owner, step.method, noting(step, getattr(step.owner, step.method), notes))


def noting(step: Step, method: Callable[..., Any], notes: Queue[Note]) -> Callable[..., Any]:
    def note(answer: Any) -> Any:
        if step.counts(answer):
            notes.put((time.monotonic(), time.process_time(), step.label))
        return answer

    @wraps(method)
    async def later(*given: Any) -> Any:
        return note(await method(*given))

    @wraps(method)
    def now(*given: Any, **named: Any) -> Any:
        return note(method(*given, **named))

    return later if inspect.iscoroutinefunction(method) else now


def wait_until_ready() -> None:
    while True:
        try:
            if httpx.get(f"{ADDRESS}:{PORT}/readyz").is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)


def play(frames: Sequence[Pixels], notes: Queue[Note]) -> list[Note]:
    """Be a viewer for some seconds; what was noted meanwhile."""

    async def view() -> None:
        async with AsyncClient(f"{ADDRESS}:{PORT}", smile=1.0) as live:
            for number in range(round(SECONDS * FPS)):
                live.send(frames[number % len(frames)])
                await asyncio.sleep(1 / FPS)

    asyncio.run(view())
    noted = []
    while not notes.empty():
        noted.append(notes.get())
    return sorted(noted)


def follow(noted: Sequence[Note]) -> list[tuple[float, float]]:
    """Of each step in turn the first end after the step before: seconds since the offer, and of its process's work."""
    begins: dict[str, float] = {}
    found: list[tuple[float, float]] = []
    at = offered = 0.0
    for step in STEPS:
        after = [note for note in noted if note[2] == step.label and note[0] >= at]
        if not after:
            raise SystemExit(f"Within {SECONDS:g} s there was no end of: {step.label}.")
        at, work, _ = after[0]
        offered = offered or at
        begin = begins.setdefault(step.label.partition(":")[0], work)
        found.append((at - offered, work - begin))
    return found


if __name__ == "__main__":
    main()
