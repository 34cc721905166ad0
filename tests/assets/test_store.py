"""The model store, with packages, folders and a file server made by hand."""

from __future__ import annotations

import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
import textwrap
import zipfile
from pathlib import Path

import pytest

from rigid.assets.sources import Source
from rigid.assets.store import Asset, AssetError, AssetFile, AssetStore, default_cache_dir, read_manifest
from tests.loopback import serving

CONTENT = bytes(range(256)) * 40


def asset_of(*sources: Source, name: str = "thing", content: bytes = CONTENT) -> Asset:
    file = AssetFile("weights.bin", hashlib.sha256(content).hexdigest(), len(content))
    return Asset(name, "A thing.", "CC0-1.0", (file,), sources)


def store_of(tmp_path: Path, *assets: Asset) -> AssetStore:
    return AssetStore(tmp_path / "cache", manifest={asset.name: asset for asset in assets})


def folder_source(tmp_path: Path, content: bytes = CONTENT) -> Source:
    folder = tmp_path / "mirror"
    folder.mkdir(exist_ok=True)
    (folder / "weights.bin").write_bytes(content)
    return Source("folder", str(folder))


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock"}


def wheel(folder: Path, members: dict[str, bytes]) -> None:
    """A wheel `carrier` 1.0 that holds `members`."""
    folder.mkdir(exist_ok=True)
    info = "carrier-1.0.dist-info"
    with zipfile.ZipFile(folder / "carrier-1.0-py3-none-any.whl", "w") as package:
        for name, content in members.items():
            package.writestr(name, content)
        package.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: carrier\nVersion: 1.0\n")
        package.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        package.writestr(f"{info}/RECORD", "")


def sdist(folder: Path, members: dict[str, bytes]) -> None:
    """An sdist `carrier` 1.0 that holds `members`, with a build backend of its own, so that no network is needed."""
    backend = """
        def prepare_metadata_for_build_wheel(folder, config_settings=None):
            import os
            os.makedirs(os.path.join(folder, "carrier-1.0.dist-info"))
            with open(os.path.join(folder, "carrier-1.0.dist-info", "METADATA"), "w") as metadata:
                metadata.write("Metadata-Version: 2.1\\nName: carrier\\nVersion: 1.0\\n")
            return "carrier-1.0.dist-info"
        """
    own = {
        "PKG-INFO": b"Metadata-Version: 2.1\nName: carrier\nVersion: 1.0\n",
        "pyproject.toml": b'[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
        "backend.py": textwrap.dedent(backend).encode(),
    }
    folder.mkdir(exist_ok=True)
    with tarfile.open(folder / "carrier-1.0.tar.gz", "w:gz") as package:
        for name, content in {**own, **members}.items():
            header = tarfile.TarInfo(f"carrier-1.0/{name}")
            header.size = len(content)
            package.addfile(header, io.BytesIO(content))


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes packages from, and from nowhere else."""
    folder = tmp_path / "packages"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_manifest_is_complete() -> None:
    manifest = read_manifest()
    assert set(manifest) == {"generator", "face-landmarks", "perceptual", "identity", "face-labels"}
    for asset in manifest.values():
        assert asset.licence and asset.description and asset.sources
        assert all(re.fullmatch("[0-9a-f]{64}", file.sha256) and file.size > 0 for file in asset.files)
        assert all("==" in s.location or "@" in s.location or s.location.startswith("https://") for s in asset.sources)


def test_a_file_is_copied_from_a_folder(tmp_path: Path) -> None:
    store = store_of(tmp_path, asset_of(folder_source(tmp_path)))
    assert store.file("thing", "weights.bin").read_bytes() == CONTENT
    assert store.ensure("thing") == store.folder("thing")
    assert files_below(store.cache_dir) == {"assets/thing/weights.bin"}


def test_a_file_is_read_out_of_a_wheel(tmp_path: Path, packages: Path) -> None:
    wheel(packages, {"carrier/data/weights.bin": CONTENT})
    store = store_of(tmp_path, asset_of(Source("pypi", "carrier==1.0", "carrier/data")))
    assert store.file("thing", "weights.bin").read_bytes() == CONTENT
    assert files_below(store.cache_dir) == {"assets/thing/weights.bin"}


@pytest.mark.slow
def test_a_file_is_read_out_of_an_sdist_and_nothing_of_it_is_run(tmp_path: Path, packages: Path) -> None:
    ran = tmp_path / "ran"
    script = f"open({str(ran)!r}, 'w').close()\n".encode()
    sdist(packages, {"data/weights.bin": CONTENT, "backend.py": script, "setup.py": script})
    archive = packages / "carrier-1.0.tar.gz"
    size = archive.stat().st_size
    store = store_of(tmp_path, asset_of(Source("pypi", "carrier==1.0", "carrier-1.0/data", size, archive.name)))
    assert store.file("thing", "weights.bin").read_bytes() == CONTENT
    assert files_below(store.cache_dir) == {"assets/thing/weights.bin"}
    # without the archive's name only a wheel is taken
    other = store_of(tmp_path / "other", asset_of(Source("pypi", "carrier==1.0", "carrier-1.0/data")))
    with pytest.raises(AssetError, match="carrier"):
        other.file("thing", "weights.bin")
    missing = Source("pypi", "carrier==1.0", "carrier-1.0/data", size, "carrier-2.0.tar.gz")
    with pytest.raises(AssetError, match=r"the index has no carrier-2\.0\.tar\.gz"):
        store_of(tmp_path / "third", asset_of(missing)).file("thing", "weights.bin")
    assert not ran.exists()


def test_a_package_that_carries_two_assets_is_downloaded_once(
    tmp_path: Path, packages: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wheel(packages, {"carrier/a/weights.bin": CONTENT, "carrier/b/weights.bin": b"other"})
    first = asset_of(Source("pypi", "carrier==1.0", "carrier/a"), name="first")
    second = asset_of(Source("pypi", "carrier==1.0", "carrier/b"), name="second", content=b"other")
    store = store_of(tmp_path, first, second)
    store.ensure_all(["second", "first"])
    assert store.file("second", "weights.bin").read_bytes() == b"other"
    assert capsys.readouterr().err.count("Fetching PyPI package carrier==1.0 ...") == 1


def test_what_a_package_lacks_is_said(tmp_path: Path, packages: Path) -> None:
    wheel(packages, {"carrier/weights.bin": CONTENT})
    store = store_of(tmp_path, asset_of(Source("pypi", "carrier==1.0", "elsewhere")))
    with pytest.raises(AssetError, match="there is no file elsewhere/weights.bin in it"):
        store.ensure("thing")


def test_a_damaged_package_is_said(tmp_path: Path, packages: Path) -> None:
    wheel(packages, {"carrier/weights.bin": CONTENT})
    package = packages / "carrier-1.0-py3-none-any.whl"
    package.write_bytes(package.read_bytes().replace(CONTENT, CONTENT[::-1]))
    store = store_of(tmp_path, asset_of(Source("pypi", "carrier==1.0", "carrier")))
    with pytest.raises(AssetError, match="PyPI package carrier==1.0: the package file is damaged"):
        store.ensure("thing")
    assert files_below(store.cache_dir) == set()


def test_a_package_that_cannot_be_had_gives_the_downloaders_reason(tmp_path: Path, packages: Path) -> None:
    store = store_of(tmp_path, asset_of(Source("pypi", "carrier==1.0", "carrier")))
    with pytest.raises(AssetError, match=r"PyPI package carrier==1.0: .*carrier==1.0.*check the network connection"):
        store.ensure("thing")
    assert files_below(store.cache_dir) == set()


def test_npm_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    store = store_of(tmp_path, asset_of(Source("npm", "@scope/carrier@1.0.0", "package")))
    with pytest.raises(AssetError, match="the program npm, which is not installed"):
        store.ensure("thing")


def test_a_file_is_read_out_of_an_npm_tarball(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The downloader is a stand-in: it writes what `npm pack` would into the folder it is told."""
    program = tmp_path / "bin" / "npm"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\n"
        "import io, sys, tarfile\n"
        "content = bytes(range(256)) * 40\n"
        "folder = sys.argv[sys.argv.index('--pack-destination') + 1]\n"
        "with tarfile.open(folder + '/carrier-1.0.0.tgz', 'w:gz') as package:\n"
        "    header = tarfile.TarInfo('package/model/weights.bin')\n"
        "    header.size = len(content)\n"
        "    package.addfile(header, io.BytesIO(content))\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    store = store_of(tmp_path, asset_of(Source("npm", "@scope/carrier@1.0.0", "package/model")))
    assert store.file("thing", "weights.bin").read_bytes() == CONTENT
    assert files_below(store.cache_dir) == {"assets/thing/weights.bin"}


def test_a_file_is_downloaded(tmp_path: Path) -> None:
    with serving({"/a/weights.bin": CONTENT}) as server:
        store = store_of(tmp_path, asset_of(Source("url", f"{server.url}/a/")))
        assert store.file("thing", "weights.bin").read_bytes() == CONTENT
        assert server.requests == [("/a/weights.bin", None)]


def test_a_download_cut_short_is_resumed(tmp_path: Path) -> None:
    with serving({"/weights.bin": CONTENT}) as server:
        server.cut_after = 6000
        store = store_of(tmp_path, asset_of(Source("url", server.url)))
        assert store.file("thing", "weights.bin").read_bytes() == CONTENT
        assert server.requests == [("/weights.bin", None), ("/weights.bin", "bytes=6000-")]


def test_a_later_run_continues_where_an_earlier_one_was_cut(tmp_path: Path) -> None:
    with serving({"/weights.bin": CONTENT}) as server:
        server.cut_after = 100
        asset = asset_of(Source("url", server.url))
        with pytest.raises(AssetError, match=f"the connection ended after 300 of {len(CONTENT)} bytes"):
            store_of(tmp_path, asset).ensure("thing")
        server.cut_after = None
        store = store_of(tmp_path, asset)
        assert files_below(store.cache_dir) == {"assets/thing/weights.bin.part"}
        assert store.file("thing", "weights.bin").read_bytes() == CONTENT
        assert server.requests[-1] == ("/weights.bin", "bytes=300-")


@pytest.mark.parametrize("length", [10, len(CONTENT), len(CONTENT) + 5])
def test_a_part_of_something_else_is_dropped_and_begun_anew(tmp_path: Path, length: int) -> None:
    with serving({"/weights.bin": CONTENT}) as server:
        store = store_of(tmp_path, asset_of(Source("url", server.url)))
        store.folder("thing").mkdir(parents=True)
        (store.folder("thing") / "weights.bin.part").write_bytes(b"x" * length)
        assert store.file("thing", "weights.bin").read_bytes() == CONTENT
        assert server.requests[-1] == ("/weights.bin", None)


def test_a_server_that_cannot_resume_sends_it_all_again(tmp_path: Path) -> None:
    with serving({"/weights.bin": CONTENT}) as server:
        server.resumes = False
        store = store_of(tmp_path, asset_of(Source("url", server.url)))
        store.folder("thing").mkdir(parents=True)
        (store.folder("thing") / "weights.bin.part").write_bytes(CONTENT[:50])
        assert store.file("thing", "weights.bin").read_bytes() == CONTENT


def test_no_server_is_said(tmp_path: Path) -> None:
    with serving({}) as server:
        gone = server.url
    store = store_of(tmp_path, asset_of(Source("url", gone)))
    with pytest.raises(AssetError, match="no connection .*refused.*check the network connection"):
        store.ensure("thing")
    assert files_below(store.cache_dir) == set()


@pytest.mark.parametrize("held", [0, 200])
def test_a_refusing_server_is_said_and_leaves_nothing(tmp_path: Path, held: int) -> None:
    with serving({"/weights.bin": b"short"} if held else {}) as server:
        store = store_of(tmp_path, asset_of(Source("url", server.url)))
        if held:
            store.folder("thing").mkdir(parents=True)
            (store.folder("thing") / "weights.bin.part").write_bytes(CONTENT[:held])
        with pytest.raises(AssetError, match="the server answered 416" if held else "the server answered 404"):
            store.ensure("thing")
        assert files_below(store.cache_dir) == set()


def test_a_wrong_file_is_refused(tmp_path: Path) -> None:
    changed = b"!" + CONTENT[1:]
    store = store_of(tmp_path, asset_of(folder_source(tmp_path, changed)))
    with pytest.raises(AssetError, match="the file it gave has the SHA-256"):
        store.ensure("thing")
    assert files_below(store.cache_dir) == set()


@pytest.mark.parametrize("length", [0, 17, len(CONTENT) + 1000])
def test_a_file_of_wrong_length_is_refused(tmp_path: Path, length: int) -> None:
    store = store_of(tmp_path, asset_of(folder_source(tmp_path, (CONTENT * 2)[:length])))
    with pytest.raises(AssetError, match=f"the file it gave has [0-9]+ bytes, not {len(CONTENT)}"):
        store.ensure("thing")
    assert files_below(store.cache_dir) == set()


def test_the_next_source_is_tried(tmp_path: Path) -> None:
    missing = Source("folder", str(tmp_path / "nowhere"))
    store = store_of(tmp_path, asset_of(missing, folder_source(tmp_path)))
    assert store.file("thing", "weights.bin").read_bytes() == CONTENT


def test_a_damaged_cached_file_is_seen_and_fetched_again(tmp_path: Path) -> None:
    asset = asset_of(folder_source(tmp_path))
    cached = store_of(tmp_path, asset).file("thing", "weights.bin")
    cached.write_bytes(CONTENT[:-1])
    store = store_of(tmp_path, asset)
    assert store.problems("thing") == [f"weights.bin has {len(CONTENT) - 1} bytes, not {len(CONTENT)}"]
    assert store.file("thing", "weights.bin").read_bytes() == CONTENT
    assert store.problems("thing") == []


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full to stand for a full disk")
    store = store_of(tmp_path, asset_of(folder_source(tmp_path)))
    store.folder("thing").mkdir(parents=True)
    (store.folder("thing") / "weights.bin.part").symlink_to("/dev/full")
    with pytest.raises(AssetError, match="cache folder .* is full; make room .* RIGID_LIVE_CACHE"):
        store.ensure("thing")
    assert list(store.folder("thing").iterdir()) == []


def test_a_cache_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    store = store_of(tmp_path, asset_of(folder_source(tmp_path)))
    with pytest.raises(AssetError, match=r"cache folder .* cannot be written \(.*\); .* RIGID_LIVE_CACHE"):
        store.ensure("thing")


def test_unknown_names_are_said(tmp_path: Path) -> None:
    store = store_of(tmp_path, asset_of(folder_source(tmp_path)))
    with pytest.raises(AssetError, match="There is no asset 'thin'; the assets are: thing"):
        store.ensure("thin")
    with pytest.raises(AssetError, match="has no file 'weights'; it has: weights.bin"):
        store.file("thing", "weights")


def test_two_processes_fetch_an_asset_once(tmp_path: Path) -> None:
    """Both wait for each other's lock; the file server sees one request."""
    code = """
        import json, sys
        from pathlib import Path
        from rigid.assets.store import AssetStore, read_manifest
        cache, manifest = map(Path, sys.argv[1:])
        print(AssetStore(cache, manifest=read_manifest(manifest)).file("thing", "weights.bin").stat().st_size)
        """
    with serving({"/weights.bin": CONTENT}) as server:
        file = {"name": "weights.bin", "sha256": hashlib.sha256(CONTENT).hexdigest(), "size": len(CONTENT)}
        source = {"kind": "url", "location": server.url}
        entry = {"description": "A thing.", "licence": "CC0-1.0", "files": [file], "sources": [source]}
        manifest = tmp_path / "manifest.json"
        manifest.write_text(json.dumps({"thing": entry}))
        command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "cache"), str(manifest)]
        both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        outputs = [process.communicate(timeout=300)[0] for process in both]
        assert outputs == [f"{len(CONTENT)}\n"] * 2
        assert len(server.requests) == 1


def test_the_cache_folder_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIGID_LIVE_CACHE", str(tmp_path))
    assert AssetStore().cache_dir == tmp_path
    monkeypatch.delenv("RIGID_LIVE_CACHE")
    assert default_cache_dir() == Path.home() / ".cache" / "rigid-live"
