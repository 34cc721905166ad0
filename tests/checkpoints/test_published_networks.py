"""The paper's networks against outputs of the published implementations, on weights that anyone can make again.

`RIGID_LIVE_REFERENCE` names a folder with the published nets' keys and shapes (`keys/*.json`), a way to fill them
(`fill.py`) and what the published nets then gave (`golden.npz`).
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from rigid.assets.store import AssetStore
from rigid.checkpoints import Family, import_checkpoint
from rigid.models.build import (
    build_generator,
    build_image_encoder,
    build_mapping,
    build_published_visible_net,
    build_recurrent_encoder,
)
from rigid.models.profiles import PAPER

pytestmark = pytest.mark.slow

StateDict = dict[str, Tensor]
Golden = dict[str, NDArray[Any]]


class Fill(Protocol):
    """What `fill.py` offers."""

    def value(self, name: str, shape: tuple[int, ...]) -> Tensor | None: ...

    def input_tensor(self, name: str, shape: tuple[int, ...], seed: int = 0, scale: float = 1.0) -> Tensor: ...


@pytest.fixture(scope="module")
def reference() -> Path:
    value = os.environ.get("RIGID_LIVE_REFERENCE")
    if not value:
        pytest.skip("RIGID_LIVE_REFERENCE is not set: there is nothing to compare the paper's networks with")
    folder = Path(value)
    assert folder.is_dir(), f"RIGID_LIVE_REFERENCE is {value!r}, which is not a folder"
    return folder


@pytest.fixture(scope="module")
def fill(reference: Path) -> Fill:
    spec = importlib.util.spec_from_file_location("reference_fill", reference / "fill.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return cast(Fill, module)


@pytest.fixture(scope="module")
def golden(reference: Path) -> Golden:
    with np.load(reference / "golden.npz") as file:
        return dict(file)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache, emptied again at once: the weights take more than a gigabyte."""
    monkeypatch.setenv("RIGID_LIVE_CACHE", str(tmp_path))
    yield tmp_path
    for path in [*tmp_path.rglob("*.pt"), *tmp_path.rglob("*.safetensors")]:
        path.unlink()


def filled(reference: Path, fill: Fill, keys: str, prefix: str = "") -> StateDict:
    """The state dict of a published net; what `fill.py` leaves alone is as the net's constructor makes it."""
    shapes = json.loads((reference / "keys" / f"{keys}.json").read_text("utf-8"))
    state: StateDict = {}
    for name, shape in shapes.items():
        value = fill.value(name, tuple(shape))
        state[prefix + name] = unfilled(name, tuple(shape)) if value is None else value
    return state


def unfilled(name: str, shape: tuple[int, ...]) -> Tensor:
    """Counters and noises are zero; filters are (1, 3, 3, 1)², four times as strong where they upsample."""
    if not name.endswith("kernel"):
        return torch.zeros(shape)
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    return torch.outer(taps, taps) * (1 if name.startswith("ecd") else 4)


def imported(content: dict[str, Any], family: Family, cache: Path) -> None:
    path = cache / f"{family}.pt"
    torch.save(content, path)
    import_checkpoint(path, family)
    path.unlink()


def assert_close(found: Tensor, expected: NDArray[Any]) -> None:
    """Within 1e-3 of the largest value expected, 5e-3 where the values were stored in half precision."""
    tolerance = 5e-3 if expected.dtype == np.float16 else 1e-3
    wanted = torch.from_numpy(expected.astype(np.float32))
    assert found.shape == wanted.shape
    error = (found - wanted).abs().max() / wanted.abs().max()
    assert error <= tolerance, f"off by {error:.2e} of the largest value"


def test_stylegan2(reference: Path, fill: Fill, golden: Golden, cache: Path) -> None:
    imported({"g_ema": filled(reference, fill, "stylegan2_256"), "latent_avg": torch.zeros(512)}, "stylegan2", cache)
    generator, w, n = build_generator(PAPER, AssetStore()), fill.input_tensor("w", (2, 14, 512)), noise_map(fill)
    with torch.inference_mode():
        assert_close(generator(w), golden["generator_image"])
        assert_close(generator(w, n), golden["generator_image_with_noise_map"])
        assert_close(build_mapping(AssetStore(), PAPER)(fill.input_tensor("z", (2, 512))), golden["mapping_w"])


def noise_map(fill: Fill) -> Tensor:
    return fill.input_tensor("n", (2, 512, 32, 32), scale=0.3)


def test_e4e(reference: Path, fill: Fill, golden: Golden, cache: Path) -> None:
    # The published encoder gives codes relative to the mean one, which is added outside it.
    content = {
        "state_dict": filled(reference, fill, "e4e_256", "encoder."),
        "latent_avg": torch.zeros(14, 512),
        "opts": argparse.Namespace(encoder_type="Encoder4Editing", stylegan_size=256),
    }
    imported(content, "e4e", cache)
    content.clear()
    x = fill.input_tensor("x", (2, 3, 256, 256), scale=0.5).clamp(-1, 1)
    with torch.inference_mode():
        assert_close(build_image_encoder(PAPER)(x), golden["e4e_codes"])


def test_recurrent_encoder(reference: Path, fill: Fill, golden: Golden, cache: Path) -> None:
    content = {
        "e": filled(reference, fill, "recurrent_encoder_256", "module."),
        "g": filled(reference, fill, "stylegan2_256", "module."),
        "args": argparse.Namespace(size=256),
    }
    imported(content, "rigid", cache)
    x12 = fill.input_tensor("x12", (2, 12, 256, 256), scale=0.5).clamp(-1, 1)
    # The published net is given the frame before first (Eq. 1), ours second.
    before, now, others = x12.split((3, 3, 6), 1)
    frames = torch.cat((now, before, others), 1)
    network, hidden, cell = build_recurrent_encoder(PAPER), torch.zeros(2, 512, 4, 4), torch.zeros(2, 512, 4, 4)
    with torch.inference_mode():
        for step, pictures in ((1, frames), (2, frames.flip(3))):
            offsets, noise, hidden, cell = network(pictures, hidden, cell)
            assert_close(offsets, golden[f"recurrent_codes_{step}"])
            assert noise.shape == (2, 512, 32, 32)
            assert_close(noise[:, :8], golden[f"recurrent_noise_{step}"])
    assert_close(hidden, golden["recurrent_hidden_2"])
    assert_close(cell, golden["recurrent_cell_2"])


def test_visible_net(reference: Path, fill: Fill, cache: Path) -> None:
    """There is no published output to compare with; its keys must fit, and its share be one."""
    imported({"masknet": filled(reference, fill, "visible_net")}, "visible", cache)
    pair = fill.input_tensor("pair", (1, 6, 64, 64), scale=0.5)
    with torch.inference_mode():
        share = build_published_visible_net()(pair)
    assert share.shape == (1, 1, 64, 64)
    assert 0 <= share.min() < share.max() <= 1
