"""Int8 of a generator: which layers stay out of it, what is kept of it, and who may use it."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from engines import EngineError, EngineOptions, open_graphs
from engines.exports import INT8_FILES, INT8_RECORD, has_int8
from export import ExportError, require_close_int8
from export.calibration import FaceSource
from export.compare import Difference
from export.int8 import Quantised, Sensitivity, keep_int8, quantise, scan_table
from export.networks import Exportable
from export.onnx_file import write_onnx
from rigid.edits.attribute import Attribute
from rigid.edits.library import AttributeLibrary
from tests.fakes import TINY, FakeRuntime
from tests.networks import SIZES, export_once


class Stack(nn.Module):
    """Three pointwise convolutions; the middle one's input has one channel that drowns the others in int8."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = (nn.Conv2d(64, 64, 1, bias=False) for _ in range(3))
        self.first.weight.data[0] *= 400
        self.second.weight.data[:, 0] /= 400

    def forward(self, codes: Tensor) -> Tensor:
        return self.third(torch.relu(self.second(torch.relu(self.first(codes)))))  # type: ignore[no-any-return]


def feeds(count: int, seed: int) -> list[dict[str, np.ndarray]]:
    random = np.random.default_rng(seed)
    return [{"codes": random.standard_normal((1, 64, 6, 6)).astype(np.float32)} for _ in range(count)]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("stack") / "synthesize.onnx"
    write_onnx(Exportable("synthesize", Stack(), {"codes": torch.randn(2, 64, 6, 6)}, ("images",)), path)
    return path


@pytest.mark.slow
def test_the_layer_that_bears_it_least_stays_out(path: Path) -> None:
    made = quantise(path, feeds(4, seed=0), feeds(2, seed=1), target=30)
    assert [(one.layer, one.quantised) for one in made.layers] == [
        ("second.weight", False),
        *[(one.layer, True) for one in made.layers[1:]],
    ]
    assert made.layers[0].decibels < 30 <= made.decibels
    assert sum(node.op_type == "QuantizeLinear" for node in made.model.graph.node) == 2
    table = scan_table(made).splitlines()
    assert table[1].startswith("second.weight") and table[1].endswith("not in int8") and len(table) == 5


@pytest.mark.slow
def test_the_same_faces_choose_the_same(path: Path) -> None:
    first, second = (quantise(path, feeds(3, seed=0), feeds(1, seed=1), target=30) for _ in range(2))
    assert first.layers == second.layers
    assert first.model.SerializeToString() == second.model.SerializeToString()


@pytest.mark.slow
def test_where_no_layer_bears_it_that_is_told(path: Path) -> None:
    with pytest.raises(ValueError, match=r"No layer of synthesize.onnx can compute in int8 at 300 dB"):
        quantise(path, feeds(1, seed=0), feeds(1, seed=1), target=300)


def source(sizes: tuple[int, int], video_gain: float = 1.0) -> FaceSource:
    direction = np.ones(sizes, np.float32)
    attribute = Attribute("smile", "Smile", "Face", -1.0, 2.0, 0.0, "", "by hand", direction, video_gain=video_gain)
    library = AttributeLibrary([attribute], n_codes=sizes[0], code_size=sizes[1])
    return FaceSource(lambda z: z, np.full(sizes[1], 0.1, np.float32), library)


def test_faces_are_inverted_and_edited_and_always_the_same() -> None:
    runtime = FakeRuntime()
    sizes = runtime.sizes
    faces = source((sizes.n_codes, sizes.code_size)).feeds(runtime, 3, seed=4)
    again = source((sizes.n_codes, sizes.code_size)).feeds(FakeRuntime(), 3, seed=4)
    assert runtime.inverted == 6
    for i, (one, other) in enumerate(zip(faces, again, strict=True)):
        assert one["codes"].shape == (2, sizes.n_codes, sizes.code_size)
        early = one["codes"][:, : sizes.n_codes - sizes.n_shared_codes]
        np.testing.assert_allclose(early[1] - early[0], 2.0 if i % 2 == 0 else -1.0, rtol=1e-5)
        assert np.array_equal(one["codes"], other["codes"]) and np.array_equal(one["noise"], other["noise"])
    assert not np.array_equal(faces[0]["codes"], faces[1]["codes"])


@pytest.mark.parametrize(("edit_gain", "expected"), [(1.0, 2.0), (1.5, 4.5)])
def test_faces_are_edited_as_far_as_a_stream_edits_them(edit_gain: float, expected: float) -> None:
    sizes = replace(TINY, edit_gain=edit_gain)
    (feed,) = source((sizes.n_codes, sizes.code_size), video_gain=1.5).feeds(FakeRuntime(sizes), 1, seed=4)
    np.testing.assert_allclose(feed["codes"][1, 0] - feed["codes"][0, 0], expected, rtol=1e-5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = export_once()
    for name in ("invert.onnx", "synthesize.onnx", "synthesize_face.onnx", "export.json"):
        (tmp_path / name).write_bytes((made / name).read_bytes())
    return tmp_path


@pytest.mark.slow
def test_what_is_written_is_known_until_the_exports_change(folder: Path) -> None:
    assert not has_int8(folder)
    with pytest.raises(EngineError, match="no int8 export; run `rigid-live export --precision int8`"):
        open_graphs("openvino-int8", folder, SIZES, EngineOptions())
    layers = (Sensitivity("a", 50.0, True),)
    keep_int8(Quantised(onnx.load(folder / "synthesize.onnx"), {}, layers, 45.0), folder, "random")
    assert has_int8(folder)
    open_graphs("openvino-int8", folder, SIZES, EngineOptions()).close()
    record = json.loads((folder / INT8_RECORD).read_text())
    assert record["layers"] == [{"layer": "a", "decibels": 50.0, "quantised": True}] and record["decibels"] == 45.0
    exports = json.loads((folder / "export.json").read_text())
    (folder / "export.json").write_text(json.dumps(exports | {"weights": "others"}))
    assert not has_int8(folder)


@pytest.mark.parametrize(("lpips", "used"), [(0.01, True), (0.05, False)])
def test_int8_that_is_too_far_is_not_kept(lpips: float, used: bool, tmp_path: Path) -> None:
    names = (*INT8_FILES, INT8_RECORD)
    for name in (*names, "synthesize.onnx"):
        (tmp_path / name).touch()
    found = Difference("openvino-int8", "int8", "synthesize", 2, 0.1, 0.1, 45.0, lpips)
    with nullcontext() if used else pytest.raises(ExportError, match="too far from float32"):
        require_close_int8([found], tmp_path)
    assert [(tmp_path / name).exists() for name in names] == [used] * len(names)
    assert (tmp_path / "synthesize.onnx").exists()
