"""What operating systems offer each in its own way: processors, and bounds to what a process may take."""

from __future__ import annotations

import _thread
import os
import platform
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import psutil

WATCH_SECONDS = 0.05
"""How often a process that the system does not bound looks at itself."""
TOO_MUCH = 3
"""The exit status of a process that took more than it may."""
MACOS_DESCRIPTORS = 10_240


def count_cores() -> int:
    """Count the cores that this process may use."""
    # Windows and macOS lack it; Python's own count of these comes with 3.13.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def name_processor() -> str:
    """Name the processor as its maker does, as far as the system tells."""
    readers = {"linux": _read_cpuinfo, "win32": _read_registry, "darwin": _read_sysctl}
    reader = readers.get(sys.platform)
    try:
        name = reader() if reader is not None else ""
    except (OSError, subprocess.SubprocessError):
        name = ""
    return name.strip() or platform.processor() or platform.machine()


def _read_cpuinfo() -> str:
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    return next((line.partition(":")[2] for line in lines if line.startswith("model name")), "")


def _read_registry() -> str:
    # Another system's Python is without it.
    import winreg

    with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"HARDWARE\DESCRIPTION\System\CentralProcessor\0") as key:  # type: ignore[attr-defined]
        return str(winreg.QueryValueEx(key, "ProcessorNameString")[0])  # type: ignore[attr-defined]


def _read_sysctl() -> str:
    command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=True, timeout=5).stdout


def interrupt_main_thread() -> None:
    """Raise KeyboardInterrupt in the main thread, as Ctrl-C does; where the system allows it, also while that waits."""
    if sys.platform == "win32":
        _thread.interrupt_main()
    else:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def raise_descriptor_limit(most: int) -> int | None:
    """Allow this process up to `most` descriptors; how many it has now, None where the system sets no such limit."""
    try:
        import resource
    except ImportError:
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = most if hard == resource.RLIM_INFINITY else min(hard, most)
    # macOS says that there is no limit, and may refuse what is above its own.
    for wanted in (allowed, min(allowed, MACOS_DESCRIPTORS)):
        if soft < wanted:
            with suppress(ValueError, OSError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
                return wanted
    return soft


def limit_process(memory_bytes: int, cpu_seconds: int) -> None:
    """End this process, or let its allocations fail, once it takes more memory or time of the processor.

    Linux bounds both itself. Elsewhere a thread looks now and then, and ends the process with status `TOO_MUCH`.
    """
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))
    else:
        threading.Thread(target=_watch, args=(memory_bytes, cpu_seconds), name="limits", daemon=True).start()


def _watch(memory_bytes: int, cpu_seconds: int) -> None:
    process, waiting = psutil.Process(), threading.Event()
    while not waiting.wait(WATCH_SECONDS):
        spent = process.cpu_times()
        if process.memory_info().rss > memory_bytes or spent.user + spent.system > cpu_seconds:
            os._exit(TOO_MUCH)
