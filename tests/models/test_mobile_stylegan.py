"""The generator rebuilt in PyTorch against the published files, run by OpenVINO in float32."""

from __future__ import annotations

import pytest
import torch

from rigid.assets.store import AssetStore
from rigid.models.build import build_mapping, build_teacher
from rigid.models.mobile_stylegan import MobileStyleGAN, haar, inverse_haar
from rigid.models.openvino_core import get_shared_core


def reference(store: AssetStore, name: str, inputs: torch.Tensor) -> torch.Tensor:
    path = store.file("generator", f"{name}.xml")
    model = get_shared_core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return torch.from_numpy(next(iter(model([inputs.numpy()]).values())))


@pytest.mark.slow
def test_mapping_and_synthesis_agree_with_the_published_files(store: AssetStore) -> None:
    z = torch.randn(1, 512, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        w = build_mapping(store)(z)
        teacher = build_teacher(store)
        image = teacher(w[:, None].expand(-1, teacher.n_codes, -1))
    assert image.shape == (1, 3, 1024, 1024)
    assert (w - reference(store, "MappingNetwork", z)).abs().max() < 1e-4
    assert (image - reference(store, "SynthesisNetwork", w)).abs().max() < 1e-3


def test_the_haar_transform_is_undone() -> None:
    image = torch.randn(2, 3, 8, 12)
    assert torch.allclose(inverse_haar(*haar(image)), image, atol=1e-6)
    assert torch.isclose(haar(image)[0].square().sum() + haar(image)[1].square().sum(), image.square().sum())


def test_a_level_reads_its_own_codes_only() -> None:
    network = MobileStyleGAN((8, 8, 8), code_size=6, noise_resolution=16).eval()
    for tensor in network.parameters():
        tensor.data.normal_(0, 0.3)
    codes = torch.randn(1, network.n_codes, 6)
    with torch.no_grad():
        before = [x.clone() for x in network.features(codes)]
        codes[:, 4:] += 1
        after = list(network.features(codes))
    assert torch.equal(before[0], after[0])
    assert not torch.allclose(before[1], after[1])


def test_the_noise_map_enters_at_its_resolution() -> None:
    network = MobileStyleGAN((8, 8, 8), code_size=6, noise_resolution=16).eval()
    codes = torch.randn(1, network.n_codes, 6)
    with torch.no_grad():
        plain = list(network.features(codes, torch.zeros(1, 8, 16, 16)))
        moved = list(network.features(codes, torch.ones(1, 8, 16, 16)))
    assert torch.equal(plain[0], moved[0])
    assert not torch.equal(plain[1], moved[1])
