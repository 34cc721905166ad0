"""A signal after an engine is gone: Python's handlers run on the alternate signal stack, which must still be there."""

from __future__ import annotations

import faulthandler
import multiprocessing
import signal
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from engines import find_installed_engines
from tests.engines.available import open_engine
from tests.networks import export_once, random_networks

pytestmark = pytest.mark.slow


def close_all_elsewhere_and_signal(engines: Sequence[str], folder: Path) -> None:
    # It gives the thread an alternate stack of its own, which an engine must hand back.
    faulthandler.enable()
    for engine in engines:
        print(engine)
        close_elsewhere_and_signal(engine, folder)


def close_elsewhere_and_signal(engine: str, folder: Path) -> None:
    """Two engines opened on this thread and closed on another, oldest first, then a signal to this one."""
    runtimes = [open_engine(engine, random_networks(), folder) for _ in range(2)]

    def close_all() -> None:
        while runtimes:
            runtimes.pop(0).close()

    closing = threading.Thread(target=close_all)
    closing.start()
    closing.join()
    seen: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: seen.append(number))
    signal.raise_signal(signal.SIGTERM)
    assert seen == [signal.SIGTERM]


def test_a_signal_is_handled_after_engines_were_closed_on_another_thread() -> None:
    folder = export_once()
    arguments = (find_installed_engines(), folder)
    # In one process, as what takes longest is to import what they need.
    child = multiprocessing.get_context("spawn").Process(target=close_all_elsewhere_and_signal, args=arguments)
    child.start()
    child.join()
    assert child.exitcode == 0
