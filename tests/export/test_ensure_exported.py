"""Exports are compared, made once, kept whole."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Collection
from pathlib import Path

import onnx
import pytest

from engines import EngineError
from engines.exports import GRAPHS, HALF, WHOLE, graph_files, is_current, weights_hash, write_record
from engines.graph_runtime import PARSE_GRAPH
from export import ExportError, check_exports, ensure_exported, require_agreement
from export.compare import PRECISIONS, Compared, Difference, compare, table
from rigid.models.profiles import find_imported_folder, parser_file, sizes_of
from tests.engines.world import FileStore
from tests.networks import export_once, keep, random_networks

pytestmark = pytest.mark.slow

PROFILE = "rigid-256"
"""It comes without graphs, and is exported."""


@pytest.fixture(scope="module")
def folder() -> Path:
    return export_once()


@pytest.fixture(scope="module")
def recurrent_folder() -> Path:
    return export_once(recurrent=True)


def test_what_tests_export_is_kept_until_something_else_makes_it(tmp_path: Path) -> None:
    made: list[Path] = []

    def export(folder: Path) -> None:
        made.append(folder)
        folder.mkdir()

    first, again, other = (keep("one", export, made_of, tmp_path) for made_of in ("a", "a", "b"))
    assert first == again != other and len(made) == 2
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == [other]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileStore:
    monkeypatch.setenv("RIGID_LIVE_CACHE", str(tmp_path))
    return FileStore(tmp_path)


class QuickExport:
    """Writes empty files in a moment and finds no difference; notes the hashes they were made for."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def __call__(self, folder: Path, weights: str, *, kinds: Collection[str]) -> list[Difference]:
        self.made.append(weights)
        folder.mkdir()
        for name in GRAPHS:
            for kind in (WHOLE, *kinds):
                (folder / kind.format(name)).touch()
        if parser_file().is_file():
            (folder / "parse.onnx").touch()
        write_record(folder, weights)
        return []


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


def test_a_network_that_exports_wrongly_raises_with_the_table(folder: Path, tmp_path: Path) -> None:
    wrong = shutil.copytree(folder, tmp_path / "wrong", ignore=shutil.ignore_patterns("export.json"))
    with pytest.raises(ExportError, match=r"do not agree with PyTorch[\s\S]*openvino +f32 +synthesize +2 .* too far"):
        check_exports(random_networks(seed=1), wrong, "random")
    assert not (wrong / "export.json").exists()


def test_only_float32_decides_whether_an_export_is_used() -> None:
    far = {precision: Difference("a", precision, "synthesize", 1, 1.0, 1.0, 10.0) for precision in PRECISIONS}
    require_agreement([far["auto"]])
    with pytest.raises(ExportError, match="too far"):
        require_agreement(far.values())


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


def test_new_weights_are_exported_anew(files: FileStore) -> None:
    lines, quick = list[str](), QuickExport()
    ensure_exported(PROFILE, files, lines.append, export=quick)
    assert lines[0] == f"Exporting the networks of {PROFILE}" and "largest" in lines[1]
    ensure_exported(PROFILE, files, lines.append, export=quick)
    assert len(quick.made) == 1 and len(lines) == 2, "a second call has nothing to do"
    imported = find_imported_folder(PROFILE)
    imported.mkdir(parents=True)
    (imported / "generator.safetensors").write_bytes(b"new weights")
    folder = ensure_exported(PROFILE, files, export=quick)
    assert len(set(quick.made)) == 2
    assert is_current(folder, quick.made[1])


def test_what_is_wanted_besides_is_exported_once_and_stays(files: FileStore) -> None:
    quick = QuickExport()
    for kinds in ([], [HALF], [], [HALF]):
        folder = ensure_exported(PROFILE, files, kinds=kinds, export=quick)
    assert len(quick.made) == 2 and (folder / HALF.format("invert")).is_file()


def test_another_face_parser_is_exported_anew_and_none_leaves_no_old_one(files: FileStore, own_weights: Path) -> None:
    parser, quick = own_weights / "face_parser.safetensors", QuickExport()
    exported = []
    for content in (None, b"one", b"one", b"another", None):
        parser.unlink(missing_ok=True)
        if content is not None:
            parser.write_bytes(content)
        folder = ensure_exported(PROFILE, files, export=quick)
        exported.append((len(quick.made), PARSE_GRAPH in graph_files(folder, sizes_of(PROFILE))))
        assert is_current(folder, weights_hash(PROFILE, files))
    assert exported == [(1, False), (2, True), (2, True), (3, True), (4, False)]


def test_a_failed_export_leaves_the_old_one(files: FileStore) -> None:
    folder = ensure_exported(PROFILE, files, export=QuickExport())
    before = (folder / "export.json").read_text()

    def fail(folder: Path, weights: str, *, kinds: Collection[str]) -> list[Difference]:
        folder.mkdir()
        (folder / "invert.onnx").write_bytes(b"half")
        raise ExportError("It is wrong.")

    with pytest.raises(EngineError, match="wrong"):
        ensure_exported(PROFILE, files, force=True, export=fail)
    assert (folder / "export.json").read_text() == before and (folder / "invert.onnx").read_bytes() == b""
    assert sorted(path.name for path in folder.parent.iterdir()) == [PROFILE, f"{PROFILE}.lock"]


def test_two_at_once_export_once(files: FileStore) -> None:
    quick = QuickExport()
    threads = [
        threading.Thread(target=ensure_exported, args=(PROFILE, files), kwargs={"export": quick}) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(quick.made) == 1
