"""The published nets, written down as their papers define them and on their own names, to compare with.

Nothing is folded, shared or made fast: weights are modulated for every image, filters run over zeros.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

StateDict = Mapping[str, Tensor]


def random_state(shapes: Mapping[str, Sequence[int]], seed: int = 0) -> dict[str, Tensor]:
    """Random values; variances are positive, filters are what they always are."""
    random = torch.Generator().manual_seed(seed)
    state = {name: torch.randn(tuple(shape), generator=random) for name, shape in shapes.items()}
    for name in state:
        if name.endswith("kernel"):
            state[name] = kernel() * (1 if name.startswith("ecd") else 4)
        elif name.endswith("running_var"):
            state[name] = 1 + state[name].abs()
    return state


def kernel() -> Tensor:
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    return torch.outer(taps, taps) / 64


def filtered(x: Tensor, weights: Tensor, pad: tuple[int, int]) -> Tensor:
    batch, channels, height, width = x.shape
    x = F.pad(x.reshape(batch * channels, 1, height, width), (*pad, *pad))
    out = F.conv2d(x, weights.flip(0, 1)[None, None])
    return out.reshape(batch, channels, *out.shape[2:])


def spread(x: Tensor) -> Tensor:
    """Zeros after every pixel and every row."""
    out = x.new_zeros(*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3])
    out[..., ::2, ::2] = x
    return out


def activated(x: Tensor, bias: Tensor) -> Tensor:
    return math.sqrt(2) * F.leaky_relu(x + bias.view(1, -1, *[1] * (x.dim() - 2)), 0.2)


def modulated(
    state: StateDict, name: str, x: Tensor, w: Tensor, *, up: bool = False, demodulate: bool = True
) -> Tensor:
    """One image after the other."""
    style = w @ state[f"{name}.modulation.weight"].T / math.sqrt(w.shape[1]) + state[f"{name}.modulation.bias"]
    weight = state[f"{name}.weight"][0]
    images = []
    for image, s in zip(x, style, strict=True):
        scaled = weight / math.sqrt(weight[0].numel()) * s[None, :, None, None]
        if demodulate:
            scaled = scaled / (scaled.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        if up:
            y = F.conv_transpose2d(image[None], scaled.transpose(0, 1), stride=2)
            images.append(filtered(y, state[f"{name}.blur.kernel"], (1, 1)))
        else:
            images.append(F.conv2d(image[None], scaled, padding=weight.shape[-1] // 2))
    return torch.cat(images)


def generator(state: StateDict, codes: Tensor, noises: Sequence[Tensor]) -> Tensor:
    def styled(name: str, x: Tensor, index: int, *, up: bool = False) -> Tensor:
        x = modulated(state, f"{name}.conv", x, codes[:, index], up=up)
        return activated(x + state[f"{name}.noise.weight"] * noises[index], state[f"{name}.activate.bias"])

    def to_rgb(name: str, x: Tensor, index: int) -> Tensor:
        return modulated(state, f"{name}.conv", x, codes[:, index], demodulate=False) + state[f"{name}.bias"]

    x = styled("conv1", state["input.input"].repeat(codes.shape[0], 1, 1, 1), 0)
    image = to_rgb("to_rgb1", x, 1)
    for i in range((len(noises) - 1) // 2):
        x = styled(f"convs.{2 * i}", x, 2 * i + 1, up=True)
        x = styled(f"convs.{2 * i + 1}", x, 2 * i + 2)
        larger = filtered(spread(image), state[f"to_rgbs.{i}.upsample.kernel"], (2, 1))
        image = to_rgb(f"to_rgbs.{i}", x, 2 * i + 3) + larger
    return image


def generator_shapes(channels: Sequence[int], code_size: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {"input.input": (1, channels[0], 4, 4), "noises.noise_0": (1, 1, 4, 4)}
    for i in range(1, 9):
        shapes |= {f"style.{i}.weight": (code_size, code_size), f"style.{i}.bias": (code_size,)}

    def modulated_shapes(name: str, c_in: int, c_out: int, size: int) -> dict[str, tuple[int, ...]]:
        return {
            f"{name}.weight": (1, c_out, c_in, size, size),
            f"{name}.modulation.weight": (c_in, code_size),
            f"{name}.modulation.bias": (c_in,),
        }

    def add(name: str, rgb: str | None, c_in: int, c_out: int, *, up: bool) -> None:
        shapes.update(modulated_shapes(f"{name}.conv", c_in, c_out, 3))
        shapes.update({f"{name}.noise.weight": (1,), f"{name}.activate.bias": (c_out,)})
        shapes.update({f"{name}.conv.blur.kernel": (4, 4)} if up else {})
        if rgb:
            shapes.update(modulated_shapes(f"{rgb}.conv", c_out, 3, 1))
            shapes.update({f"{rgb}.bias": (1, 3, 1, 1)})
            shapes.update({f"{rgb}.upsample.kernel": (4, 4)} if rgb != "to_rgb1" else {})

    add("conv1", "to_rgb1", channels[0], channels[0], up=False)
    for i, (c_in, c_out) in enumerate(pairwise(channels)):
        add(f"convs.{2 * i}", None, c_in, c_out, up=True)
        add(f"convs.{2 * i + 1}", f"to_rgbs.{i}", c_out, c_out, up=False)
        shapes |= {f"noises.noise_{2 * i + j}": (1, 1, 8 << i, 8 << i) for j in (1, 2)}
    return shapes


def mapping(state: StateDict, z: Tensor) -> Tensor:
    x = z / (z.square().mean(1, keepdim=True) + 1e-8).sqrt()
    for i in range(1, 9):
        x = activated(
            x @ (state[f"style.{i}.weight"] * 0.01 / math.sqrt(z.shape[1])).T, state[f"style.{i}.bias"] * 0.01
        )
    return x


def recurrent(state: StateDict, x: Tensor, hidden: Tensor, cell: Tensor, noise_size: int) -> tuple[Tensor, ...]:
    """`x`: I_{t-1}, I_t, O_{t-1}, E_{t-1} → offsets (flat), noise map, hidden, cell."""

    def convolved(name: str, x: Tensor, stride: int) -> Tensor:
        weight = state[f"{name}.weight"]
        return F.conv2d(x, weight / math.sqrt(weight[0].numel()), stride=stride)

    x = activated(convolved("ecd0.0.0", x, 1), state["ecd0.0.1.bias"])
    noise, i = x, 1
    while f"ecd{i}.0.0.kernel" in state:
        x = filtered(x, state[f"ecd{i}.0.0.kernel"], (2, 2))
        x = activated(convolved(f"ecd{i}.0.1", x, 2), state[f"ecd{i}.0.2.bias"])
        noise, i = (x if x.shape[-1] == noise_size else noise), i + 1
    gates = F.conv2d(torch.cat((x, hidden), 1), state["convlstm.Gates.weight"], state["convlstm.Gates.bias"], padding=1)
    enter, remember, leave, new = gates.chunk(4, 1)
    cell = remember.sigmoid() * cell + enter.sigmoid() * new.tanh()
    hidden = leave.sigmoid() * cell.tanh()
    weight = state["final_linear.0.weight"]
    offsets = hidden.flatten(1) @ (weight / math.sqrt(weight.shape[1])).T
    return activated(offsets, state["final_linear.0.bias"]), noise, hidden, cell


def recurrent_shapes(widths: Sequence[int], outputs: int) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {"ecd0.0.0.weight": (widths[0], 12, 1, 1), "ecd0.0.1.bias": (widths[0],)}
    for i, (c_in, c_out) in enumerate(pairwise(widths), 1):
        shapes |= {
            f"ecd{i}.0.0.kernel": (4, 4),
            f"ecd{i}.0.1.weight": (c_out, c_in, 3, 3),
            f"ecd{i}.0.2.bias": (c_out,),
        }
    last = widths[-1]
    return shapes | {
        "final_linear.0.weight": (outputs, 16 * last),
        "final_linear.0.bias": (outputs,),
        "convlstm.Gates.weight": (4 * last, 2 * last, 3, 3),
        "convlstm.Gates.bias": (4 * last,),
    }
