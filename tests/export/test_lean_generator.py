"""The rewritten generator computes what the original does."""

from __future__ import annotations

import pytest
import torch

from export.lean_generator import LeanGenerator, inverse_haar
from export.networks import without_batch_norms
from rigid.models import mobile_stylegan
from rigid.models.mobile_stylegan import MobileStyleGAN, split_bands
from rigid.models.weights import order_bands
from tests.networks import random_networks, randomise


def test_inverse_haar_of_ordered_bands() -> None:
    features = torch.randn(2, 24, 3, 5)
    expected = mobile_stylegan.inverse_haar(*split_bands(features))
    torch.testing.assert_close(0.5 * inverse_haar(features[:, order_bands(24)]), expected)


@pytest.mark.parametrize(("noise_resolution", "head_widths"), [(8, ()), (16, (12, 4, 8, 8)), (32, ())])
def test_same_images_as_the_generator(noise_resolution: int, head_widths: tuple[int, ...]) -> None:
    torch.manual_seed(5)
    generator = MobileStyleGAN(
        (16, 16, 16, 8), code_size=32, noise_resolution=noise_resolution, head_widths=head_widths
    )
    for module in generator.modules():
        randomise(module)
    generator.eval().requires_grad_(False)
    lean = LeanGenerator(generator)
    codes = torch.randn(3, 10, 32)
    noise = torch.randn(3, 16 if noise_resolution < 32 else 8, noise_resolution, noise_resolution)
    expected = generator(codes, noise)
    torch.testing.assert_close(lean(codes, noise), expected, rtol=0, atol=1e-5 * float(expected.abs().max()))
    assert torch.equal(generator(codes, noise), expected), "the generator itself was changed"


@pytest.mark.parametrize("head_widths", [(), (12, 4, 8, 8)])
def test_a_window_shows_its_part_of_the_picture(head_widths: tuple[int, ...]) -> None:
    torch.manual_seed(6)
    generator = MobileStyleGAN((16, 16, 16, 16), code_size=32, noise_resolution=8, head_widths=head_widths)
    for module in generator.modules():
        randomise(module)
    generator.eval().requires_grad_(False)
    codes, noise = torch.randn(3, 10, 32), torch.randn(3, 16, 8, 8)
    whole = LeanGenerator(generator)(codes, noise)
    corners = torch.tensor([[0, 0], [1, 1], [0, 2]])
    faces = LeanGenerator(generator, (7, 6))(codes, noise, corners.float())
    assert faces.shape == (3, 3, 56, 48)
    # Two convolutions at 16×16 and at 32×32, three more in a deep head: so many pixels of 64 they look around.
    reach = 2 * 4 + (5 if head_widths else 2) * 2
    for face, picture, (row, column) in zip(faces, whole, corners.tolist(), strict=True):
        expected = picture[:, 8 * row : 8 * row + 56, 8 * column : 8 * column + 48]
        inner = [
            slice(reach if start else 0, size if start + size // 8 == 8 else size - reach)
            for start, size in ((row, 56), (column, 48))
        ]
        part = (slice(None), *inner)
        torch.testing.assert_close(face[part], expected[part], rtol=0, atol=1e-5 * float(whole.abs().max()))
        assert face[part].numel() > 0


def test_folded_batch_norms_leave_the_codes_as_they_were() -> None:
    encoder = random_networks().image_encoder
    images = torch.rand(2, 3, 64, 64) * 2 - 1
    expected = encoder(images)
    folded = without_batch_norms(encoder)
    torch.testing.assert_close(folded(images), expected, rtol=0, atol=1e-5 * float(expected.abs().max()))
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
    assert any(isinstance(module, torch.nn.BatchNorm2d) for module in encoder.modules())
