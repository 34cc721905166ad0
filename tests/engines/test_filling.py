"""Graphs that come with the program get their weights from NumPy, and compute what PyTorch's networks compute."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from engines.exports import HALF, export_folder
from engines.filling import require_exports, to_bfloat16
from export.compare import compare
from export.networks import build_networks, exportables, in_bfloat16
from rigid.assets.store import AssetError, AssetStore
from rigid.models.build import build_mapping
from rigid.models.graph_weights import GRAPHS, lay_out, read_index, read_networks
from rigid.models.mapping import read_map
from rigid.models.profiles import WEIGHTS, parser_file
from tests.engines.world import FileStore

pytestmark = pytest.mark.slow

PROFILE = "mobile-256"


@pytest.fixture
def weights(own_weights: Path) -> Path:
    """The shipped weights, to be spoiled."""
    shutil.copytree(WEIGHTS / PROFILE, own_weights / PROFILE, ignore=shutil.ignore_patterns("attributes"))
    shutil.copy(WEIGHTS / parser_file().name, own_weights)
    return own_weights


@pytest.fixture
def files(store: AssetStore, tmp_path: Path) -> AssetStore:
    """A cache that has what is fetched, and nothing made of it."""
    found = store.file("generator", "SynthesisNetwork.xml")
    for name in ("SynthesisNetwork.xml", "SynthesisNetwork.bin"):
        (tmp_path / name).symlink_to(found.with_name(name))
    return FileStore(tmp_path)


def test_filled_graphs_compute_what_the_networks_do(store: AssetStore) -> None:
    differences = compare(build_networks(PROFILE, store), require_exports(PROFILE, store), 7, ["f32"])
    assert {difference.graph for difference in differences} == {"invert", "synthesize", "synthesize_face", "parse"}
    assert [difference for difference in differences if not difference.passed] == []


def test_weights_are_those_of_the_exported_modules_in_either_precision(store: AssetStore) -> None:
    """Bit by bit, so that there is one computation of them."""
    found, seen = read_networks(PROFILE, store), set()
    for exportable in exportables(build_networks(PROFILE, store)):
        prefix = {"parse": "face_parser."}.get(exportable.name, "generator.")
        halves = in_bfloat16(exportable).module.state_dict()
        for name, value in exportable.module.state_dict().items():
            whole = name if exportable.name == "invert" else prefix + name
            network, _, weight = whole.partition(".")
            if not value.is_floating_point():
                continue
            seen.add(whole)
            np.testing.assert_array_equal(found[network][weight], value.numpy(), err_msg=whole)
            bits = halves[f"module.{name}"].view(torch.int16).numpy().view(np.uint16)
            np.testing.assert_array_equal(to_bfloat16(found[network][weight]), bits, err_msg=whole)
    assert seen == {f"{network}.{name}" for network, named in found.items() for name in named}


def test_halves_are_rounded_to_the_nearest_and_ties_to_even() -> None:
    values = np.array([1.0, 1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-8 + 2**-20, -3.14159, 1e-40, 0.0, 3.0e38], np.float32)
    expected = torch.from_numpy(values).bfloat16().view(torch.int16).numpy().view(np.uint16)
    np.testing.assert_array_equal(to_bfloat16(values), expected)


@pytest.mark.parametrize("width", [2, 4])
def test_weights_lie_one_after_another(width: int) -> None:
    places = list(lay_out({"a": {"x": (3,), "y": (5, 5)}, "b": {"x": ()}}, width))
    assert [(network, name, offset) for network, name, offset, _ in places] == [
        ("a", "x", 0), ("a", "y", 64), ("b", "x", 64 + -(-25 * width // 64) * 64),
    ]  # fmt: skip
    assert [length for *_, length in places] == [3 * width, 25 * width, width]


def test_graphs_are_filled_once_and_anew_for_other_weights(files: AssetStore, weights: Path) -> None:
    threads = [threading.Thread(target=require_exports, args=(PROFILE, files)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    folder = require_exports(PROFILE, files)
    made = (folder / "weights.bin").stat()
    assert require_exports(PROFILE, files) == folder
    assert (folder / "weights.bin").stat().st_mtime_ns == made.st_mtime_ns
    assert sorted(path.name for path in folder.parent.iterdir()) == [PROFILE, f"{PROFILE}.lock"]
    (weights / PROFILE / "recurrent_encoder.safetensors").unlink()
    parser_file().unlink()
    require_exports(PROFILE, files)
    assert (folder / "invert.onnx").read_bytes() == (GRAPHS / PROFILE / "invert_alone.onnx").read_bytes()
    assert not (folder / "parse.onnx").exists()


def test_networks_are_filled_in_bfloat16_where_that_is_wanted(files: AssetStore) -> None:
    assert HALF.format("invert") not in {path.name for path in require_exports(PROFILE, files).iterdir()}
    folder = require_exports(PROFILE, files, kinds=[HALF])
    assert require_exports(PROFILE, files) == folder
    sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
    *_, last = lay_out(read_index(GRAPHS / PROFILE), 2)
    assert sizes["weights.bf16.bin"] == last[2] + last[3]
    assert {"invert.bf16.onnx", "synthesize.bf16.onnx", "parse.bf16.onnx", "synthesize_face.onnx"} < set(sizes)


def test_weights_that_do_not_fit_fill_nothing(files: AssetStore, weights: Path) -> None:
    (weights / PROFILE / "image_encoder.safetensors").write_bytes(b"damaged")
    with pytest.raises(AssetError, match="damaged or of another version"):
        require_exports(PROFILE, files)
    assert not export_folder(PROFILE, files).exists()


def test_faces_are_drawn_without_pytorch_as_with_it(store: AssetStore) -> None:
    z = np.random.default_rng(0).standard_normal((3, 512), np.float32)
    with torch.inference_mode():
        expected = build_mapping(store)(torch.from_numpy(z)).numpy()
    np.testing.assert_allclose(read_map(PROFILE, store)(z), expected, atol=1e-5)
