"""Published checkpoints of the paper's networks, read safely and stored as this project's weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from rigid.atomic_files import replacing
from rigid.checkpoints import convert
from rigid.checkpoints.families import (
    FAMILIES,
    Family,
    check_encoder_size,
    check_family,
    check_generator_size,
)
from rigid.checkpoints.reading import CheckpointError, Published, read_checkpoint
from rigid.models.build import new_e4e, new_mapping, new_paper_recurrent_encoder, new_stylegan2
from rigid.models.profiles import PAPER, find_imported_folder, sizes_of
from rigid.models.visibility import InterpolationNet

__all__ = ["FAMILIES", "CheckpointError", "Family", "import_checkpoint"]

Parts = dict[str, convert.StateDict]
"""State dicts of this project's networks by the names `rigid.models.build` loads them under."""


def import_checkpoint(path: Path, family: Family, profile: str = PAPER) -> list[Path]:
    """Store the networks that the checkpoint at `path` holds; returns the files written.

    A network that was imported before is replaced. Raises CheckpointError, and writes nothing, when the checkpoint
    is of another family or size, lacks a key, has one too many or one of another shape.
    """
    sizes_of(profile)
    if profile != PAPER:
        raise CheckpointError(f"Published checkpoints are for the profile {PAPER}; {profile} has weights of its own.")
    content = read_checkpoint(path)
    check_family(content, family, path)
    parts = READERS[family](content, path.name)
    folder = find_imported_folder(profile)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return [_write(folder / f"{name}.safetensors", state) for name, state in parts.items()]
    except OSError as error:
        raise CheckpointError(f"The folder {folder} cannot be written ({error.strerror}); make room there.") from error


def _write(path: Path, state: convert.StateDict) -> Path:
    with replacing(path) as part:
        save_file({name: value.contiguous() for name, value in state.items()}, part)
    return path


def _stylegan2(content: Mapping[str, Any], name: str) -> Parts:
    return _generator(content.get("g_ema", content), f"The generator in {name}")


def _e4e(content: Mapping[str, Any], name: str) -> Parts:
    """The encoder, and the generator it was trained with where the file holds it."""
    tensors = content.get("state_dict", content)
    strays = [key for key in tensors if not key.removeprefix("module.").startswith(("encoder.", "decoder."))]
    if strays:
        raise CheckpointError(f"{name} has a key too many: {strays[0]!r} is of neither encoder nor decoder.")
    encoder, decoder = (_below(tensors, prefix) for prefix in ("encoder.", "decoder."))
    what, sizes = f"The encoder in {name}", sizes_of(PAPER)
    check_encoder_size(encoder, sizes.n_codes, what)
    mean = _mean(content, name)
    if mean is None:
        raise CheckpointError(f"{name} lacks the key 'latent_avg', the code that its encoder's codes start from.")
    codes = mean.expand(sizes.n_codes, -1).clone()
    source = Published(encoder, what)
    parts = {"image_encoder": convert.image_encoder(source, _on_meta(new_e4e), codes)}
    source.finish()
    return parts | (_generator(decoder, f"The generator in {name}") if decoder else {})


def _rigid(content: Mapping[str, Any], name: str) -> Parts:
    """The recurrent encoder `e`, and the generator `g` that was trained with it, with its noises `n`."""
    what = f"The recurrent encoder in {name}"
    source = Published(content["e"], what)
    parts = {"recurrent_encoder": convert.recurrent_encoder(source, _on_meta(new_paper_recurrent_encoder))}
    source.finish()
    return parts | _generator(content["g"], f"The generator in {name}", content.get("n"))


def _visible(content: Mapping[str, Any], name: str) -> Parts:
    source = Published(content.get("masknet", content), f"The visible net in {name}")
    parts = {"visible_net": convert.same_names(source, _on_meta(InterpolationNet))}
    source.finish()
    return parts


Network = TypeVar("Network", bound=nn.Module)

READERS: dict[Family, Callable[[Mapping[str, Any], str], Parts]] = {
    "stylegan2": _stylegan2,
    "e4e": _e4e,
    "rigid": _rigid,
    "visible": _visible,
}


def _mean(content: Mapping[str, Any], name: str) -> Tensor | None:
    """`latent_avg` as (n, 512), n one or the number of codes; None where the checkpoint has none."""
    mean, sizes = content.get("latent_avg"), sizes_of(PAPER)
    if mean is None:
        return None
    if not isinstance(mean, Tensor) or mean.shape not in (
        (sizes.code_size,),
        (1, sizes.code_size),
        (sizes.n_codes, sizes.code_size),
    ):
        shape = tuple(mean.shape) if isinstance(mean, Tensor) else type(mean).__name__
        raise CheckpointError(f"{name}: 'latent_avg' is {shape}, not ({sizes.code_size},) or one for every code.")
    return mean.float().reshape(-1, sizes.code_size)


def _generator(tensors: Mapping[str, Any], what: str, noises: list[Tensor] | None = None) -> Parts:
    check_generator_size(tensors, sizes_of(PAPER).image_size, what)
    many = noises is not None and noises[0].shape[1] > 1
    network = _on_meta(lambda: new_stylegan2(per_channel_noise=many))
    if noises is not None and len(noises) != len(network.convs):
        raise CheckpointError(f"{what} comes with {len(noises)} noises; it has {len(network.convs)} layers.")
    source = Published(tensors, what)
    mapping = convert.mapping(source, _on_meta(new_mapping))
    parts = {"generator": convert.generator(source, network, noises), "mapping": mapping}
    source.finish()
    return parts


def _on_meta(new: Callable[[], Network]) -> Network:
    """A network of which only the shapes exist."""
    with torch.device("meta"):
        return new()


def _below(tensors: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    bare = {name.removeprefix("module."): value for name, value in tensors.items()}
    return {name.removeprefix(prefix): value for name, value in bare.items() if name.startswith(prefix)}
