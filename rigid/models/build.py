"""Named builders: the only place that knows the networks' sizes."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from rigid.assets import AssetStore
from rigid.models.contract import Sizes
from rigid.models.fetched import read_mapping, read_synthesis
from rigid.models.image_encoder import ImageEncoder
from rigid.models.light_recurrent import LightRecurrentEncoder
from rigid.models.mobile_stylegan import MappingNetwork, MobileStyleGAN
from rigid.models.perceptual import FusedAlexNet, Lpips, ShiftTolerantAlexNet, published_to_ours

CODE_SIZE = 512
TEACHER_CHANNELS = (512, 512, 512, 512, 512, 256, 128, 64)
PROFILES = {
    "mobile-256": Sizes(
        image_size=256,
        n_codes=16,
        code_size=CODE_SIZE,
        n_shared_codes=3,
        noise_shape=(512, 32, 32),
        hidden_shape=(192, 4, 4),
    ),
}
GENERATOR_CHANNELS = {"mobile-256": TEACHER_CHANNELS[:6]}
HEAD_WIDTHS = {"mobile-256": (128, 64, 64, 64)}
"""As wide as the two levels that were cut off need: 128, the low and some high bands of it, 64, 64."""
TUNED_PARTS = ("levels.4.", "head.")
"""The parts of the `mobile-256` generator this project trained; the others come from the fetched files."""

Network = TypeVar("Network", bound=nn.Module)

WEIGHTS = Path(__file__).parent.parent / "weights"


def sizes_of(profile: str) -> Sizes:
    """The sizes of `profile`; ValueError when there is no such profile."""
    if profile not in PROFILES:
        raise ValueError(f"There is no profile {profile!r}; choose one of: {', '.join(PROFILES)}.")
    return PROFILES[profile]


def build_mapping(store: AssetStore) -> MappingNetwork:
    """StyleGAN2's mapping network with the fetched weights, z (B, 512) → w (B, 512)."""
    network = MappingNetwork(CODE_SIZE)
    network.load_state_dict(read_mapping(store.file("generator", "MappingNetwork.xml")))
    return _ready(network)


def build_teacher(store: AssetStore) -> MobileStyleGAN:
    """The whole fetched generator: codes (B, 22, 512) → RGB (B, 3, 1024, 1024)."""
    network = _mobile_stylegan(TEACHER_CHANNELS)
    network.load_state_dict(read_synthesis(store.file("generator", "SynthesisNetwork.xml")))
    return _ready(network)


def build_untuned_generator(profile: str, store: AssetStore) -> MobileStyleGAN:
    """The teacher cut at the profile's size; its head is not trained yet."""
    sizes_of(profile)
    network = _mobile_stylegan(GENERATOR_CHANNELS[profile], HEAD_WIDTHS[profile])
    fetched = read_synthesis(store.file("generator", "SynthesisNetwork.xml"))
    kept = {name: value for name, value in fetched.items() if name in network.state_dict() and "head." not in name}
    network.load_state_dict(kept, strict=False)
    return _ready(network)


def build_generator(profile: str, store: AssetStore) -> MobileStyleGAN:
    """The profile's generator: codes (B, 16, 512), noise (B, 512, 32, 32) → RGB (B, 3, 256, 256)."""
    network = build_untuned_generator(profile, store)
    tuned = load_weights(profile, "generator")
    missing = [name for name in network.state_dict() if name.startswith(TUNED_PARTS) and name not in tuned]
    if missing:
        raise ValueError(f"The generator weights of {profile} lack {missing[0]}; reinstall the package.")
    network.load_state_dict(tuned, strict=False)
    return network


def new_image_encoder(profile: str, mean: Tensor) -> ImageEncoder:
    """An untrained light e4e encoder; `mean` (512,) is the mean code W+ starts from."""
    sizes = sizes_of(profile)
    return ImageEncoder(mean, n_codes=sizes.n_codes, widths=(32, 64, 128, 256, 384), depths=(1, 2, 3, 2, 1))


def build_image_encoder(profile: str) -> ImageEncoder:
    """The profile's trained image encoder: RGB (B, 3, 256, 256) in [-1, 1] → codes (B, 16, 512)."""
    network = new_image_encoder(profile, torch.zeros(CODE_SIZE))
    network.load_state_dict(load_weights(profile, "image_encoder"))
    return _ready(network)


def new_recurrent_encoder(profile: str) -> LightRecurrentEncoder:
    """An untrained recurrent encoder, whose offsets and noise are exactly zero."""
    sizes = sizes_of(profile)
    channels, side, _ = sizes.hidden_shape
    return LightRecurrentEncoder(
        stem=96,
        widths=(176, 224, 256, channels),
        squeeze=40,
        hidden_size=side,
        noise_channels=sizes.noise_shape[0],
        n_early=sizes.n_codes - sizes.n_shared_codes,
        code_size=sizes.code_size,
    )


def has_recurrent_encoder(profile: str) -> bool:
    """Whether the profile has a trained recurrent encoder; without one, a frame's codes are the image encoder's."""
    sizes_of(profile)
    return (WEIGHTS / profile / "recurrent_encoder.safetensors").is_file()


def build_recurrent_encoder(profile: str) -> LightRecurrentEncoder:
    """The profile's trained recurrent encoder; see `LightRecurrentEncoder.forward`."""
    network = new_recurrent_encoder(profile)
    network.load_state_dict(load_weights(profile, "recurrent_encoder"))
    return _ready(network)


def build_lpips(store: AssetStore, *, exact: bool = True) -> Lpips:
    """The shift-tolerant LPIPS; `exact=False` is the cheaper form for losses."""
    network = Lpips(ShiftTolerantAlexNet() if exact else FusedAlexNet())
    path = store.file("perceptual", "alex_shift_tolerant.pth")
    network.load_state_dict(published_to_ours(torch.load(path, map_location="cpu", weights_only=True)))
    return _ready(network)


def mean_code(profile: str) -> Tensor:
    """The generator's mean code (512,), float32."""
    return load_weights(profile, "image_encoder")["mean"]


def load_weights(profile: str, name: str) -> dict[str, Tensor]:
    """This project's own weights, stored as float16, as float32."""
    sizes_of(profile)
    return {key: value.float() for key, value in load_file(WEIGHTS / profile / f"{name}.safetensors").items()}


def _mobile_stylegan(channels: tuple[int, ...], head_widths: tuple[int, ...] = ()) -> MobileStyleGAN:
    return MobileStyleGAN(channels, code_size=CODE_SIZE, noise_resolution=32, head_widths=head_widths)


def _ready(network: Network) -> Network:
    return network.eval().requires_grad_(False)
