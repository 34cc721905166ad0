"""Which engines there are, what is kept of TensorRT's, and what ONNX Runtime runs on."""

from __future__ import annotations

import logging
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from engines import EngineError, EngineOptions, find_installed_engines, open_graphs
from engines.backends.onnxruntime_engine import CPU, CUDA, TENSORRT, choose_providers, open_on
from engines.exports import network_hash, write_record
from engines.registry import ENGINES, RTX, find_tensorrt
from rigid.models.engine_cache import EngineCache, EngineKey
from tests.networks import SIZES, export_once

KEY = EngineKey("a" * 64, "11.0.0", "Some GPU", "bf16, batches to 32")


def test_engines_for_a_gpu_are_not_offered_without_one() -> None:
    known = {name: replace(engine, package="json") for name, engine in ENGINES.items()}
    assert find_installed_engines(known, lambda: False) == ("openvino", "openvino-int8", "onnxruntime", "torch")
    assert find_installed_engines(known, lambda: True) == tuple(ENGINES)
    assert find_installed_engines({"torch": replace(known["torch"], package="no_such_package")}) == ()


def test_either_name_finds_the_library_that_is_there() -> None:
    known = {name: replace(ENGINES[name], package="json") for name in (RTX, "torch")}
    assert [find_tensorrt(name, known) for name in ("auto", "tensorrt", RTX, "torch")] == ["auto", RTX, RTX, "torch"]
    known["tensorrt"] = replace(ENGINES["tensorrt"], package="json")
    assert find_tensorrt("tensorrt", known) == "tensorrt"


def test_an_engine_that_is_not_installed_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(EngineError, match=r"pip install 'rigid-live\[tensorrt\]'` or choose another"):
        open_graphs("tensorrt", tmp_path, SIZES, EngineOptions())


def test_an_engine_comes_back_for_its_own_key_only(tmp_path: Path) -> None:
    plans = EngineCache(tmp_path / "plans", "tensorrt")
    assert plans.read(KEY) is None
    plans.write(KEY, b"engine")
    assert plans.read(KEY) == b"engine"
    others = (
        replace(KEY, network="b" * 64),
        replace(KEY, version="11.1.0"),
        replace(KEY, device="Another GPU"),
        replace(KEY, settings="f32, batches to 32"),
    )
    assert [plans.read(other) for other in others] == [None] * 4


@pytest.mark.parametrize("damage", [b"", b"engin", b"anothr"])
def test_a_broken_engine_is_set_aside(tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture) -> None:
    plans = EngineCache(tmp_path, "tensorrt")
    plans.write(KEY, b"engine")
    next(tmp_path.glob("*.plan")).write_bytes(damage)
    assert plans.read(KEY) is None and "set aside" in caplog.text
    assert not [*tmp_path.glob("*.plan"), *tmp_path.glob("*.json")] and len(list(tmp_path.glob("*.broken"))) == 2
    plans.write(KEY, b"engine")
    assert plans.read(KEY) == b"engine"


def test_an_engine_of_another_key_under_the_same_name_is_not_loaded(tmp_path: Path) -> None:
    plans, other = EngineCache(tmp_path, "tensorrt"), replace(KEY, device="Another GPU")
    plans.write(other, b"engine")
    for path in list(tmp_path.iterdir()):
        path.rename(tmp_path / path.name.replace(other.name, KEY.name))
    assert plans.read(KEY) is None


def test_an_engine_takes_the_place_of_an_older_one_in_its_slot(tmp_path: Path) -> None:
    plans, old = EngineCache(tmp_path, "tensorrt"), replace(KEY, slot="invert")
    new, other = replace(old, network="b" * 64, version="11.1.0"), replace(KEY, slot="synthesize")
    for key, data in ((old, b"old"), (other, b"other"), (new, b"new")):
        plans.write(key, data)
    assert [plans.read(key) for key in (old, other, new)] == [None, b"other", b"new"]
    assert [len(list(tmp_path.glob(kind))) for kind in ("*.plan", "*.json")] == [2, 2], "the old one is gone"


def test_two_programs_that_keep_the_same_engine_leave_one_that_can_be_read(tmp_path: Path) -> None:
    plans = EngineCache(tmp_path, "openvino")
    built = [bytes([number]) * 5000 for number in range(8)]
    with ThreadPoolExecutor(len(built)) as pool:
        writing = [pool.submit(plans.write, KEY, data) for data in built]
        seen = {plans.read(KEY) for _ in range(200)}
    assert all(one.exception() is None for one in writing) and seen <= {None, *built}
    assert plans.read(KEY) in built and not list(tmp_path.glob("*.broken")) and len(list(tmp_path.glob("*.plan"))) == 1


def test_what_a_library_learns_is_kept_by_version_and_gpu(tmp_path: Path) -> None:
    plans = EngineCache(tmp_path, "tensorrt")
    assert plans.read_learnt("11", "gpu") == b""
    plans.keep_learnt(b"times", "11", "gpu")
    assert plans.read_learnt("11", "gpu") == b"times" and plans.read_learnt("12", "gpu") == b""


def test_a_target_is_told_and_no_part_of_the_key(tmp_path: Path) -> None:
    plans = EngineCache(tmp_path, "tensorrt-rtx")
    assert plans.list_targets() == [] and plans.read_target(KEY) is None
    plans.write(KEY, b"engine", "compute capability 8.6")
    plans.write(replace(KEY, settings="f32"), b"other")
    assert plans.read(KEY) == b"engine" and plans.read_target(KEY) == "compute capability 8.6"
    assert plans.list_targets() == ["compute capability 8.6"]
    plans.write(KEY, b"engine")
    assert plans.read(KEY) == b"engine" and plans.read_target(KEY) == "" and plans.list_targets() == []


def test_a_hash_follows_the_graph_and_what_its_weights_are_recorded_under(tmp_path: Path) -> None:
    graph, hashes = tmp_path / "a.onnx", set()
    for content, weights in ((b"1", None), (b"2", None), (b"2", "old"), (b"2", "new")):
        graph.write_bytes(content)
        if weights is not None:
            (tmp_path / "weights.bin").touch()
            write_record(tmp_path, weights)
        hashes.add(network_hash(graph))
    assert len(hashes) == 4 and {len(name) for name in hashes} == {64}


def test_onnxruntime_takes_the_best_providers_it_has(tmp_path: Path) -> None:
    def names(*available: str) -> list[str]:
        return [name for name, _ in choose_providers(available, tmp_path, EngineOptions())]

    assert names(CPU, "AzureExecutionProvider") == [CPU]
    assert names(CPU, CUDA) == [CUDA, CPU]
    assert names(CPU, CUDA, TENSORRT) == [TENSORRT, CUDA, CPU]
    (_, tensorrt), (_, cuda), _ = choose_providers((CPU, CUDA, TENSORRT), tmp_path, EngineOptions(precision="f32"))
    assert tensorrt["trt_bf16_enable"] is False and cuda["use_tf32"] is False


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Specified provider")
def test_a_provider_that_is_missing_is_one_logged_line(caplog: pytest.LogCaptureFixture) -> None:
    missing = "NoSuchExecutionProvider"
    path = export_once() / "invert.onnx"
    caplog.clear()  # where it was exported only now, that is told, too
    with caplog.at_level(logging.WARNING):
        open_on([(CPU, {})], {"invert": path}, EngineOptions())
        assert not caplog.records
        open_on([(missing, {}), (CPU, {})], {"invert": path}, EngineOptions())
    said = [record.getMessage() for record in caplog.records]
    assert said == [f"engine onnxruntime: no {missing} here; it runs on {CPU}"]
