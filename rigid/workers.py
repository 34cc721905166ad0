"""Processes that work through a list of tasks, and outlive a task that takes its process down with it."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from threading import Thread
from typing import Generic, TypeVar

from rigid.operating_system import interrupt_main_thread

STOP_SECONDS = 10.0

Task = TypeVar("Task")
Result = TypeVar("Result")


class TaskError(Exception):
    """A task failed; the text is one sentence for the user."""


@dataclass(frozen=True)
class Outcome(Generic[Task, Result]):
    """What became of a task: a result, or the sentence that says why there is none."""

    task: Task
    result: Result | None
    error: str | None


def work_through(
    tasks: Sequence[Task], open_worker: Callable[[], Callable[[Task], Result]], processes: int
) -> Generator[Outcome[Task, Result], None, None]:
    """Do `tasks`, in their order, in that many processes; the outcomes come as they are ready.

    `open_worker` is called once in each process, for what takes long to load, and gives the function that does a
    task; it and the tasks are pickled. A task that raises, or whose process dies, has an outcome with `error`; the
    others go on. Closing the iterator ends the processes.
    """
    waiting = list(reversed(tasks))
    workers: list[_Worker[Task, Result]] = []
    try:
        for _ in range(min(processes, len(tasks))):
            workers.append(_Worker(open_worker))
            workers[-1].give(waiting.pop())
        while workers:
            for ready in wait([worker.connection for worker in workers]):
                worker = next(worker for worker in workers if worker.connection is ready)
                yield worker.outcome()
                if worker.dead:
                    workers.remove(worker)
                    worker.stop()
                    if waiting:
                        workers.append(_Worker(open_worker))
                        workers[-1].give(waiting.pop())
                elif waiting:
                    worker.give(waiting.pop())
                else:
                    workers.remove(worker)
                    worker.stop()
    finally:
        for worker in workers:
            # as Ctrl-C does it: what is half written is removed
            worker.interrupt()
        for worker in workers:
            worker.stop()


class _Worker(Generic[Task, Result]):
    """One process and the task it is at."""

    def __init__(self, open_worker: Callable[[], Callable[[Task], Result]]) -> None:
        # A fork would copy the threads' locks of the libraries that are loaded here, held for ever.
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        told, self._give_up = context.Pipe(duplex=False)
        self.process: BaseProcess = context.Process(target=_serve, args=(theirs, told, open_worker), daemon=True)
        self.process.start()
        theirs.close()
        told.close()
        self.dead = False
        self._task: Task | None = None

    def give(self, task: Task) -> None:
        self._task = task
        # A process that is already gone is told of by `outcome`.
        with suppress(BrokenPipeError):
            self.connection.send(task)

    def outcome(self) -> Outcome[Task, Result]:
        """What became of the task it has; waits for it."""
        task = self._task
        assert task is not None
        try:
            result, error = self.connection.recv()
        except (EOFError, ConnectionResetError):
            self.process.join(STOP_SECONDS)
            self.dead = True
            return Outcome(task, None, f"the process that did it ended ({_ending(self.process.exitcode)})")
        return Outcome(task, result, error)

    def interrupt(self) -> None:
        """Tell the process to give up what it is at."""
        # Not by a signal, with which Windows ends a process at once.
        with suppress(BrokenPipeError):
            self._give_up.send(None)

    def stop(self) -> None:
        """End the process once it is done with what it has."""
        self.connection.close()
        self.process.join(STOP_SECONDS)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.process.close()
        self._give_up.close()


def _ending(code: int | None) -> str:
    if code is None or code >= 0:
        return f"status {code}"
    name = signal.Signals(-code).name
    return f"{name}, perhaps for want of memory" if name == "SIGKILL" else name


def _serve(connection: Connection, told: Connection, open_worker: Callable[[], Callable[[Task], Result]]) -> None:
    """The process: takes tasks until the other side closes, and gives up what it is at where it is `told` to."""
    # a shell's background job ignores what interrupts the work here, and so would its processes
    signal.signal(signal.SIGINT, signal.default_int_handler)
    Thread(target=_wait_to_give_up, args=(told,), name="giving up", daemon=True).start()
    work: Callable[[Task], Result] | None = None
    # On Ctrl-C this process ends as quietly as on its last task; the one that started it says what is to be said.
    with suppress(EOFError, KeyboardInterrupt, BrokenPipeError):
        while True:
            task = connection.recv()
            try:
                work = work or open_worker()
                answer: tuple[Result | None, str | None] = work(task), None
            # Whatever one file makes a codec, an engine or our own code do, the other files are still to be done.
            except Exception as error:
                answer = None, sentence(error)
            connection.send(answer)


def _wait_to_give_up(told: Connection) -> None:
    """Wait until the process that started this one says so, or is gone."""
    with suppress(EOFError, OSError):
        told.recv()
    interrupt_main_thread()


def sentence(error: Exception) -> str:
    """What to tell the user of a task that failed."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'a file'}: {error.strerror}"
    lines = str(error).splitlines()
    told = lines[0] if lines else "no reason is given"
    return told if isinstance(error, ValueError | TaskError) else f"{type(error).__name__}: {told}"
