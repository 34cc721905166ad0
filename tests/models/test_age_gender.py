from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from rigid.assets.store import AssetStore
from rigid.models.age_gender import MEAN_RGB, AgeGenderNet, load_age_gender, read_weights


def write_model(folder: Path) -> Path:
    entries = [
        {"name": "fc/age/weights", "shape": [2, 1], "quantization": {"dtype": "uint8", "scale": 0.5, "min": -1.0}},
        {"name": "fc/age/bias", "shape": [1], "dtype": "float32"},
    ]
    manifest = folder / "tiny_model-weights_manifest.json"
    manifest.write_text(json.dumps([{"weights": entries, "paths": ["tiny_model.bin"]}]))
    (folder / "tiny_model.bin").write_bytes(bytes([0, 4]) + np.float32(7.5).tobytes())
    return manifest


def test_bytes_become_weights(tmp_path: Path) -> None:
    tensors = read_weights(write_model(tmp_path))
    torch.testing.assert_close(tensors["fc/age/weights"], torch.tensor([[-1.0], [1.0]]))
    torch.testing.assert_close(tensors["fc/age/bias"], torch.tensor([7.5]))


def test_a_file_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    manifest = write_model(tmp_path)
    (tmp_path / "tiny_model.bin").write_bytes(bytes(3))
    with pytest.raises(ValueError, match="tiny_model.bin has 3 bytes, but its manifest names 6"):
        read_weights(manifest)


def test_shapes_and_the_mean_face() -> None:
    network = AgeGenderNet().eval()
    grey = torch.tensor(MEAN_RGB).view(1, 3, 1, 1).expand(2, 3, 112, 112)
    seen: list[torch.Tensor] = []
    network.conv_in.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    age, male = network(grey)
    assert age.shape == male.shape == (2,)
    # the source pads after the last row and column only
    assert seen[0].shape == (2, 3, 113, 113)
    assert math.isclose(float(seen[0].abs().max()), 0.0, abs_tol=1e-6)


def test_the_published_weights_fill_the_net(store: AssetStore) -> None:
    network = load_age_gender(store.file("face-labels", "age_gender_model-weights_manifest.json"))
    random = torch.Generator().manual_seed(0)
    age, male = network(torch.rand(4, 3, 112, 112, generator=random) * 255)
    assert torch.isfinite(age).all() and torch.isfinite(male).all()
    assert ((age > -20) & (age < 120)).all()
