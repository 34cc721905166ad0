"""What is packed for a machine that only trains."""

from __future__ import annotations

import lzma
import tarfile
from pathlib import Path

import numpy as np
import pytest

from rigid.assets.store import AssetStore, read_manifest
from scripts.pack_training import assets, data, pack, round_mantissas


@pytest.mark.parametrize(("kind", "bits"), [(np.float16, 4), (np.float32, 8)])
def test_rounding_keeps_the_first_bits_and_the_value_about(kind: type[np.floating], bits: int) -> None:
    values = np.random.default_rng(0).normal(0, 1, 1000).astype(kind)
    short = round_mantissas(values, bits)
    assert short.dtype == values.dtype
    assert np.abs(short / values - 1).max() <= 2.0 ** -(bits + 1)
    assert np.array_equal(round_mantissas(short, bits), short)
    assert np.array_equal(round_mantissas(np.zeros(3, kind), bits), np.zeros(3, kind))
    assert round_mantissas(np.array(3, kind), bits).shape == ()


def test_a_bundle_unpacks_with_what_was_put_in(tmp_path: Path, faces: Path) -> None:
    path = tmp_path / "bundle.tar.xz"
    assert pack(path, data(faces)) == path.stat().st_size
    with tarfile.open(path) as archive:
        archive.extractall(tmp_path, filter="data")
    unpacked = tmp_path / "rigid-live-training" / "data"
    names = sorted(str(file.relative_to(unpacked)) for file in unpacked.rglob("*") if file.is_file())
    assert names == ["aligned/one.mp4", "aligned/two.mp4", "index.json", "stills/three.jpg"]
    assert (unpacked / "aligned" / "one.mp4").read_bytes() == (faces / "aligned" / "one.mp4").read_bytes()


def test_a_bundle_over_the_limit_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"The bundle would be .* MiB, over"):
        pack(tmp_path / "bundle.tar.xz", iter([("noise", np.random.default_rng(0).bytes(4096))]), limit=100)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_frozen_networks_that_are_packed_are_those_of_the_manifest_beside_them(
    tmp_path: Path, store: AssetStore
) -> None:
    for name, content in assets(store):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    packed = AssetStore(tmp_path / "assets", manifest=read_manifest(tmp_path / "rigid" / "assets" / "manifest.json"))
    for asset in ("generator", "perceptual"):
        assert packed.problems(asset) == []
    original, short = (
        np.fromfile(some.file("generator", "MappingNetwork.xml").with_suffix(".bin"), np.float32)
        for some in (store, packed)
    )
    known = np.isfinite(original) & (np.abs(original) > 1e-30)
    assert 1e-5 < np.abs(short[known] / original[known] - 1).mean() < 2e-3
    assert len(lzma.compress(short.tobytes(), preset=1)) < 0.7 * short.nbytes
