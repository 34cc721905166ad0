"""Published state dicts under this project's names, with every constant factor folded in.

The published nets scale their weights at every use (equalised learning rates) and multiply by √2 after a leaky
ReLU; here both are part of the weights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from rigid.checkpoints.reading import CheckpointError, Published
from rigid.models.e4e import E4eEncoder, IrSeBlock, StyleHeads
from rigid.models.mobile_stylegan import MappingNetwork
from rigid.models.recurrent import RecurrentEncoder
from rigid.models.stylegan2 import GAIN, StyledConv, StyleGAN2, ToRGB

StateDict = dict[str, Tensor]
MAPPING_RATE = 0.01
"""The mapping network's learning rate multiplier: its stored weights are a hundred times those used."""
NORM = ("weight", "bias", "running_mean", "running_var")
LATERALS = {"to_middle": "latlayer1", "to_fine": "latlayer2"}


def mapping(source: Published, network: MappingNetwork) -> StateDict:
    """The mapping network, `style.1` to `style.8`."""
    state: StateDict = {}
    for i, layer in enumerate(network.layers):
        assert isinstance(layer, nn.Linear)
        scale = MAPPING_RATE / math.sqrt(layer.in_features)
        state[f"layers.{i}.weight"] = source.take(f"style.{i + 1}.weight", layer.weight.shape) * scale
        state[f"layers.{i}.bias"] = source.take(f"style.{i + 1}.bias", layer.bias.shape) * MAPPING_RATE
    return state


def generator(source: Published, network: StyleGAN2, noises: Sequence[Tensor] | None = None) -> StateDict:
    """The synthesis network; `noises` take the place of the fixed noises it was published with."""
    state = {"input": source.take("input.input", network.input.shape)}
    for i, conv in enumerate(network.convs):
        assert isinstance(conv, StyledConv)
        name = f"convs.{i - 1}" if i else "conv1"
        state |= _prefix(f"convs.{i}", _convert_styled_conv(source, name, conv))
        own = source.take(f"noises.noise_{i}", (1, 1, *conv.noise.shape[2:]))
        state[f"convs.{i}.noise"] = own if noises is None else _noise(noises, i, conv)
    for i, to_rgb in enumerate(network.to_rgbs):
        assert isinstance(to_rgb, ToRGB)
        name = f"to_rgbs.{i - 1}" if i else "to_rgb1"
        state |= _prefix(f"to_rgbs.{i}", _to_rgb(source, name, to_rgb))
    return state


def _convert_styled_conv(source: Published, name: str, conv: StyledConv) -> StateDict:
    source.check_filter(f"{name}.conv.blur.kernel", 4)
    weight = source.take(f"{name}.conv.weight", (1, *conv.weight.shape))[0]
    return _modulation(source, name, conv.modulation) | {
        "weight": weight / math.sqrt(weight[0].numel()),
        "bias": source.take(f"{name}.activate.bias", conv.bias.shape) * GAIN,
        "strength": source.take(f"{name}.noise.weight", conv.strength.shape) * GAIN,
    }


def _to_rgb(source: Published, name: str, layer: ToRGB) -> StateDict:
    source.check_filter(f"{name}.upsample.kernel", 4)
    weight = source.take(f"{name}.conv.weight", (1, *layer.pointwise.weight.shape))[0]
    return _modulation(source, name, layer.modulation) | {
        "pointwise.weight": weight / math.sqrt(weight[0].numel()),
        "pointwise.bias": source.take(f"{name}.bias", (1, 3, 1, 1)).flatten(),
    }


def _modulation(source: Published, name: str, linear: nn.Linear) -> StateDict:
    weight = source.take(f"{name}.conv.modulation.weight", linear.weight.shape)
    return {
        "modulation.weight": weight / math.sqrt(linear.in_features),
        "modulation.bias": source.take(f"{name}.conv.modulation.bias", linear.bias.shape),
    }


def _noise(noises: Sequence[Tensor], index: int, conv: StyledConv) -> Tensor:
    """The first of a batch of noises: later ones, where there are any, are what a training step left behind."""
    noise, expected = noises[index], tuple(conv.noise.shape[1:])
    if tuple(noise.shape[1:]) != expected:
        raise CheckpointError(f"The noise {index} of 'n' has the shape {tuple(noise.shape)}, not (1, *{expected}).")
    return noise[:1].float()


def image_encoder(source: Published, network: E4eEncoder, mean: Tensor) -> StateDict:
    """The e4e encoder; `mean` (n_codes, code_size) is the checkpoint's `latent_avg`."""
    names = {"stem.0.weight": "input_layer.0.weight", "stem.2.weight": "input_layer.2.weight"}
    names |= {f"{ours}.{kind}": f"{theirs}.{kind}" for ours, theirs in LATERALS.items() for kind in ("weight", "bias")}
    state = {"mean": mean} | _rename(source, names, network)
    state |= _prefix("stem.1", _norm(source, "input_layer.1", network.get_submodule("stem.1")))
    blocks = [(name, block) for name, block in network.named_modules() if isinstance(block, IrSeBlock)]
    for i, (name, block) in enumerate(blocks):
        state |= _prefix(name, _block(source, f"body.{i}", block))
    first = 0
    for name in ("coarse", "middle", "fine"):
        heads = network.get_submodule(name)
        assert isinstance(heads, StyleHeads)
        state |= _prefix(name, _heads(source, heads, first))
        first += heads.n_heads
    return state


def _block(source: Published, name: str, block: IrSeBlock) -> StateDict:
    names = {
        "conv1.weight": "res_layer.1.weight",
        "slope.weight": "res_layer.2.weight",
        "conv2.0.weight": "res_layer.3.weight",
        "squeeze.weight": "res_layer.5.fc1.weight",
        "excite.weight": "res_layer.5.fc2.weight",
    }
    norms = {"norm": "res_layer.0", "conv2.1": "res_layer.4"}
    if block.shortcut is not None:
        names["shortcut.0.weight"] = "shortcut_layer.0.weight"
        norms["shortcut.1"] = "shortcut_layer.1"
    state = _rename(source, {ours: f"{name}.{theirs}" for ours, theirs in names.items()}, block)
    for ours, theirs in norms.items():
        state |= _prefix(ours, _norm(source, f"{name}.{theirs}", block.get_submodule(ours)))
    return state


def _norm(source: Published, name: str, norm: nn.Module) -> StateDict:
    source.drop(f"{name}.num_batches_tracked")
    state = {kind: source.take(f"{name}.{kind}", getattr(norm, kind).shape) for kind in NORM}
    return state | {"num_batches_tracked": torch.zeros((), dtype=torch.long)}


def _heads(source: Published, heads: StyleHeads, first: int) -> StateDict:
    """The published heads from number `first` on, one below the other, as the groups of one."""
    state: StateDict = {}
    names = [f"styles.{first + i}" for i in range(heads.n_heads)]
    for i, conv in enumerate(heads.convs):
        assert isinstance(conv, nn.Conv2d)
        for kind in ("weight", "bias"):
            state[f"convs.{i}.{kind}"] = _stack(source, names, f"convs.{2 * i}.{kind}", conv.get_parameter(kind))
    linear = heads.linear.weight[..., 0, 0]
    weight = _stack(source, names, "linear.weight", linear) / math.sqrt(linear.shape[1])
    state["linear.weight"] = weight[:, :, None, None]
    assert heads.linear.bias is not None
    return state | {"linear.bias": _stack(source, names, "linear.bias", heads.linear.bias)}


def _stack(source: Published, names: Sequence[str], kind: str, ours: Tensor) -> Tensor:
    shape = (ours.shape[0] // len(names), *ours.shape[1:])
    return torch.cat([source.take(f"{name}.{kind}", shape) for name in names])


def recurrent_encoder(source: Published, network: RecurrentEncoder) -> StateDict:
    """The recurrent encoder; the published one is given I_{t-1} before I_t (Eq. 1), this one after it."""
    frames = _convert_activated(source, "ecd0.0.0", "ecd0.0.1", network.pointwise)
    previous, current, others = frames["weight"].split((3, 3, 6), 1)
    state = _prefix("pointwise", frames | {"weight": torch.cat((current, previous, others), 1)})
    for i, down in enumerate(network.downs):
        name = f"ecd{i + 1}.0"
        source.check_filter(f"{name}.0.kernel", 1)
        conv = down.get_submodule("conv")
        state |= _prefix(f"downs.{i}.conv", _convert_activated(source, f"{name}.1", f"{name}.2", conv))
    state |= _rename(source, {f"lstm.gates.{kind}": f"convlstm.Gates.{kind}" for kind in ("weight", "bias")}, network)
    return state | _prefix("fc", _convert_activated(source, "final_linear.0", "final_linear.0", network.fc))


def _convert_activated(source: Published, weight_name: str, bias_name: str, layer: nn.Module) -> StateDict:
    """A layer of equalised learning rate before a "Fused Leaky ReLU"."""
    weight = source.take(f"{weight_name}.weight", layer.get_parameter("weight").shape)
    bias = source.take(f"{bias_name}.bias", layer.get_parameter("bias").shape)
    return {"weight": weight * (GAIN / math.sqrt(weight[0].numel())), "bias": bias * GAIN}


def _rename(source: Published, names: Mapping[str, str], network: nn.Module) -> StateDict:
    """Parameters of `network` that were published as they are, by our names."""
    return {ours: source.take(theirs, network.get_parameter(ours).shape) for ours, theirs in names.items()}


def same_names(source: Published, network: nn.Module) -> StateDict:
    """The state dict of a net whose names and values are the published ones."""
    return {name: source.take(name, value.shape) for name, value in network.state_dict().items()}


def _prefix(prefix: str, state: Mapping[str, Tensor]) -> StateDict:
    return {f"{prefix}.{name}": value for name, value in state.items()}
