"""The shipped weights: every engine makes the faces that eager PyTorch makes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from engines import Precision, load_runtime
from rigid.arrays import Array
from rigid.assets.store import AssetStore
from rigid.models.build import build_mapping, mean_code
from rigid.models.contract import RecurrentState, Runtime

PROFILE = "mobile-256"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def reference(store: AssetStore) -> Iterator[Runtime]:
    runtime = load_runtime(PROFILE, "torch", store=store)
    yield runtime
    runtime.close()


@pytest.fixture(scope="module")
def codes(store: AssetStore) -> Array:
    """W+ codes (2, 16, 512) of two generated faces."""
    random = torch.Generator().manual_seed(11)
    with torch.inference_mode():
        w = build_mapping(store)(torch.randn((2, 512), generator=random))
        mean = mean_code(PROFILE)
        return np.repeat((mean + 0.7 * (w - mean)).numpy()[:, None], 16, 1)


@pytest.fixture(scope="module")
def faces(reference: Runtime, codes: Array) -> Array:
    """Their images (2, 3, 256, 256)."""
    return reference.synthesize(codes, np.zeros((2, *reference.sizes.noise_shape), np.float32))


def signal_to_noise(found: Array, expected: Array) -> float:
    """PSNR in dB of images in [-1, 1]."""
    return float(10 * np.log10(4 / np.square(found - expected).mean()))


# In float32 only the order of sums differs; bfloat16, where the processor has it, keeps 8 bits of each factor.
@pytest.mark.parametrize(
    ("engine", "precision", "decibels", "tolerance"),
    [("openvino", "f32", 100, 1e-4), ("openvino", "auto", 40, 2e-2), ("onnxruntime", "auto", 100, 1e-4)],
)
def test_engines_agree_on_real_faces(
    store: AssetStore,
    reference: Runtime,
    codes: Array,
    faces: Array,
    engine: str,
    precision: Precision,
    decibels: float,
    tolerance: float,
) -> None:
    runtime = load_runtime(PROFILE, engine, store=store, precision=precision)
    images = runtime.synthesize(codes, np.zeros((2, *runtime.sizes.noise_shape), np.float32))
    assert signal_to_noise(images, faces) > decibels
    state = RecurrentState.initial(runtime.sizes, 2)
    expected, _, _ = reference.invert(faces.clip(-1, 1), state)
    found, _, _ = runtime.invert(faces.clip(-1, 1), state)
    assert np.abs(found - expected).max() < tolerance * np.abs(expected).max()
    runtime.close()


def test_faces_are_faces(faces: Array) -> None:
    assert faces.shape == (2, 3, 256, 256)
    assert 0.2 < faces.std() < 0.8 and np.abs(faces).max() < 2
    assert np.abs(faces[0] - faces[1]).mean() > 0.1
