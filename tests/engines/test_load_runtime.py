"""The factory: names, missing exports, and the choice of `auto`."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engines import EngineError, EngineOptions, Precision, load_runtime, open_graphs
from engines.exports import GRAPHS, is_current, weights_hash
from engines.fastest_engine import MOST_KEPT, find_fastest, measure_frame
from engines.graph_runtime import GraphRuntime
from engines.registry import Engine
from rigid.arrays import Array
from rigid.models.contract import CLASSES, RecurrentState
from rigid.models.profiles import PROFILES
from tests.engines.world import FakeEngine, FileStore, write_exports, write_int8
from tests.fakes import TINY, FakeRuntime
from tests.networks import SIZES


@pytest.fixture
def files(tmp_path: Path) -> FileStore:
    (tmp_path / "SynthesisNetwork.bin").write_bytes(b"weights")
    return FileStore(tmp_path)


def test_an_unknown_engine_is_refused_with_the_choices(files: FileStore) -> None:
    with pytest.raises(ValueError, match="no engine 'openvina'; choose one of: auto, openvino, openvino-int8, onnx"):
        load_runtime("mobile-256", "openvina", store=files)


def test_an_unknown_profile_is_refused(files: FileStore) -> None:
    with pytest.raises(ValueError, match="no profile 'mobile-512'"):
        load_runtime("mobile-512", store=files)


@pytest.mark.parametrize("engine", ["auto", "openvino", "onnxruntime"])
def test_missing_exports_of_a_profile_without_graphs_say_what_to_run(files: FileStore, engine: str) -> None:
    with pytest.raises(EngineError, match="run `rigid-live export --profile rigid-256`"):
        load_runtime("rigid-256", engine, store=files)


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_a_broken_file_is_one_sentence(tmp_path: Path, engine: str) -> None:
    for name in GRAPHS:
        (tmp_path / f"{name}.onnx").write_bytes(b"not a network")
    with pytest.raises(EngineError, match=f"The engine {engine} cannot load the networks") as caught:
        open_graphs(engine, tmp_path, SIZES, EngineOptions())
    assert "\n" not in str(caught.value)


def test_weights_hash_follows_the_weights(files: FileStore) -> None:
    before = weights_hash("mobile-256", files)
    assert weights_hash("mobile-256", files) == before
    (files.cache_dir / "SynthesisNetwork.bin").write_bytes(b"other weights")
    assert weights_hash("mobile-256", files) != before


def test_weights_hash_follows_the_face_parser_of_every_profile(
    files: FileStore, tmp_path: Path, own_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parser = own_weights / "face_parser.safetensors"
    monkeypatch.setenv("RIGID_LIVE_CACHE", str(tmp_path))
    for profile in PROFILES:
        parser.unlink(missing_ok=True)
        seen = {weights_hash(profile, files)}
        for content in (b"one", b"another"):
            parser.write_bytes(content)
            seen.add(weights_hash(profile, files))
        assert len(seen) == 3


@pytest.mark.parametrize("record", [None, "{", "[]", '{"weights": "new"}', '{"weights": "old", "sizes": {}}'])
def test_exports_without_a_right_record_are_not_current(tmp_path: Path, record: str | None) -> None:
    for name in GRAPHS:
        (tmp_path / f"{name}.onnx").write_bytes(b"1234")
    if record is not None:
        (tmp_path / "export.json").write_text(record)
    assert not is_current(tmp_path, "new")


def test_a_truncated_export_is_not_current(tmp_path: Path) -> None:
    for name in GRAPHS:
        (tmp_path / f"{name}.onnx").write_bytes(b"1234")
    sizes = {f"{name}.onnx": 4 for name in GRAPHS}
    (tmp_path / "export.json").write_text(json.dumps({"weights": "new", "sizes": sizes}))
    assert is_current(tmp_path, "new")
    (tmp_path / "invert.onnx").write_bytes(b"12")
    assert not is_current(tmp_path, "new")


def test_auto_is_pytorch_where_nothing_else_is_installed(files: FileStore) -> None:
    known = {"torch": FakeEngine("torch", files="")}
    load_runtime("mobile-256", store=files, known=known)
    assert known["torch"].loaded == ["torch"]


def engines_of_processors() -> tuple[dict[str, Engine], list[str]]:
    """Three that run exported networks, one of them int8; and what of them is loaded."""
    loaded: list[str] = []
    calls = {"openvino": 0.002, "openvino-int8": 0.0, "onnxruntime": 0.0}
    known: dict[str, Engine] = {
        name: FakeEngine(name, loaded=loaded, call_seconds=seconds, int8=name.endswith("int8"))
        for name, seconds in calls.items()
    }
    return known, loaded


def test_auto_measures_what_runs_exported_networks(files: FileStore) -> None:
    write_exports("mobile-256", files)
    known, loaded = engines_of_processors()
    for _ in range(2):
        load_runtime("mobile-256", store=files, known=known)
    assert loaded == ["openvino", "onnxruntime", "onnxruntime", "onnxruntime"], "measured once, then remembered"


@pytest.mark.parametrize(("precision", "measured"), [("auto", True), ("f32", False)])
def test_auto_measures_int8_where_it_was_made(precision: Precision, measured: bool, files: FileStore) -> None:
    folder = write_exports("mobile-256", files)
    known, loaded = engines_of_processors()
    load_runtime("mobile-256", store=files, precision=precision, known=known)
    assert "openvino-int8" not in loaded
    write_int8(folder)
    load_runtime("mobile-256", store=files, precision=precision, known=known)
    assert ("openvino-int8" in loaded) is measured, "what was measured without it is not enough"


def test_auto_takes_the_fastest_and_remembers(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    loaded = {"slow": FakeRuntime(delay_seconds=0.05), "quick": FakeRuntime()}
    caplog.set_level(logging.INFO, "engines")
    cache_file = tmp_path / "engines" / "fastest.json"
    assert find_fastest(["slow", "quick"], loaded.__getitem__, cache_file, "tiny") == "quick"
    assert "engine quick" in caplog.text and re.search(r"slow \d{3}", caplog.text)
    assert all(runtime.closed and runtime.inverted for runtime in loaded.values())

    def fail(name: str) -> FakeRuntime:
        raise AssertionError(f"{name} was measured again")

    assert find_fastest(["slow", "quick"], fail, cache_file, "tiny") == "quick"
    with pytest.raises(AssertionError, match="measured again"):
        find_fastest(["slow", "quick"], fail, cache_file, "other weights")


def test_auto_measures_again_without_a_readable_answer(tmp_path: Path) -> None:
    cache_file = tmp_path / "fastest.json"
    cache_file.write_text("{ broken")
    assert find_fastest(["quick"], lambda name: FakeRuntime(), cache_file, "tiny") == "quick"
    assert "quick" in cache_file.read_text()


def test_auto_remembers_the_newest_measurements_only(tmp_path: Path) -> None:
    cache_file = tmp_path / "fastest.json"
    for number in range(MOST_KEPT + 2):
        find_fastest(["fake"], lambda _: FakeRuntime(), cache_file, f"weights {number}")
    kept = [key.split("; ")[-2] for key in json.loads(cache_file.read_text())]
    assert kept == [f"weights {number}" for number in range(2, MOST_KEPT + 2)]


def test_auto_measures_anew_by_another_clock(tmp_path: Path) -> None:
    cache_file = tmp_path / "fastest.json"
    for clock in (time.perf_counter, time.process_time, time.perf_counter):
        find_fastest(["fake"], lambda _: FakeRuntime(), cache_file, "tiny", clock)
    assert len(json.loads(cache_file.read_text())) == 2


def test_a_frame_is_measured_by_the_clock_that_is_given() -> None:
    ticks = iter([0.0, 9.0, 10.0, 10.5, 20.0, 20.25])
    assert measure_frame(FakeRuntime(), rounds=2, clock=lambda: next(ticks)) == 250.0


def test_auto_leaves_out_what_cannot_be_loaded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def load(name: str) -> FakeRuntime:
        if name == "broken":
            raise EngineError("It is broken.")
        return FakeRuntime()

    assert find_fastest(["broken", "whole"], load, tmp_path / "a.json", "tiny") == "whole"
    assert "engine broken is left out: It is broken." in caplog.text
    with pytest.raises(EngineError, match="None of the engines broken can be loaded"):
        find_fastest(["broken"], load, tmp_path / "b.json", "tiny")


def test_a_frame_is_one_inversion_and_one_batch_of_two_faces() -> None:
    runtime = FakeRuntime()
    assert measure_frame(runtime, rounds=2) > 0
    assert runtime.inverted == 3 and runtime.batches == [2, 2, 2]


def test_a_frame_is_measured_by_the_faces_part_where_the_engine_makes_that() -> None:
    class PartRuntime(FakeRuntime):
        """Takes far longer over a whole picture."""

        parts = 0

        def synthesize(self, codes: Array, noise: Array) -> Array:
            raise AssertionError("a whole picture was made")

        def synthesize_face(self, codes: Array, noise: Array, corners: Array) -> Array:
            assert corners.shape == (2, 2)
            self.parts += 1
            return np.zeros((2, 3, 40, 32), np.float32)

    runtime = PartRuntime(replace(TINY, face_window=(5, 4)))
    assert measure_frame(runtime, rounds=2) >= 0 and runtime.parts == 3


def test_a_frame_is_measured_with_the_real_and_the_edited_face_parsed_where_the_engine_does_that() -> None:
    runtime = FakeRuntime(replace(TINY, n_classes=len(CLASSES)))
    assert measure_frame(runtime, rounds=2) >= 0 and runtime.parsed == [2, 2, 2]


class RecurrentGraph:
    """An `invert` with a recurrent encoder: says what it was fed."""

    inputs = ("inputs", "previous_input", "previous_edited", "hidden", "cell")

    def __init__(self) -> None:
        self.fed: dict[str, Array] = {}

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        self.fed = dict(feeds)
        batch = feeds["inputs"].shape[0]
        codes = np.zeros((batch, TINY.n_codes, TINY.code_size), np.float32)
        noise = np.ones((batch, *TINY.noise_shape), np.float32)
        return {"codes": codes, "noise": noise, "next_hidden": feeds["hidden"] + 1, "next_cell": feeds["cell"] - 1}


def test_a_recurrent_graph_gets_the_state_and_advances_it() -> None:
    graph = RecurrentGraph()
    runtime = GraphRuntime("recurrent", TINY, {"invert": graph})
    face = np.full((1, 3, TINY.image_size, TINY.image_size), 0.25, np.float32)
    _, noise, state = runtime.invert(face, RecurrentState.initial(TINY))
    assert set(graph.fed) == set(graph.inputs)
    assert np.array_equal(graph.fed["previous_edited"], face), "the first frame stands for the one before it"
    assert noise.all() and (state.hidden == 1).all() and (state.cell == -1).all()
    state = state.after(face, face * 2, face * 3, np.zeros((1, 2, 48), np.float32))
    _, _, state = runtime.invert(face, state)
    assert np.array_equal(graph.fed["previous_edited"], face * 3)
    assert (state.hidden == 2).all() and np.array_equal(state.previous_inverted, face * 2)  # type: ignore[arg-type]


class FailingGraph:
    inputs = ("codes", "noise")

    def run(self, feeds: object) -> dict[str, Array]:
        raise RuntimeError("Out of memory.\n#0 some stack")


def test_a_failure_while_running_is_one_sentence() -> None:
    runtime = GraphRuntime("broken", TINY, {"synthesize": FailingGraph()})
    codes = np.zeros((1, TINY.n_codes, TINY.code_size), np.float32)
    with pytest.raises(EngineError, match=r"^The engine broken failed on a frame: Out of memory\.$"):
        runtime.synthesize(codes, np.zeros((1, *TINY.noise_shape), np.float32))


class SmallGraph:
    """Holds batches of `most` at most."""

    inputs = ("codes", "noise")

    def __init__(self, most: int) -> None:
        self.most = most
        self.rows: list[int] = []

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        rows = len(feeds["codes"])
        self.rows.append(rows)
        if rows > self.most:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
        return {"images": feeds["codes"][:, :1, :1, None] * np.ones((1, 3, 64, 64), np.float32)}


def test_a_batch_that_memory_does_not_hold_is_halved_and_those_after_it(caplog: pytest.LogCaptureFixture) -> None:
    graph = SmallGraph(most=2)
    runtime = GraphRuntime("small", TINY, {"synthesize": graph})
    codes = np.arange(5, dtype=np.float32)[:, None, None] * np.ones((1, TINY.n_codes, TINY.code_size), np.float32)
    noise = np.zeros((5, *TINY.noise_shape), np.float32)
    for _ in range(2):
        assert runtime.synthesize(codes, noise)[:, 0, 0, 0].tolist() == [0, 1, 2, 3, 4]
    assert graph.rows == [5, 2, 1, 2, 2, 1, 2], "what cannot be is not tried again"
    assert len(caplog.records) == 1


def test_where_one_picture_is_too_much_it_is_said() -> None:
    graph = SmallGraph(most=0)
    runtime = GraphRuntime("small", TINY, {"synthesize": graph})
    codes = np.zeros((2, TINY.n_codes, TINY.code_size), np.float32)
    with pytest.raises(EngineError, match="^The engine small failed on a frame: CUDA out of memory"):
        runtime.synthesize(codes, np.zeros((2, *TINY.noise_shape), np.float32))
