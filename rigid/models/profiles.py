"""The profiles: their sizes and where their weights lie. Knows no PyTorch, which takes a second to import."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors import safe_open

from rigid.assets import AssetError, default_cache_dir
from rigid.models.contract import Array, Sizes

CODE_SIZE = 512
PROFILES = {
    "mobile-256": Sizes(
        image_size=256,
        n_codes=16,
        code_size=CODE_SIZE,
        n_shared_codes=3,
        noise_shape=(512, 32, 32),
        hidden_shape=(192, 4, 4),
        newest_noise_share=0.4,
        edit_gain=1.5,
        face_window=(27, 24),
    ),
    "rigid-256": Sizes(
        image_size=256,
        n_codes=14,
        code_size=CODE_SIZE,
        n_shared_codes=4,
        noise_shape=(512, 32, 32),
        hidden_shape=(512, 4, 4),
    ),
}
PAPER = "rigid-256"
"""The profile of the paper's networks, whose weights are imported from published checkpoints."""
IMPORTED_FROM = {
    "generator": "stylegan2",
    "mapping": "stylegan2",
    "image_encoder": "e4e",
    "recurrent_encoder": "rigid",
    "visible_net": "visible",
}
"""The kind of published checkpoint that each network of the paper's profile comes from."""

WEIGHTS = Path(__file__).parent.parent / "weights"


def sizes_of(profile: str) -> Sizes:
    """The sizes of `profile`; ValueError when there is no such profile."""
    if profile not in PROFILES:
        raise ValueError(f"There is no profile {profile!r}; choose one of: {', '.join(PROFILES)}.")
    return PROFILES[profile]


def has_recurrent_encoder(profile: str) -> bool:
    """Whether the profile has a trained recurrent encoder; without one, a frame's codes are the image encoder's."""
    sizes_of(profile)
    return weights_file(profile, "recurrent_encoder").is_file()


def mean_code(profile: str) -> Array:
    """The generator's mean code (512,), float32; AssetError when the profile's weights are to be imported first."""
    with safe_open(existing_weights(profile, "image_encoder"), "np") as weights:
        mean: Array = weights.get_tensor("mean").astype(np.float32).reshape(-1, CODE_SIZE).mean(0)
    return mean


def existing_weights(profile: str, name: str) -> Path:
    """The weights of one network; AssetError when they are to be imported first."""
    path = weights_file(profile, name)
    if profile == PAPER and not path.is_file():
        raise AssetError(
            f"The {name.replace('_', ' ')} of {profile} has no weights yet; import a published checkpoint: "
            f"`rigid-live models import FILE --as {IMPORTED_FROM[name]}`."
        )
    return path


def weights_file(profile: str, name: str) -> Path:
    """Where the weights of one network lie, or would: those that ship go before those imported."""
    sizes_of(profile)
    shipped = WEIGHTS / profile / f"{name}.safetensors"
    return shipped if shipped.is_file() else imported_folder(profile) / shipped.name


def weights_files(profile: str) -> list[Path]:
    """All weights of the profile's own networks that are there: those that ship, and those imported in their place."""
    sizes_of(profile)
    folders = (imported_folder(profile), WEIGHTS / profile)
    found = {path.name: path for folder in folders for path in folder.glob("*.safetensors")}
    return [found[name] for name in sorted(found)]


def imported_folder(profile: str) -> Path:
    """Where imported weights of `profile` lie: in the user's cache."""
    return default_cache_dir().expanduser().absolute() / "imported" / profile
