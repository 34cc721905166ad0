"""Weights between those that ship and those that were learned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from rigid.models.profiles import WEIGHTS
from rigid.training.averaging import average, average_folder
from rigid.training.judge import FILES, PROFILE


def test_an_average_lies_its_share_of_the_way_and_keeps_types_and_shapes() -> None:
    shipped = {"weight": np.array([[0.0, 2.0]], np.float16), "scale": np.array(1.0, np.float16)}
    learned = {"weight": np.array([[1.0, 0.0]], np.float32), "scale": np.array(3.0, np.float32)}
    averaged = average(shipped, learned, 0.25)
    assert averaged["weight"].tolist() == [[0.25, 1.5]] and averaged["scale"].tolist() == 1.5
    assert {value.dtype for value in averaged.values()} == {np.dtype(np.float16)}
    assert [value.shape for value in averaged.values()] == [(1, 2), ()]


def test_the_weights_of_another_network_are_refused() -> None:
    shipped = {"weight": np.zeros(3, np.float16)}
    for other in ({"weight": np.zeros(4, np.float16)}, {"bias": np.zeros(3, np.float16)}, {}):
        with pytest.raises(ValueError, match="not of the same network as those that ship"):
            average(shipped, other, 0.5)


def test_a_candidates_averages_lie_beside_it(tmp_path: Path) -> None:
    name = FILES[1]
    shipped, candidate = load_file(WEIGHTS / PROFILE / name), tmp_path / "candidate"
    candidate.mkdir()
    save_file({key: value + np.asarray(0.5, value.dtype) for key, value in shipped.items()}, candidate / name)
    folder = average_folder(candidate, 0.5)
    assert folder == tmp_path / "candidate-0.5" and [path.name for path in folder.iterdir()] == [name]
    for key, value in load_file(folder / name).items():
        np.testing.assert_allclose(value, shipped[key] + 0.25, atol=2e-2, rtol=0)
