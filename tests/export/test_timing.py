"""Networks timed alone: every engine in turn with eager PyTorch."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from cli.main import run
from engines import peak
from engines.exports import GRAPHS
from engines.peak import Peak
from export import parity, timing
from export.timing import EAGER, time_networks
from tests.networks import export_once, random_networks


@pytest.mark.slow
def test_every_engine_is_held_against_eager() -> None:
    folder = export_once()
    engines = ("openvino", "openvino-int8", "torch")
    timings = time_networks(random_networks(), folder, rounds=2, calls=1, engines=engines)
    found = {(one.engine, one.graph): one for one in timings}
    assert set(found) == {
        *((engine, graph) for engine in (EAGER, "openvino") for graph in (*GRAPHS, "parse", "frame")),
        ("openvino", "synthesize_face"),
    }
    assert all(one.wall_ms > 0 and one.processor_ms > 0 for one in timings)
    assert all(found[EAGER, graph].wall_ratio == found[EAGER, graph].processor_ratio == 1 for graph in GRAPHS)


def test_a_frame_is_an_inversion_and_two_faces_and_a_part_is_held_against_the_whole() -> None:
    taken = {
        (EAGER, "invert"): (30.0, 60.0),
        (EAGER, "synthesize"): (100.0, 200.0),
        ("quick", "invert"): (10.0, 20.0),
        ("quick", "synthesize"): (40.0, 80.0),
        ("quick", "synthesize_face"): (20.0, 25.0),
    }
    found = {(one.engine, one.graph): one for one in timing.timings_of(taken)}
    assert (found["quick", "frame"].wall_ms, found["quick", "frame"].processor_ms) == (50.0, 100.0)
    assert (found["quick", "frame"].wall_ratio, found["quick", "frame"].processor_ratio) == (2.6, 2.6)
    assert (found["quick", "synthesize_face"].wall_ratio, found["quick", "synthesize_face"].processor_ratio) == (5, 8)


@pytest.mark.slow
def test_a_profile_without_weights_is_timed_with_random_ones(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    exports = export_once()
    monkeypatch.setattr(parity, "write_onnx", lambda _, path: shutil.copy(exports / path.name, path))
    monkeypatch.setattr(parity, "make_untrained_networks", lambda *_: random_networks())
    monkeypatch.setattr(peak, "measure_peak", lambda: Peak({"f32": 1e12, "bf16": 2e12}, 1e11))
    options = ["--profile", "rigid-256", "--untrained", "--rounds", "1", "--calls", "1"]
    assert run(["bench", "networks", *options]) == 0
    said = capsys.readouterr().out
    assert "times eager" in said and "at best ms in f32" in said
    assert run(["bench", "networks", *options, "--json"]) == 0
    written = json.loads(capsys.readouterr().out)
    assert {"machine", "profile", "networks", "bounds"} == set(written)
    assert {one["engine"] for one in written["networks"]} >= {EAGER, "openvino"}
    assert set(written["bounds"]) == {"peak", "invert", "synthesize", "synthesize_face", "parse"}


def test_an_unknown_profile_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "networks", "--profile", "rigid-9"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
