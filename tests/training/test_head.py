"""The head before training: what it inherits of the levels that were cut off, and what it solves."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rigid.models.mobile_stylegan import DeepWaveletHead, MobileStyleGAN, WaveletHead
from rigid.training.head import inherit, shrunk_kernel, solve_head
from tests.networks import randomise

CODE_SIZE = 6


def random_network(network: nn.Module) -> None:
    torch.manual_seed(2)
    for module in network.modules():
        randomise(module)
    network.eval().requires_grad_(False)


def smooth_teacher(low: int) -> MobileStyleGAN:
    """Two levels whose high bands are empty in between, and whose upsampling does not read the code."""
    teacher = MobileStyleGAN((16, 32, 16), code_size=CODE_SIZE, noise_resolution=8)
    random_network(teacher)
    conv2 = teacher.level(0).conv2.pointwise
    conv2.weight[low:] = 0
    assert conv2.bias is not None
    conv2.bias[low:] = 0
    for i in range(2):
        level = teacher.level(i)
        level.up.weight[:] = 0
        for convolution in (level.conv1, level.conv2):
            convolution.noise[:] = convolution.noise.mean() if i or convolution is level.conv1 else 0
    return teacher


def test_smooth_features_come_out_as_the_levels_that_were_cut_off_make_them() -> None:
    teacher = smooth_teacher(low=8)
    head = DeepWaveletHead(16, (32, 8, 16, 16), 12, CODE_SIZE)
    for module in (head.modulation, head.pointwise):
        for parameter in module.parameters():
            nn.init.zeros_(parameter)
    codes = torch.randn(64, CODE_SIZE)
    features = torch.zeros(64, 16, 12, 12)
    features[:, :4] = torch.randn(64, 4, 1, 1)
    grow_noise(teacher, 12)
    inherit(head, teacher, codes)
    with torch.no_grad():
        x = features
        for i in range(2):
            x = teacher.level(i)(x, codes, codes)
        image = teacher.head(x, codes)
        ours = head.bands(features, codes)
    middle = image[..., 44:52, 44:52].mean((2, 3))
    torch.testing.assert_close(ours[:, :3, 6, 6], 2 * middle, rtol=1e-3, atol=1e-4)
    assert not ours[:, 3:].any()


def test_a_shrunk_kernel_gives_the_mean_over_each_block() -> None:
    kernel, picture = torch.randn(2, 1, 3, 3), torch.randn(1, 2, 6, 6)
    enlarged = picture.repeat_interleave(4, 2).repeat_interleave(4, 3)
    expected = F.avg_pool2d(F.conv2d(enlarged, kernel, padding=1, groups=2), 4)
    ours = F.conv2d(picture, shrunk_kernel(kernel, 4), padding=1, groups=2)
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-5)


def grow_noise(teacher: MobileStyleGAN, side: int) -> None:
    """Noise of the levels at `side` times 2, 4: constants, so only their size changes."""
    for i in range(2):
        for convolution in (teacher.level(i).conv1, teacher.level(i).conv2):
            convolution.noise = convolution.noise[..., :1, :1].expand(-1, -1, side << (i + 1), side << (i + 1)).clone()


def test_the_solved_convolution_makes_the_pictures_it_was_shown() -> None:
    shown = WaveletHead(5, CODE_SIZE)
    random_network(shown)
    shown.modulation.weight.zero_()
    shown.modulation.bias.fill_(1)

    def batch() -> tuple[Tensor, Tensor, Tensor]:
        x, w = torch.randn(2, 5, 8, 8), torch.randn(2, CODE_SIZE)
        with torch.no_grad():
            return x, w, shown(x, w)

    solved = WaveletHead(5, CODE_SIZE)
    solve_head(solved, [batch() for _ in range(3)])
    x, w, image = batch()
    torch.testing.assert_close(solved(x, w), image, rtol=0, atol=2e-3 * float(image.abs().max()))


def test_what_the_hidden_part_makes_already_is_not_solved_twice() -> None:
    head = DeepWaveletHead(5, (4,), 8, CODE_SIZE)
    random_network(head)
    x, w = torch.randn(4, 5, 8, 8), torch.randn(4, CODE_SIZE)
    for parameter in head.pointwise.parameters():
        parameter.zero_()
    with torch.no_grad():
        image = head(x, w)
    solve_head(head, [(x, w, image)])
    assert head.pointwise.weight.abs().max() < 1e-4
