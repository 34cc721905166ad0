"""Exports are compared, made once, kept whole."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Collection
from pathlib import Path

import onnx
import pytest

import export
from engines import EngineError, Precision
from engines.exports import GRAPHS, HALF, WHOLE, graph_files, is_current, weights_hash, write_record
from engines.graph_runtime import PARSE_GRAPH
from export import ExportError, ensure_exported, export_networks
from export.compare import Compared, Difference, compare, table
from export.networks import Exportable, Networks
from rigid.models import profiles
from tests.engines.test_load_runtime import FileStore
from tests.networks import export_once, random_networks

pytestmark = pytest.mark.slow

PROFILE = "rigid-256"
"""It comes without graphs, and is exported."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_once(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def recurrent_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_once(tmp_path_factory.getbasetemp(), recurrent=True)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileStore:
    monkeypatch.setenv("RIGID_LIVE_CACHE", str(tmp_path))
    return FileStore(tmp_path)


@pytest.fixture
def quick_exports(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replaces what is slow: writes empty files and finds no difference; returns the hashes they were made for."""
    made: list[str] = []

    def quick(networks: Networks, folder: Path, weights: str, *, kinds: Collection[str]) -> list[Difference]:
        made.append(weights)
        folder.mkdir()
        for name in GRAPHS:
            for kind in (WHOLE, *kinds):
                (folder / kind.format(name)).write_bytes(b"")
        if profiles.FACE_PARSER.is_file():
            (folder / "parse.onnx").write_bytes(b"")
        write_record(folder, weights)
        return []

    monkeypatch.setattr(export, "build_networks", lambda profile, store: random_networks())
    monkeypatch.setattr(export, "export_networks", quick)
    return made


@pytest.mark.parametrize(
    ("kind", "name"),
    [("folder", "invert"), ("folder", "synthesize"), ("folder", "parse"), ("recurrent_folder", "invert")],
)
def test_graphs_are_standard_lean_and_of_any_batch(request: pytest.FixtureRequest, kind: str, name: str) -> None:
    model = onnx.load(request.getfixturevalue(kind) / f"{name}.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 23)]
    assert not model.functions
    used = {node.op_type for node in model.graph.node}
    assert not used & {"BatchNormalization", "Identity", "Dropout", "Constant", "If", "Loop"}
    for value in (*model.graph.input, *model.graph.output):
        batch, *rest = value.type.tensor_type.shape.dim
        assert batch.dim_param and all(size.dim_value for size in rest)


def test_files_of_other_networks_do_not_pass(folder: Path) -> None:
    differences = compare(random_networks(seed=1), folder, 3, ["f32"])
    assert len(differences) == 16
    assert not any(difference.passed for difference in differences)
    assert all(difference.passed for difference in compare(random_networks(), folder, 3, ["f32"]))


@pytest.mark.parametrize("part", ["fc.bias", "noise.out.bias", "lstm.gates.bias"])
def test_every_output_of_a_recurrent_graph_is_compared(recurrent_folder: Path, part: str) -> None:
    networks = random_networks(recurrent=True)
    assert all(difference.passed for difference in compare(networks, recurrent_folder, 3, ["f32"]))
    assert networks.recurrent_encoder is not None
    networks.recurrent_encoder.get_parameter(part).data += 0.1
    passed = {difference.graph: difference.passed for difference in compare(networks, recurrent_folder, 3, ["f32"])}
    assert passed == {"invert": False, "synthesize": True, "synthesize_face": True, "parse": True}


def test_a_network_that_exports_wrongly_raises_with_the_table(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_another(exportable: Exportable, path: Path) -> None:
        shutil.copy(folder / path.name, path)

    monkeypatch.setattr(export, "write_onnx", write_another)
    with pytest.raises(ExportError, match=r"do not agree with PyTorch[\s\S]*openvino +f32 +synthesize +2 .* too far"):
        export_networks(random_networks(seed=1), tmp_path / "wrong", weights="random")
    assert not (tmp_path / "wrong" / "export.json").exists()


@pytest.mark.parametrize(("precision", "allowed"), [("f32", False), ("auto", True)])
def test_only_float32_decides_whether_an_export_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: Precision, allowed: bool
) -> None:
    far = [Difference("a", precision, "synthesize", 1, 1.0, 1.0, 10.0)]
    monkeypatch.setattr(export, "exportables", lambda networks: [])
    monkeypatch.setattr(export, "compare", lambda *_: far)
    if allowed:
        assert export_networks(random_networks(), tmp_path / "made", "random") == far
    else:
        with pytest.raises(ExportError, match="too far"):
            export_networks(random_networks(), tmp_path / "made", "random")


FAR = (1e-6, float("nan"), 1e-3)


@pytest.mark.parametrize(
    ("precision", "largest", "mean", "decibels", "passed"),
    [
        ("f32", 0.99e-4, 0.0, 90.0, True),
        ("f32", 1.01e-4, 0.0, 90.0, False),
        ("auto", 0.5, 1.9e-2, 40.1, True),
        ("auto", 0.5, 2.1e-2, 40.1, False),
        ("auto", 0.5, 1.9e-2, 39.9, False),
        ("auto", 0.5, 1.9e-2, None, True),
        ("auto", 0.5, float("nan"), 50.0, False),
        ("int8", 0.5, 0.1, 32.1, True),
        ("int8", 0.5, 0.1, 31.9, False),
    ],
)
def test_each_precision_has_its_bounds(
    precision: Compared, largest: float, mean: float, decibels: float | None, passed: bool
) -> None:
    assert Difference("a", precision, "synthesize", 1, largest, mean, decibels).passed is passed


def test_the_table_names_the_worst_first_and_takes_nan_for_it() -> None:
    rows = [Difference(name, "f32", "invert", 1, error, 0.0) for name, error in zip("abc", FAR, strict=True)]
    lines = table(rows).splitlines()
    assert [line[0] for line in lines[1:]] == ["b", "c", "a"]
    assert [line.endswith("too far") for line in lines[1:]] == [True, True, False]


def test_new_weights_are_exported_anew(files: FileStore, quick_exports: list[str]) -> None:
    lines: list[str] = []
    ensure_exported(PROFILE, files, lines.append)
    assert lines[0] == f"Exporting the networks of {PROFILE}" and "largest" in lines[1]
    ensure_exported(PROFILE, files, lines.append)
    assert len(quick_exports) == 1 and len(lines) == 2, "a second call has nothing to do"
    imported = profiles.find_imported_folder(PROFILE)
    imported.mkdir(parents=True)
    (imported / "generator.safetensors").write_bytes(b"new weights")
    folder = ensure_exported(PROFILE, files)
    assert len(set(quick_exports)) == 2
    assert is_current(folder, quick_exports[1])


def test_what_is_wanted_besides_is_exported_once_and_stays(files: FileStore, quick_exports: list[str]) -> None:
    for kinds in ([], [HALF], [], [HALF]):
        folder = ensure_exported(PROFILE, files, kinds=kinds)
    assert len(quick_exports) == 2 and (folder / HALF.format("invert")).is_file()


def test_another_face_parser_is_exported_anew_and_none_leaves_no_old_one(
    files: FileStore, quick_exports: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parser = tmp_path / "face_parser.safetensors"
    monkeypatch.setattr(profiles, "FACE_PARSER", parser)
    exported = []
    for content in (None, b"one", b"one", b"another", None):
        parser.unlink(missing_ok=True)
        if content is not None:
            parser.write_bytes(content)
        folder = ensure_exported(PROFILE, files)
        exported.append((len(quick_exports), PARSE_GRAPH in graph_files(folder, profiles.sizes_of(PROFILE))))
        assert is_current(folder, weights_hash(PROFILE, files))
    assert exported == [(1, False), (2, True), (2, True), (3, True), (4, False)]


def test_a_failed_export_leaves_the_old_one(
    files: FileStore, quick_exports: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = ensure_exported(PROFILE, files)
    before = (folder / "export.json").read_text()

    def fail(networks: Networks, folder: Path, weights: str, *, kinds: Collection[str]) -> list[Difference]:
        folder.mkdir()
        (folder / "invert.onnx").write_bytes(b"half")
        raise ExportError("It is wrong.")

    monkeypatch.setattr(export, "export_networks", fail)
    with pytest.raises(EngineError, match="wrong"):
        ensure_exported(PROFILE, files, force=True)
    assert (folder / "export.json").read_text() == before and (folder / "invert.onnx").read_bytes() == b""
    assert sorted(path.name for path in folder.parent.iterdir()) == [PROFILE, f"{PROFILE}.lock"]


def test_two_at_once_export_once(files: FileStore, quick_exports: list[str]) -> None:
    threads = [threading.Thread(target=ensure_exported, args=(PROFILE, files)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(quick_exports) == 1
