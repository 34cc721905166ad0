"""Items made on a thread of their own, a few ahead of who takes them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")


@contextmanager
def read_ahead(items: Iterable[T], count: int) -> Iterator[Iterator[T]]:
    """The `items`, at most `count` of them waiting; what fails in making them is raised where they are taken.

    Nobody else takes from `items` before the block has ended, which waits for the thread.
    """
    ahead = _Ahead[T](count)
    thread = threading.Thread(target=ahead.make, args=(items,), name="read ahead", daemon=True)
    thread.start()
    try:
        yield ahead.take()
    finally:
        ahead.stopped.set()
        thread.join()


class _Ahead(Generic[T]):
    """What waits between the thread that makes items and the one that takes them."""

    def __init__(self, count: int) -> None:
        self.stopped = threading.Event()
        self._waiting: queue.Queue[tuple[bool, T | BaseException | None]] = queue.Queue(count)

    def make(self, items: Iterable[T]) -> None:
        """Make the items until nobody wants them any more."""
        try:
            for item in items:
                if not self._put((True, item)):
                    return
            self._put((False, None))
        except BaseException as error:  # whatever it is, the one who takes has to know
            self._put((False, error))

    def take(self) -> Iterator[T]:
        """Take the items as they are ready."""
        while True:
            more, item = self._waiting.get()
            if more:
                yield item  # type: ignore[misc]
            elif isinstance(item, BaseException):
                raise item
            else:
                return

    def _put(self, entry: tuple[bool, T | BaseException | None]) -> bool:
        """Whether `entry` was put before nobody wanted it any more."""
        while not self.stopped.is_set():
            try:
                self._waiting.put(entry, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False
