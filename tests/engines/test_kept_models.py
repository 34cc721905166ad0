"""What OpenVINO compiled is kept: the same frames, sooner; never loaded where it is broken or of something else."""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import openvino
import pytest

from engines import EngineOptions
from engines.backends import openvino_engine
from engines.backends.openvino_engine import FEW_CORES, make_engine_key, open_graphs
from rigid.arrays import Array
from rigid.models import openvino_core
from rigid.models.engine_cache import EngineCache
from rigid.models.openvino_core import get_shared_core
from rigid.operating_system import name_processor
from tests.networks import SIZES, export_once

pytestmark = pytest.mark.slow

THREADS = 2
GRAPHS, SIDE_BY_SIDE = 4, 2
COMPILED = GRAPHS + SIDE_BY_SIDE
OPTIONS = EngineOptions(threads=THREADS, precision="f32")


class CountingCore:
    """The core, counting what it has to compile."""

    def __init__(self) -> None:
        self.compiled = 0

    def compile_model(self, *arguments: object) -> openvino.CompiledModel:
        self.compiled += 1
        return get_shared_core().compile_model(*arguments)

    def read_model(self, path: Path) -> openvino.Model:
        return get_shared_core().read_model(path)

    def import_model(self, *arguments: object) -> openvino.CompiledModel:
        return get_shared_core().import_model(*arguments)

    def get_property(self, *arguments: object) -> object:
        return get_shared_core().get_property(*arguments)


@pytest.fixture
def core(monkeypatch: pytest.MonkeyPatch) -> CountingCore:
    counting = CountingCore()
    for module in (openvino_engine, openvino_core):
        monkeypatch.setattr(module, "get_shared_core", lambda: counting)
    return counting


@pytest.fixture
def folder() -> Path:
    return export_once()


def pictures(folder: Path, kept: Path | None, threads: int = THREADS) -> Array:
    """What the engine opened on `folder` makes of the same faces, one more than have a core each."""
    runtime = open_graphs(folder, SIZES, replace(OPTIONS, threads=threads, kept=kept))
    random = np.random.default_rng(0)
    codes = random.standard_normal((THREADS + 1, SIZES.n_codes, SIZES.code_size)).astype(np.float32)
    noise = random.standard_normal((THREADS + 1, *SIZES.noise_shape)).astype(np.float32)
    corners = np.ones((THREADS + 1, 2), np.float32)
    whole, part = runtime.synthesize(codes, noise), runtime.synthesize_face(codes, noise, corners)
    runtime.close()
    return np.concatenate([whole.ravel(), part.ravel()])


def test_the_frames_are_the_same_and_nothing_is_compiled_twice(
    folder: Path, tmp_path: Path, core: CountingCore
) -> None:
    without = pictures(folder, None)
    first = pictures(folder, tmp_path)
    assert core.compiled == 2 * COMPILED
    again = pictures(folder, tmp_path)
    assert core.compiled == 2 * COMPILED, "what was kept is not compiled again"
    np.testing.assert_array_equal(first, without)
    np.testing.assert_array_equal(again, without)


def test_pictures_are_the_same_one_by_one_and_in_batches(folder: Path, tmp_path: Path, core: CountingCore) -> None:
    few, many = (pictures(folder, tmp_path, threads) for threads in (FEW_CORES, FEW_CORES + 1))
    assert core.compiled == COMPILED + GRAPHS, "either is kept by itself"
    np.testing.assert_allclose(few, many, rtol=0, atol=1e-5 * float(np.abs(many).max()))


def test_a_broken_file_is_set_aside_and_compiled_anew(
    folder: Path, tmp_path: Path, core: CountingCore, caplog: pytest.LogCaptureFixture
) -> None:
    first = pictures(folder, tmp_path)
    name = make_engine_key(folder / "synthesize.onnx", OPTIONS).name
    plan = next((tmp_path / "openvino").glob(f"{name}*.plan"))
    data = bytearray(plan.read_bytes())
    data[len(data) // 2] ^= 255
    plan.write_bytes(data)
    np.testing.assert_array_equal(pictures(folder, tmp_path), first)
    assert core.compiled == COMPILED + 1 and "set aside and built anew" in caplog.text
    assert plan.with_name(plan.name + ".broken").read_bytes() == data
    pictures(folder, tmp_path)
    assert core.compiled == COMPILED + 1, "it was mended once"


def test_what_openvino_cannot_read_is_set_aside(
    folder: Path, tmp_path: Path, core: CountingCore, caplog: pytest.LogCaptureFixture
) -> None:
    key = make_engine_key(folder / "synthesize.onnx", OPTIONS)
    EngineCache(tmp_path / "openvino", "openvino").write(key, b"whole, but no network" * 100)
    np.testing.assert_array_equal(pictures(folder, tmp_path), pictures(folder, None))
    assert "OpenVINO cannot read it" in caplog.text
    compiled = core.compiled
    pictures(folder, tmp_path)
    assert core.compiled == compiled


@pytest.mark.parametrize(("part", "other"), [("version", "9999.1"), ("device", "Another processor")])
def test_what_another_version_or_processor_kept_is_compiled_anew(
    folder: Path, tmp_path: Path, core: CountingCore, part: str, other: str
) -> None:
    pictures(folder, tmp_path)
    for path in (tmp_path / "openvino").glob("*.json"):
        record = json.loads(path.read_text())
        assert record[part].startswith({"version": openvino.get_version(), "device": name_processor()}[part])
        path.write_text(json.dumps(record | {part: other}))
    pictures(folder, tmp_path)
    assert core.compiled == 2 * COMPILED


def test_what_is_compiled_for_other_instructions_is_kept_beside_it(
    folder: Path, tmp_path: Path, core: CountingCore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # only the key looks at it: OpenVINO reads the variable once a process
    for bound in ("", "AVX2", "", "AVX2"):
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", bound)
        pictures(folder, tmp_path)
    assert core.compiled == 2 * COMPILED and not caplog.text


def test_other_networks_take_the_place_of_older_ones(tmp_path: Path, core: CountingCore) -> None:
    folder = tmp_path / "exports"
    networks = [export_once(recurrent=recurrent) for recurrent in (False, True)]
    core.compiled = 0
    for made in networks:
        shutil.copytree(made, folder, dirs_exist_ok=True)
        pictures(folder, tmp_path)
    assert core.compiled == COMPILED + 1, "of the networks, `invert` alone is another one"
    pictures(folder, tmp_path)
    assert core.compiled == COMPILED + 1 and len(list((tmp_path / "openvino").glob("*.plan"))) == COMPILED


def test_where_nothing_can_be_kept_the_engine_runs_all_the_same(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "openvino").touch()
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(pictures(folder, tmp_path), pictures(folder, None))
    assert "is not kept: [Errno 17] File exists" in caplog.text
