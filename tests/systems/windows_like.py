"""Makes a Python of this machine like one of Windows, for our packages: what only POSIX has is hidden from them.

Beside that, nobody renames or removes a file that a process of this world has open, names that Windows forbids are
refused, text that is opened without naming its encoding is an error, and event loops have neither signal handlers nor
readers. Libraries are those of this machine, and see it as it is; paths keep its separator.
"""

from __future__ import annotations

import asyncio
import builtins
import os
import re
import signal
import sys
import sysconfig
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, NoReturn

OURS = ("rigid", "engines", "export", "aiortc_fixes", "server", "client", "cli")
POSIX_MODULES = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
POSIX_NAMES = {
    "os": """chown chroot confstr fchmod fchown fork forkpty geteuid getegid getgid getgroups getloadavg getpgid getpgrp
        getpriority getresuid getsid getuid initgroups killpg lchown mkfifo mknod nice openpty O_CLOEXEC O_DIRECTORY
        O_NOFOLLOW O_NONBLOCK O_SYNC O_TMPFILE pathconf pipe2 posix_fadvise posix_fallocate posix_spawn pread pwrite
        sched_getaffinity sched_setaffinity sched_yield sendfile setegid seteuid setgid setpgid setpriority setsid
        setuid statvfs sync sysconf tcgetpgrp ttyname uname wait wait3 wait4 waitid""",
    "signal": """SIGALRM SIGBUS SIGCHLD SIGCONT SIGHUP SIGIO SIGKILL SIGPIPE SIGQUIT SIGSTOP SIGTSTP SIGUSR1 SIGUSR2
        SIGWINCH alarm getitimer pause pthread_kill pthread_sigmask setitimer siginterrupt sigpending sigtimedwait
        sigwait sigwaitinfo""",
    "socket": "AF_UNIX AF_NETLINK AF_PACKET SO_REUSEPORT",
    "sys": "getdlopenflags setdlopenflags abiflags",
    "time": "pthread_getcpuclockid tzset",
}
POSIX_LOOP = """add_reader add_writer remove_reader remove_writer add_signal_handler remove_signal_handler
    create_unix_connection create_unix_server"""
OPEN_ELSEWHERE = "The process cannot access the file because it is being used by another process"
FORBIDDEN = re.compile(r'[<>:"|?*\x00-\x1f]|[. ]$|^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?$', re.IGNORECASE)
MARK = "RIGID_LIVE_TEST_WORLD"
"""A variable that processes of this world have."""
STANDARD_LIBRARY, LIBRARIES = sysconfig.get_path("stdlib"), sysconfig.get_path("purelib")
PROCESSOR = "A processor by its name in the registry"


class View(ModuleType):
    """A module without some of its names, and with others in their place."""

    _module: ModuleType
    _missing: list[str]

    def __init__(self, module: ModuleType, missing: str, changed: Mapping[str, object]) -> None:
        super().__init__(module.__name__)
        self.__dict__.update(_module=module, _missing=missing.split(), **changed)

    def __getattr__(self, name: str) -> object:
        if name in self._missing:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r} on Windows", name=name)
        return getattr(self._module, name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._module, name, value)


def install() -> None:
    """Make this process, and those that it starts in its environment, part of the world."""
    _hide_names()
    sys.addaudithook(_look_at)
    for name in POSIX_LOOP.split():
        setattr(asyncio.SelectorEventLoop, name, _refuse)
    warnings.filterwarnings("ignore", category=EncodingWarning)
    warnings.filterwarnings("error", category=EncodingWarning, module=rf"({'|'.join(OURS)})\b")


def _refuse(*given: object, **named: object) -> NoReturn:
    raise NotImplementedError


def _hide_names() -> None:
    changed: dict[str, dict[str, object]] = {
        "os": {"name": "nt", "kill": _terminate},
        "sys": {"platform": "win32"},
    }
    views: dict[str, ModuleType] = {
        name: View(__import__(name), missing, changed.get(name, {})) for name, missing in POSIX_NAMES.items()
    }
    views["winreg"] = _make_registry()
    take: Callable[..., ModuleType] = builtins.__import__

    def import_as_there(
        name: str, globals: Mapping[str, Any] | None = None, locals: Any = None, fromlist: Any = (), level: int = 0
    ) -> ModuleType:
        top = name.partition(".")[0]
        if globals is not None and _is_ours(globals):
            if top in POSIX_MODULES:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
            if name in views or (top in views and not fromlist):
                return views[top]
        return take(name, globals, locals, fromlist, level)

    builtins.__import__ = import_as_there


def _is_ours(names: Mapping[str, Any]) -> bool:
    return str(names.get("__package__") or names.get("__name__")).partition(".")[0] in OURS


def _terminate(pid: int, number: int) -> None:
    """`os.kill` ends a process at once there, whatever the signal."""
    os.kill(pid, signal.SIGKILL)


def _make_registry() -> ModuleType:
    """`winreg`, as far as it is used."""

    class Key:
        def __enter__(self) -> Key:
            return self

        def __exit__(self, *_: object) -> None: ...

    values = {"ProcessorNameString": (f"{PROCESSOR}   ", 1)}
    registry = ModuleType("winreg")
    registry.__dict__.update(
        HKEY_LOCAL_MACHINE=object(), OpenKey=lambda root, path: Key(), QueryValueEx=lambda key, name: values[name]
    )
    return registry


# ---- files


def _look_at(event: str, given: tuple[Any, ...]) -> None:
    """The audit hook: refuses what Windows does."""
    if event not in ("open", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink"):
        return
    if not _is_asked_by_us(sys._getframe().f_back):
        return
    if event == "open":
        path, _, flags = given
        if isinstance(path, str | bytes) and flags & os.O_CREAT:
            _check_name(os.fsdecode(path))
    elif event == "os.mkdir":
        _check_name(os.fsdecode(given[0]))
    elif event == "os.symlink":
        raise OSError(22, "A required privilege is not held by the client", os.fsdecode(given[0]))
    elif event == "os.rename":
        source, target, source_folder, target_folder = given
        _check_name(os.fsdecode(target))
        _check_closed(source, source_folder)
        _check_closed(target, target_folder)
    else:
        _check_closed(*given)


def _is_asked_by_us(frame: FrameType | None) -> bool:
    """Whether the first to ask that is no part of Python itself is ours."""
    while frame is not None:
        file, inside = frame.f_code.co_filename, frame.f_globals
        if _is_ours(inside):
            return True
        is_python = file.startswith(("<", STANDARD_LIBRARY)) and not file.startswith(LIBRARIES)
        # On POSIX it is removed while it is open; on Windows the system does that at its end.
        if not is_python or frame.f_code.co_name == "TemporaryFile":
            return False
        frame = frame.f_back
    return False


def _check_name(path: str) -> None:
    for part in Path(os.path.abspath(path)).parts[1:]:
        if FORBIDDEN.search(part):
            raise OSError(22, "The filename, directory name, or volume label syntax is incorrect", path)


def _check_closed(path: str | bytes, folder: int = -1) -> None:
    base = os.readlink(f"/proc/self/fd/{folder}") if folder >= 0 else os.getcwd()
    whole = os.path.realpath(os.path.join(base, os.fsdecode(path)))
    for opened in _list_open():
        if opened == whole or opened.startswith(whole + "/"):
            raise PermissionError(13, OPEN_ELSEWHERE, whole)


def _list_open() -> Iterator[str]:
    """Files that processes of this world have open, or have in their memory."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if MARK.encode() not in (process / "environ").read_bytes():
                continue
            for entry in os.scandir(process / "fd"):
                with suppress(OSError):
                    yield os.readlink(entry.path)
            for line in (process / "maps").read_text("utf-8", "surrogateescape").splitlines():
                yield line[73:]
