"""TensorRT-RTX builds engines of everything that is exported, on a machine without a GPU."""

from __future__ import annotations

from pathlib import Path

import pytest
import tensorrt_rtx_bindings as trt

from engines import EngineError
from engines.backends.tensorrt_library import Library
from engines.exports import HALF, WHOLE, gpu_graph_files
from engines.filling import fill
from export.networks import exportables, in_bfloat16
from export.onnx_file import write_onnx
from export.parity import make_untrained_networks
from rigid.assets.store import AssetStore
from rigid.models.graph_weights import GRAPHS, read_networks
from rigid.models.profiles import PAPER, sizes_of
from tests.engines.tensorrt_ports import check_builds, ports_of
from tests.patience import LONG

PROFILE = "mobile-256"


@pytest.fixture(scope="module")
def library() -> Library:
    return Library("tensorrt-rtx")


@pytest.fixture(scope="module")
def filled(store: AssetStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the networks that come with the program, in either precision."""
    folder = tmp_path_factory.mktemp("filled") / "exports"
    fill(GRAPHS / PROFILE, read_networks(PROFILE, store), folder, kinds=[HALF])
    return folder


@pytest.mark.slow
def test_the_networks_that_come_with_the_program(library: Library, filled: Path) -> None:
    expected = ports_of(sizes_of(PROFILE))
    assert set(gpu_graph_files(filled, HALF)) == set(gpu_graph_files(filled, WHOLE)) == set(expected)
    check_builds(library, filled, expected)


@pytest.mark.slow
def test_an_inversion_without_a_recurrent_encoder(library: Library, store: AssetStore, tmp_path: Path) -> None:
    networks = read_networks(PROFILE, store)
    for name in ("recurrent_encoder", "face_parser"):
        del networks[name]
    folder = tmp_path / "filled"
    fill(GRAPHS / PROFILE, networks, folder, kinds=[HALF])
    assert set(gpu_graph_files(folder, HALF)) == {"invert", "synthesize"}
    # the generator is the same
    check_builds(library, folder, {"invert": ports_of(sizes_of(PROFILE), recurrent=False)["invert"]})


@LONG
def test_the_papers_networks_at_full_size(library: Library, store: AssetStore, tmp_path: Path) -> None:
    for exportable in exportables(make_untrained_networks(PAPER, store)):
        write_onnx(exportable, tmp_path / WHOLE.format(exportable.name))
        write_onnx(in_bfloat16(exportable), tmp_path / HALF.format(exportable.name))
    check_builds(library, tmp_path, ports_of(sizes_of(PAPER)))


def test_engines_are_built_for_the_gpus_that_are_named(library: Library, filled: Path) -> None:
    path = filled / HALF.format("parse")
    assert library.list_capabilities() == ["8.0", "8.6", "8.9", "12.0", "12.1"]
    for capabilities in (["8.6"], ["8.6", "8.9", "12.0"], library.list_capabilities()):
        library.check_capabilities(capabilities)
        assert library.build(path, capabilities)[0]
    # Those GPUs have no bfloat16.
    with pytest.raises(EngineError, match="The engine tensorrt-rtx cannot be built for parse.bf16.onnx: .*sm75") as no:
        library.build(path, ["7.5"])
    assert "\n" not in str(no.value)
    assert library.build(filled / WHOLE.format("parse"), ["7.5"])[0]


@pytest.mark.parametrize("half", [False, True])
def test_float32_is_not_computed_with_fewer_bits(library: Library, half: bool) -> None:
    config = library.configure(trt.Builder(library.log), half=half)
    assert config.get_flag(trt.BuilderFlag.TF32) is half


@pytest.mark.parametrize("content", [b"not a network", b""])
def test_a_broken_file_is_one_sentence(library: Library, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "invert.onnx"
    path.write_bytes(content)
    with pytest.raises(EngineError, match="^The engine tensorrt-rtx cannot .*invert.onnx: ") as no:
        library.build(path)
    assert "\n" not in str(no.value)
