"""Weights as they ship, float16, in one file that appears whole or not at all; and networks begun from such files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeVar

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from rigid.atomic_files import replacing
from rigid.models.profiles import existing_weights

Initial = Literal["new", "shipped"] | Path
"""What a network begins as: nothing, the weights that ship, or those of a file."""
Network = TypeVar("Network", bound=nn.Module)


def write_weights(path: Path, state: Mapping[str, Tensor]) -> None:
    """Write a network's `state_dict`, or a part of it, as `.safetensors`."""
    with replacing(path) as part:
        save_file({name: value.half().cpu().contiguous() for name, value in state.items()}, part)


def read_part(network: nn.Module, path: Path, names: tuple[str, ...]) -> None:
    """Give `network` the weights at `path` of its parts whose names begin with `names`, all of them.

    ValueError, one sentence, for a file that is not there or holds other weights.
    """
    own = {name: value for name, value in network.state_dict().items() if name.startswith(names)}
    try:
        found = {name: value.float() for name, value in load_file(path).items()}
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path} cannot be read as weights: {error}.") from error
    shapes = [{name: tuple(value.shape) for name, value in state.items()} for state in (own, found)]
    if shapes[0] != shapes[1]:
        unlike = min(name for name in own | found if shapes[0].get(name) != shapes[1].get(name))
        expected, got = (shape.get(unlike, "nothing") for shape in shapes)
        raise ValueError(
            f"{path} has {got} for {unlike}, not {expected}; name the file of `rigid-live train generator`."
        )
    network.load_state_dict(found, strict=False)


def load_initial(network: Network, initial: Initial, profile: str, file: str) -> Network:
    """`network`, new, with the weights that `initial` says; `file` is their name where they ship.

    ValueError, one sentence, for a file that is not there or holds another network.
    """
    if initial == "new":
        return network
    path = initial if isinstance(initial, Path) else existing_weights(profile, Path(file).stem)
    try:
        network.load_state_dict({name: value.float() for name, value in load_file(path).items()})
    except (OSError, SafetensorError, RuntimeError) as error:
        raise ValueError(f"{path} does not hold the weights of {Path(file).stem.replace('_', ' ')}: {error}") from error
    return network
