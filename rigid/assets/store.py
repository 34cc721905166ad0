"""The model store: every asset of the manifest, fetched once, verified, kept in a cache folder."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from rigid.assets.sources import Carriers, Source, SourceError, copy_file

CACHE_VARIABLE = "RIGID_LIVE_CACHE"
MANIFEST = Path(__file__).with_name("manifest.json")


class AssetError(Exception):
    """An asset cannot be had; the text is one sentence for the user: what failed, why, and what to do."""


@dataclass(frozen=True)
class AssetFile:
    """What a file of an asset must be."""

    name: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Asset:
    """One entry of the manifest: files that belong together, and where to get them, best source first."""

    name: str
    description: str
    licence: str
    files: tuple[AssetFile, ...]
    sources: tuple[Source, ...]

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.size for file in self.files)


def read_manifest(path: Path = MANIFEST) -> dict[str, Asset]:
    """The assets of a manifest file, by name."""
    return {name: _asset(name, entry) for name, entry in json.loads(path.read_text("utf-8")).items()}


def _asset(name: str, entry: Mapping[str, object]) -> Asset:
    files, sources = entry["files"], entry["sources"]
    assert isinstance(files, list) and isinstance(sources, list)
    return Asset(
        name=name,
        description=str(entry["description"]),
        licence=str(entry["licence"]),
        files=tuple(AssetFile(**file) for file in files),
        sources=tuple(Source(**source) for source in sources),
    )


class AssetStore:
    """Hands out verified files of the manifest's assets, fetching what is missing.

    The cache is `cache_dir`, else `$RIGID_LIVE_CACHE`, else `~/.cache/rigid-live`. Several processes may share
    it: one at a time fetches an asset, the others wait and use what it got.
    """

    def __init__(self, cache_dir: Path | None = None, *, manifest: Mapping[str, Asset] | None = None) -> None:
        self.cache_dir = (cache_dir or default_cache_dir()).expanduser().absolute()
        self.manifest: Mapping[str, Asset] = read_manifest() if manifest is None else manifest
        self._verified: set[str] = set()

    def ensure(self, asset: str) -> Path:
        """The folder that holds the verified files of `asset`; raises AssetError when they cannot be had."""
        self.ensure_all([asset])
        return self.folder(asset)

    def ensure_all(self, assets: Iterable[str]) -> None:
        """Fetch what is missing of several assets; a package that carries two of them is fetched once."""
        missing = sorted({name for name in assets if not self._is_ready(name)})
        if not missing:
            return
        with explain_cache(self.cache_dir), ExitStack() as stack:
            # Sorted, so that two processes never wait for each other.
            for name in missing:
                stack.enter_context(self._lock(name))
            scratch = self._scratch(missing[0])
            stack.callback(shutil.rmtree, scratch, ignore_errors=True)
            carriers = Carriers(scratch)
            for name in missing:
                self._fetch(self.manifest[name], carriers)

    def file(self, asset: str, file_name: str) -> Path:
        """The path of one verified file of `asset`."""
        names = [file.name for file in self._entry(asset).files]
        if file_name not in names:
            raise AssetError(f"The asset {asset!r} has no file {file_name!r}; it has: {', '.join(names)}.")
        return self.ensure(asset) / file_name

    def folder(self, asset: str) -> Path:
        """Return where the files of `asset` lie once they are fetched."""
        return self.cache_dir / "assets" / self._entry(asset).name

    def problems(self, asset: str) -> list[str]:
        """What keeps the cached files of `asset` from being used, a clause each; empty when all is well."""
        found = ((file, self.folder(asset) / file.name) for file in self._entry(asset).files)
        return [f"{file.name} {problem}" for file, path in found if (problem := _problem(path, file))]

    def _entry(self, asset: str) -> Asset:
        if asset not in self.manifest:
            raise AssetError(f"There is no asset {asset!r}; the assets are: {', '.join(self.manifest)}.")
        return self.manifest[asset]

    def _is_ready(self, asset: str) -> bool:
        """True when all files are there and right; they are hashed once in a store's life."""
        if asset not in self._verified:
            if self.problems(asset):
                return False
            self._verified.add(asset)
        return True

    @contextmanager
    def _lock(self, asset: str) -> Iterator[None]:
        locks = self.cache_dir / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        lock = FileLock(locks / f"{asset}.lock")
        try:
            lock.acquire(timeout=1)
        except Timeout:
            print(f"Waiting for another process that is fetching {asset} ...", file=sys.stderr, flush=True)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def _scratch(self, asset: str) -> Path:
        """An empty folder for packages; what an interrupted run left in it goes away."""
        scratch = self.cache_dir / "scratch" / asset
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        return scratch

    def _fetch(self, asset: Asset, carriers: Carriers) -> None:
        folder = self.folder(asset.name)
        folder.mkdir(parents=True, exist_ok=True)
        for file in asset.files:
            # Another process may have fetched it while this one waited for the lock.
            if _problem(folder / file.name, file):
                _fetch_file(asset, file, folder, carriers)
        self._verified.add(asset.name)


def default_cache_dir() -> Path:
    """`$RIGID_LIVE_CACHE`, else `~/.cache/rigid-live`."""
    return Path(os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "rigid-live")


def _fetch_file(asset: Asset, file: AssetFile, folder: Path, carriers: Carriers) -> None:
    """Try the sources in order; the file appears under its name only when it is whole and right."""
    reasons: list[str] = []
    remedies: list[str] = []
    part = folder / f"{file.name}.part"
    for source in asset.sources:
        try:
            _fetch_part(source, file, part, carriers)
        except SourceError as error:
            reasons.append(f"{source}: {error}")
            remedies.append(error.remedy)
        else:
            part.replace(folder / file.name)
            return
    remedy = next(filter(None, remedies), "check the network connection")
    raise AssetError(
        f"Cannot fetch {file.name} of the asset {asset.name!r} ({'; '.join(reasons)}); {remedy} and run this again, or "
        f"put the file into {folder} by hand."
    )


def _fetch_part(source: Source, file: AssetFile, part: Path, carriers: Carriers) -> None:
    """Write `part` and check it; what an earlier run left of a download is continued once, then begun anew."""
    continued = source.kind == "url" and part.exists()
    try:
        copy_file(source, file.name, part, file.size, carriers)
    except (OSError, SourceError) as error:
        # Only the beginning of a download is of use later.
        if source.kind != "url" or isinstance(error, OSError):
            part.unlink(missing_ok=True)
        raise
    problem = _problem(part, file)
    if problem:
        part.unlink()
        if not continued:
            raise SourceError(f"the file it gave {problem}")
        _fetch_part(source, file, part, carriers)


def _problem(path: Path, file: AssetFile) -> str | None:
    if not path.is_file():
        return "is missing"
    size = path.stat().st_size
    if size != file.size:
        return f"has {size} bytes, not {file.size}"
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    return None if found == file.sha256 else f"has the SHA-256 {found[:12]}…, not {file.sha256[:12]}…"


@contextmanager
def explain_cache(cache_dir: Path) -> Iterator[None]:
    """Turn what the operating system says about the cache folder into one sentence."""
    try:
        yield
    except OSError as error:
        what = "is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else f"cannot be written ({error.strerror})"
        raise AssetError(
            f"The cache folder {cache_dir} {what}; make room or rights there, "
            f"or set {CACHE_VARIABLE} to a folder on another disk."
        ) from error
