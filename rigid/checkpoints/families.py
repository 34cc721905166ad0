"""Which kind of checkpoint a file holds, by its keys, and of what size."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from rigid.checkpoints.reading import CheckpointError

Family = Literal["stylegan2", "e4e", "rigid", "visible"]
FAMILIES: tuple[Family, ...] = get_args(Family)

NAMES: dict[Family, str] = {
    "stylegan2": "a StyleGAN2 generator",
    "e4e": "an e4e encoder",
    "rigid": "a RIGID training checkpoint",
    "visible": "a visible net",
}


def check_family(content: Mapping[str, Any], family: Family, path: Path) -> None:
    """CheckpointError when the checkpoint is of another family, or of none."""
    found = family_of(content)
    if found is None:
        keys = ", ".join(repr(key) for key in list(content)[:4]) or "none"
        raise CheckpointError(
            f"{path.name} is none of the checkpoints this program reads ({', '.join(FAMILIES)}); its keys begin "
            f"with {keys}."
        )
    if found != family:
        raise CheckpointError(f"{path.name} holds {NAMES[found]}, not {NAMES[family]}; import it with --as {found}.")


def family_of(content: Mapping[str, Any]) -> Family | None:
    """The family whose marks the checkpoint bears: its wrapper's keys, else those of a bare state dict."""
    if {"e", "g"} <= content.keys():
        return "rigid"
    if isinstance(content.get("g_ema"), dict):
        return "stylegan2"
    if isinstance(content.get("masknet"), dict):
        return "visible"
    if isinstance(content.get("state_dict"), dict):
        return "e4e" if any("encoder." in name for name in content["state_dict"]) else None
    return _family_of_bare(content)


def _family_of_bare(names: Iterable[str]) -> Family | None:
    bare = {str(name).removeprefix("module.") for name in names}
    if "to_rgb1.conv.weight" in bare:
        return "stylegan2"
    if "down5.conv2.weight" in bare:
        return "visible"
    if any(name.startswith("encoder.body.") for name in bare):
        return "e4e"
    return None


def check_generator_size(tensors: Mapping[str, Any], image_size: int, what: str) -> None:
    """CheckpointError for a generator of another image size, channel multiplier or kind."""
    side = 2 ** (2 + len(_indices(tensors, r"to_rgbs\.(\d+)\.")))
    if side != image_size:
        raise CheckpointError(f"{what} makes {side}² images; this profile needs one for {image_size}².")


def check_encoder_size(tensors: Mapping[str, Any], n_codes: int, what: str) -> None:
    """CheckpointError for an e4e encoder of another number of codes, which is one for another image size."""
    found = len(_indices(tensors, r"styles\.(\d+)\."))
    if found and found != n_codes:
        raise CheckpointError(
            f"{what} gives {found} codes, for {2 ** (found // 2 + 1)}² images; this profile has {n_codes}, for "
            f"{2 ** (n_codes // 2 + 1)}²."
        )


def _indices(names: Iterable[str], pattern: str) -> set[int]:
    return {int(match[1]) for name in names if (match := re.match(r"(?:module\.)?" + pattern, name))}
