from __future__ import annotations

import torch

from rigid.assets.store import AssetStore
from rigid.models.age_gender import MEAN_RGB
from rigid.models.expression import EXPRESSIONS, ExpressionNet, load_expression


def test_shapes_and_the_mean_face() -> None:
    network = ExpressionNet().eval().requires_grad_(False)
    grey = torch.tensor(MEAN_RGB).view(1, 3, 1, 1).expand(2, 3, 112, 112)
    seen: list[torch.Tensor] = []
    network.dense[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    sizes: list[int] = []
    for block in network.dense:
        block.register_forward_hook(lambda _, inputs, output: sizes.append(output.shape[-1]))
    assert network(grey).shape == (2, len(EXPRESSIONS))
    assert float(seen[0].abs().max()) < 1e-6
    assert sizes == [56, 28, 14, 7]


def test_a_dense_block_sums_what_came_before() -> None:
    network = ExpressionNet().eval().requires_grad_(False)
    block = network.dense[1]
    for name, parameter in block.named_parameters():
        if name.startswith(("conv1", "conv2", "conv3")):
            parameter.zero_()
    x = torch.rand(1, 32, 8, 8)
    with_later_ones_silent = block(x)
    assert with_later_ones_silent.shape == (1, 64, 4, 4)
    assert (with_later_ones_silent >= 0).all()


def test_the_published_weights_fill_the_net(store: AssetStore) -> None:
    network = load_expression(store.file("face-labels", "face_expression_model-weights_manifest.json"))
    random = torch.Generator().manual_seed(0)
    assert torch.isfinite(network(torch.rand(3, 3, 112, 112, generator=random) * 255)).all()
