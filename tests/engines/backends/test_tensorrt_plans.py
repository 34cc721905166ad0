"""Which of TensorRT's engines are taken, and when one is built; whether one fits; what is said without a driver."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tensorrt_rtx_bindings as trt

from cli.main import run
from engines import EngineError, EngineOptions, load_runtime, open_graphs
from engines.backends import tensorrt_engine
from engines.backends.tensorrt_library import THIS_GPU, Library
from engines.backends.tensorrt_plans import PORTABLE, Plans
from engines.exports import HALF, WHOLE
from engines.inventory import list_all
from engines.nvidia import gpu_problem
from engines.registry import RTX, Engine, has_gpu
from rigid.assets.store import AssetStore
from tests.engines.world import FakeEngine, FileStore, write_exports
from tests.networks import SIZES
from tests.patience import eventually

GPU = "A GPU of tests"


class FakeLibrary(Library):
    """Builds nothing, and loads what it is given; engines that hold a word of `misfits` do not fit."""

    def __init__(self) -> None:
        super().__init__(RTX)
        self.misfits: set[bytes] = set()
        self.broken: set[bytes] = set()
        self.built: list[tuple[str, Sequence[str]]] = []
        self.size = 0

    def build(self, path: Path, capabilities: Sequence[str] = (), learnt: bytes | None = None) -> tuple[bytes, bytes]:
        self.built.append((path.name, capabilities))
        return f"{path.name} for {', '.join(capabilities)}".encode().ljust(self.size), b""

    def find_misfit(self, plan: bytes) -> str | None:
        return "it was built for other GPUs" if plan in self.misfits else None

    def load(self, plan: bytes) -> bytes | None:
        return None if plan in self.broken else plan


@pytest.fixture
def library() -> FakeLibrary:
    return FakeLibrary()


@pytest.fixture
def exports(tmp_path: Path) -> Path:
    folder = tmp_path / "exports" / "tiny"
    folder.mkdir(parents=True)
    for name in ("invert", "synthesize"):
        for kind in (WHOLE, HALF):
            (folder / kind.format(name)).write_bytes(name.encode())
    return folder


@pytest.fixture
def plans(library: FakeLibrary, tmp_path: Path) -> Plans:
    return Plans(library, tmp_path / "plans")


def test_a_key_is_of_network_version_gpu_and_precision(plans: Plans, exports: Path) -> None:
    path = exports / HALF.format("invert")
    key = plans.make_key(path, GPU)
    assert (key.version, key.device, key.settings) == (trt.__version__, GPU, "bf16, batches to 32")
    assert plans.make_key(exports / WHOLE.format("invert"), GPU).settings == "f32, batches to 32"
    names = {plans.make_key(exports / kind.format("invert"), device).name for kind in (WHOLE, HALF) for device in "ab"}
    assert len(names) == 4
    path.write_bytes(b"another network")
    after = plans.make_key(path, GPU)
    assert after.network != key.network and after.name == key.name, "it takes the other one's place"


def test_a_portable_engine_is_taken_where_it_fits(plans: Plans, library: FakeLibrary, exports: Path) -> None:
    path, lines = exports / HALF.format("invert"), list[str]()
    assert not plans.is_built(path, GPU)
    plans.build_portable(exports, ["8.6", "8.9"], lines.append)
    assert [line.partition(":")[0] for line in lines] == [name for name, _ in library.built]
    assert sorted(name for name, _ in library.built) == sorted(file.name for file in exports.iterdir())
    assert all(line.endswith(" s, compute capability 8.6, 8.9") for line in lines)
    library.built.clear()
    assert plans.is_built(path, GPU) and plans.open(path, GPU) == b"invert.bf16.onnx for 8.6, 8.9"
    assert not library.built


def test_what_is_there_for_the_same_gpus_is_not_built_again(plans: Plans, library: FakeLibrary, exports: Path) -> None:
    lines: list[str] = []
    for capabilities, force in (([], False), ([], False), (["8.6"], False), (["8.6"], True)):
        plans.build_portable(exports, capabilities, lines.append, force=force)
    assert [capabilities for _, capabilities in library.built] == [[]] * 4 + [["8.6"]] * 8
    assert lines[4] == "invert.bf16.onnx: there already, all compute capabilities"


def test_where_a_portable_one_does_not_fit_it_is_built_for_this_gpu_once(
    plans: Plans, library: FakeLibrary, exports: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = exports / HALF.format("invert")
    plans.build_portable(exports, ["8.6"], print)
    library.built.clear()
    library.misfits.add(b"invert.bf16.onnx for 8.6")
    assert not plans.is_built(path, GPU)
    for _ in range(2):
        assert plans.open(path, GPU) == b"invert.bf16.onnx for CURRENT"
    assert library.built == [(path.name, THIS_GPU)] and plans.is_built(path, GPU)
    assert f"for {PORTABLE} is not used: it was built for other GPUs" in caplog.text
    assert not plans.is_built(path, "Another GPU")


def test_an_engine_that_cannot_be_loaded_is_set_aside(plans: Plans, library: FakeLibrary, exports: Path) -> None:
    path = exports / HALF.format("invert")
    plans.build_portable(exports, [], print)
    library.broken.add(b"invert.bf16.onnx for ")
    assert plans.open(path, GPU) == b"invert.bf16.onnx for CURRENT"
    assert len(list((exports.parent.parent / "plans" / RTX).glob("*.broken"))) == 2
    library.broken.add(b"synthesize.bf16.onnx for CURRENT")
    library.misfits.add(b"synthesize.bf16.onnx for ")
    with pytest.raises(EngineError, match="The engine tensorrt-rtx cannot load what it built for synthesize.bf16.onnx"):
        plans.open(exports / HALF.format("synthesize"), GPU)


def test_what_keeps_nothing_builds_each_time(library: FakeLibrary, exports: Path) -> None:
    plans, path = Plans(library, None), exports / HALF.format("invert")
    assert plans.open(path, GPU) == plans.open(path, GPU) and len(library.built) == 2
    plans.keep_learnt(path, GPU, b"kernels")
    assert plans.read_learnt(path, GPU) == b"" and not plans.is_built(path, GPU)


def test_a_folder_that_cannot_be_costs_the_next_start_alone(
    library: FakeLibrary, exports: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = exports / HALF.format("invert")
    plans = Plans(library, path)
    assert plans.open(path, GPU) == b"invert.bf16.onnx for CURRENT"
    plans.keep_learnt(path, GPU, b"kernels")
    assert caplog.text.count("is not kept: [Errno 20] Not a directory") == 2


def test_what_ran_on_a_gpu_is_kept_for_it(plans: Plans, exports: Path) -> None:
    path = exports / HALF.format("invert")
    plans.keep_learnt(path, GPU, b"kernels")
    assert plans.read_learnt(path, GPU) == b"kernels"
    assert plans.read_learnt(path, "Another GPU") == plans.read_learnt(exports / WHOLE.format("invert"), GPU) == b""


def answering(validity: trt.EngineValidity, flags: int) -> Library:
    """TensorRT-RTX, whose check of every engine has this answer."""
    library = Library(RTX)
    runtime = SimpleNamespace(get_engine_validity=lambda plan: (validity, flags))
    names = ("EngineValidity", "EngineInvalidityDiagnostics", "ComputeCapability")
    library.trt = SimpleNamespace(Runtime=lambda log: runtime, **{name: getattr(trt, name) for name in names})
    return library


WHY = trt.EngineInvalidityDiagnostics


@pytest.mark.parametrize(
    ("flags", "misfit"),
    [
        ([WHY.UNSUPPORTED_CC], "it was built for other GPUs"),
        ([WHY.OLD_CUDA_DRIVER], "the NVIDIA driver is too old for it"),
        ([WHY.MALFORMED_ENGINE], "it is no engine"),
        (
            [WHY.UNSUPPORTED_CC, WHY.VERSION_MISMATCH],
            "another version of the library built it, and it was built for other GPUs",
        ),
        ([], "no NVIDIA driver answers"),
    ],
)
def test_what_does_not_fit_says_why(flags: list[trt.EngineInvalidityDiagnostics], misfit: str) -> None:
    assert answering(trt.EngineValidity.INVALID, sum(map(int, flags))).find_misfit(b"plan") == misfit


def test_every_answer_has_words() -> None:
    for why in WHY.__members__.values():
        assert answering(trt.EngineValidity.INVALID, int(why)).find_misfit(b"plan")


@pytest.mark.parametrize("validity", [trt.EngineValidity.VALID, trt.EngineValidity.SUBOPTIMAL])
def test_what_fits_has_no_misfit(validity: trt.EngineValidity) -> None:
    assert answering(validity, 0).find_misfit(b"plan") is None


def test_what_is_no_engine_is_known_without_a_gpu() -> None:
    assert {Library(RTX).find_misfit(plan) for plan in (b"", b"no engine" * 100)} == {"it is no engine"}
    assert Library(RTX).load(b"no engine") is None


def test_kernels_are_ready_before_a_graph_is_captured_and_kept_for_the_next_start() -> None:
    given: list[object] = []
    cache = SimpleNamespace(deserialize=given.append)
    config = SimpleNamespace(create_runtime_cache=lambda: cache, set_runtime_cache=given.append)
    engine: Any = SimpleNamespace(create_runtime_config=lambda: config, create_execution_context=lambda **by: by)
    made = Library(RTX).make_context(engine, b"kernels")
    assert given == [b"kernels", cache] and made.context == {"runtime_config": config} and made.cache is cache
    eager = trt.DynamicShapesKernelSpecializationStrategy.EAGER
    assert config.dynamic_shapes_kernel_specialization_strategy == eager
    Library(RTX).make_context(engine, b"")
    assert given[2:] == [cache], "there is nothing to begin with"


@pytest.mark.skipif(has_gpu(), reason="needs a machine without an NVIDIA GPU")
def test_without_a_gpu_it_says_so_in_a_sentence(exports: Path) -> None:
    with pytest.raises(EngineError) as refusal:
        open_graphs(RTX, exports, SIZES, EngineOptions())
    assert str(refusal.value) == f"The engine tensorrt-rtx cannot run here: {gpu_problem()}"


def test_a_library_that_cannot_be_loaded_is_a_sentence(
    exports: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = 'raise ImportError("libtensorrt_rtx.so.1: cannot open shared object file")'
    (tmp_path / f"{trt.__name__}.py").write_text(broken)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, trt.__name__)
    with pytest.raises(
        EngineError, match="^The engine tensorrt-rtx cannot load its library: libtensorrt_rtx.so.1: can"
    ):
        Library(RTX)
    assert not tensorrt_engine.is_built(exports, EngineOptions(engine=RTX)), "another one serves"


@pytest.mark.parametrize(
    ("engine", "is_kept", "begins", "loaded"),
    [
        ("auto", False, "openvino", {"openvino", RTX}),
        ("auto", True, RTX, {"openvino", RTX}),
        (RTX, False, "openvino", {"openvino", RTX}),
        (RTX, True, RTX, {RTX}),
        ("tensorrt", True, RTX, {RTX}),
        ("openvino", False, "openvino", {"openvino"}),
    ],
)
def test_another_engine_serves_while_one_is_built(
    engine: str, is_kept: bool, begins: str, loaded: set[str], tmp_path: Path
) -> None:
    (tmp_path / "SynthesisNetwork.bin").write_bytes(b"weights")
    files = FileStore(tmp_path)
    write_exports("mobile-256", files)
    given: list[str] = []
    known: dict[str, Engine] = {
        "openvino": FakeEngine("openvino", loaded=given, call_seconds=0.002),
        RTX: FakeEngine(RTX, loaded=given, built=True, is_kept=is_kept),
    }
    with closing(load_runtime("mobile-256", engine, store=files, shared=True, known=known)) as runtime:
        assert runtime.name == begins
        eventually(lambda: set(given) == loaded, "the engines")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AssetStore:
    monkeypatch.setenv("RIGID_LIVE_CACHE", str(tmp_path))
    return AssetStore()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--engine", RTX, "--compute-capability", "8.6,9.0"], "nothing for the compute capability '9.0'; choose from"),
        (["--engine", RTX, "--compute-capability", "7.5"], "for the compute capability '7.5'; choose from 8.0, 8.6"),
        (["--compute-capability", "8.6"], "--compute-capability 8.6 says what the engine tensorrt-rtx is built for"),
        (["--engine", "openvino", "--compute-capability", "8.6"], "add --engine tensorrt-rtx, or leave it out"),
    ],
)
def test_a_wrong_capability_is_told_before_anything_is_made(
    arguments: list[str], said: str, store: AssetStore, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["export", *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert not (store.cache_dir / "exports").exists()


def test_what_was_built_is_listed(
    store: AssetStore, library: FakeLibrary, exports: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    library.size = 1_500_000
    Plans(library, store.cache_dir / "plans").build_portable(exports, ["8.6", "12.0"], print)
    notes = {entry.name: entry.note for entry in list_all(store)}
    assert "compiled: 6 MB for compute capability 8.6, 12.0" in notes[RTX] and "compiled" not in notes["tensorrt"]
