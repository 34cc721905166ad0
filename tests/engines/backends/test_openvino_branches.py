"""Both encoders of `invert` side by side: the same numbers as the network in one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino
import pytest

from engines import EngineOptions
from engines.backends.openvino_branches import find_branches
from engines.backends.openvino_engine import open_graphs
from rigid.arrays import Array
from rigid.models.contract import RecurrentState
from rigid.models.openvino_core import get_shared_core
from tests.networks import SIZES, export_once

pytestmark = pytest.mark.slow

KEPT = 3 + 1 + 2 * 2
"""`invert` in three parts, whole pictures, and what is there for all cores and for one: faces and their parts."""


@pytest.fixture
def folder() -> Path:
    return export_once(recurrent=True)


def read(path: Path) -> openvino.Model:
    model = get_shared_core().read_model(path)
    model.reshape({port.any_name: [1, *list(port.partial_shape)[1:]] for port in model.inputs})
    return model


def names(ports: list[openvino.Output]) -> list[str]:
    return [port.any_name for port in ports]


def invert(folder: Path, options: EngineOptions) -> list[Array]:
    """What comes of two pictures and their states."""
    random = np.random.default_rng(0)
    pictures = random.uniform(-1, 1, (3, 2, 3, 64, 64)).astype(np.float32)
    hidden, cell = random.standard_normal((2, 2, *SIZES.hidden_shape)).astype(np.float32)
    state = RecurrentState(hidden, cell, *pictures)
    runtime = open_graphs(folder, SIZES, options)
    codes, noise, after = runtime.invert(pictures[0], state)
    runtime.close()
    return [codes, noise, after.hidden, after.cell]


def test_each_branch_sees_its_own_inputs_and_both_are_joined(folder: Path) -> None:
    branches = find_branches(read(folder / "invert.onnx"), "inputs", least_share=0)
    assert branches is not None
    assert names(branches.first.inputs) == ["inputs"]
    assert {"hidden", "cell", "previous_edited"} <= set(names(branches.second.inputs))
    assert {"noise", "next_hidden", "next_cell"} < set(names(branches.second.outputs))
    assert names(branches.joining.outputs) == ["codes"]
    given = set(names(branches.first.outputs)) | set(names(branches.second.outputs))
    assert set(names(branches.joining.inputs)) <= given


def test_without_a_recurrent_encoder_or_with_a_far_lighter_one_there_are_no_branches(
    folder: Path,
) -> None:
    alone = export_once()
    assert find_branches(read(alone / "invert.onnx"), "inputs", least_share=0) is None
    assert find_branches(read(folder / "invert.onnx"), "inputs", least_share=1) is None


def test_both_side_by_side_give_what_the_network_gives(folder: Path, tmp_path: Path) -> None:
    expected = invert(folder, EngineOptions(precision="f32", threads=1))
    for _ in range(2):
        beside = invert(folder, EngineOptions(precision="f32", threads=2, kept=tmp_path))
        for array, other in zip(expected, beside, strict=True):
            np.testing.assert_allclose(array, other, rtol=0, atol=1e-5 * float(np.abs(array).max()))
    assert len(list((tmp_path / "openvino").glob("*.json"))) == KEPT
