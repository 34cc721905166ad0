"""The profiles: their sizes and where their weights lie. Knows no PyTorch, which takes a second to import."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from rigid.arrays import Array
from rigid.assets.store import AssetError, default_cache_dir
from rigid.models.contract import CLASSES, Sizes

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
        edit_gain=1.6,
        face_window=(27, 24),
        n_classes=len(CLASSES),
    ),
    "rigid-256": Sizes(
        image_size=256,
        n_codes=14,
        code_size=CODE_SIZE,
        n_shared_codes=4,
        noise_shape=(512, 32, 32),
        hidden_shape=(512, 4, 4),
        n_classes=len(CLASSES),
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
AGAIN = "install rigid-live again"
WITHOUT_PARSER = "faces are masked by their landmarks"
WITHOUT_RECURRENT_ENCODER = "each frame is inverted by itself"


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
    """The generator's mean code (512,), float32; AssetError when the profile's image encoder cannot be had."""
    path = existing_weights(profile, "image_encoder")
    try:
        with safe_open(path, "np") as weights:
            mean: Array = weights.get_tensor("mean").astype(np.float32).reshape(-1, CODE_SIZE).mean(0)
    except (OSError, SafetensorError, ValueError) as error:
        raise unfit_weights(path) from error
    return mean


def existing_weights(profile: str, name: str) -> Path:
    """The weights of one network; AssetError when they are missing, or to be imported first."""
    path = weights_file(profile, name)
    if path.is_file():
        return path
    what = f"The {name.replace('_', ' ')} of {profile} has no weights"
    if profile == PAPER:
        command = f"rigid-live models import FILE --as {IMPORTED_FROM[name]}"
        raise AssetError(f"{what} yet; import a published checkpoint: `{command}`.")
    raise AssetError(f"{what} at {WEIGHTS / profile / path.name}; {AGAIN}.")


def parser_file() -> Path:
    """Find where the weights of the face parser lie, or would: the same for every profile."""
    return WEIGHTS / "face_parser.safetensors"


def existing_parser() -> Path:
    """The weights of the face parser; AssetError when they are missing."""
    path = parser_file()
    if not path.is_file():
        raise AssetError(f"The face parser has no weights at {path}; {AGAIN}.")
    return path


def unfit_weights(path: Path) -> AssetError:
    """What is raised where the weights at `path` cannot be read, or are those of another network."""
    again = AGAIN if path.is_relative_to(WEIGHTS) else "import the checkpoint again (`rigid-live models import`)"
    return AssetError(f"The weights at {path} are damaged or of another version; {again}.")


def optional_networks(profile: str, sizes: Sizes) -> dict[str, str]:
    """What is told of the networks that a stream can do without, by name: `ready`, or what is wrong and done instead.

    `sizes`: those of the profile's runtime, which say whether it has a face parser.
    """
    problem = "damaged or of another version" if parser_file().is_file() else "missing"
    return {
        "recurrent_encoder": "ready" if has_recurrent_encoder(profile) else f"missing: {WITHOUT_RECURRENT_ENCODER}",
        "face_parser": "ready" if sizes.n_classes else f"{problem}: {WITHOUT_PARSER}",
    }


def weights_file(profile: str, name: str) -> Path:
    """Find where the weights of one network lie, or would: those that ship go before those imported."""
    sizes_of(profile)
    shipped = WEIGHTS / profile / f"{name}.safetensors"
    return shipped if shipped.is_file() else find_imported_folder(profile) / shipped.name


def weights_files(profile: str) -> list[Path]:
    """List all weights of its own networks that a profile has: those that ship, and those imported in their place."""
    sizes_of(profile)
    folders = (find_imported_folder(profile), WEIGHTS / profile)
    found = {path.name: path for folder in folders for path in folder.glob("*.safetensors")}
    return [found[name] for name in sorted(found)]


def find_imported_folder(profile: str) -> Path:
    """Find where imported weights of `profile` lie: in the user's cache."""
    return default_cache_dir().expanduser().absolute() / "imported" / profile
