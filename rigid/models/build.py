"""Named builders: with `rigid.models.profiles` the only place that knows the networks' sizes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from rigid.assets.store import AssetError, AssetStore
from rigid.models import profiles
from rigid.models.e4e import E4eEncoder
from rigid.models.face_parser import FaceParser
from rigid.models.fetched import State, read_synthesis
from rigid.models.image_encoder import ImageEncoder
from rigid.models.light_recurrent import LightRecurrentEncoder
from rigid.models.mobile_stylegan import MappingNetwork, MobileStyleGAN
from rigid.models.perceptual import FusedAlexNet, Lpips, ShiftTolerantAlexNet, convert_published
from rigid.models.profiles import (
    CODE_SIZE,
    PAPER,
    PROFILES,
    WITHOUT_PARSER,
    existing_parser,
    existing_weights,
    has_recurrent_encoder,
    sizes_of,
    unfit_weights,
)
from rigid.models.recurrent import RecurrentEncoder
from rigid.models.stylegan2 import StyleGAN2
from rigid.models.visibility import InterpolationNet
from rigid.models.weights import read_generator, read_mapping_weights, read_weights

logger = logging.getLogger(__name__)
TEACHER_CHANNELS = (512, 512, 512, 512, 512, 256, 128, 64)
STYLEGAN2_CHANNELS = (512, 512, 512, 512, 512, 256, 128)
E4E_HEADS = (3, 4, 7)
IR_SE50 = ((64, 3), (128, 4), (256, 14), (512, 3))
RECURRENT_WIDTHS = (128, 256, 512, 512, 512, 512, 512)
GENERATOR_CHANNELS = {"mobile-256": (*TEACHER_CHANNELS[:5], 160)}
HEAD_WIDTHS = {"mobile-256": (96, 64, 64, 64)}
WIDE_CHANNELS = TEACHER_CHANNELS[:6]
"""Those of the generator as it is cut, from whose end the narrower one that ships is made."""
WIDE_HEAD_WIDTHS = (128, 64, 64, 64)
"""As wide as the two levels that were cut off need: 128, the low and some high bands of it, 64, 64."""
PARSER_WIDTH = 16

Network = TypeVar("Network", bound=nn.Module)
Generator = MobileStyleGAN | StyleGAN2
AnyImageEncoder = ImageEncoder | E4eEncoder
AnyRecurrentEncoder = LightRecurrentEncoder | RecurrentEncoder


def build_mapping(store: AssetStore, profile: str = "mobile-256") -> MappingNetwork:
    """StyleGAN2's mapping network with the profile's weights, z (B, 512) → w (B, 512)."""
    weights, path = read_mapping_weights(profile, store)
    return _fit(new_mapping, weights, path)


def new_mapping() -> MappingNetwork:
    """An untrained mapping network."""
    return MappingNetwork(CODE_SIZE)


def build_teacher(store: AssetStore) -> MobileStyleGAN:
    """The whole fetched generator: codes (B, 22, 512) → RGB (B, 3, 1024, 1024)."""
    network = _mobile_stylegan(TEACHER_CHANNELS)
    network.load_state_dict(to_tensors(read_synthesis(store.file("generator", "SynthesisNetwork.xml"))))
    return _ready(network)


def build_untuned_generator(profile: str, store: AssetStore) -> MobileStyleGAN:
    """The teacher cut at the profile's size, as wide as it is; its head is not trained yet."""
    _check_mobile(profile)
    network = _mobile_stylegan(WIDE_CHANNELS, WIDE_HEAD_WIDTHS)
    fetched = to_tensors(read_synthesis(store.file("generator", "SynthesisNetwork.xml")))
    kept = {name: value for name, value in fetched.items() if name in network.state_dict() and "head." not in name}
    network.load_state_dict(kept, strict=False)
    return _ready(network)


def build_generator(profile: str, store: AssetStore) -> Generator:
    """The profile's generator: codes (B, n_codes, 512), noise (B, 512, 32, 32) → RGB (B, 3, 256, 256)."""
    if profile != PAPER:
        return build_mobile_generator(profile, store)
    path = existing_weights(profile, "generator")
    weights = read_weights(path)
    noise = weights.get("convs.0.noise")
    many = noise is not None and noise.shape[1] > 1
    return _fit(lambda: new_stylegan2(per_channel_noise=many), weights, path)


def build_mobile_generator(profile: str, store: AssetStore) -> MobileStyleGAN:
    """The generator of a profile that has a MobileStyleGAN; ValueError for another profile."""
    _check_mobile(profile)
    new = partial(_new_mobile_generator, profile)
    return _fit(new, read_generator(profile, store), existing_weights(profile, "generator"))


def _check_mobile(profile: str) -> None:
    if profile not in GENERATOR_CHANNELS:
        sizes_of(profile)
        raise ValueError(f"{profile} has no MobileStyleGAN, which this needs; choose mobile-256.")


def _new_mobile_generator(profile: str) -> MobileStyleGAN:
    _check_mobile(profile)
    return _mobile_stylegan(GENERATOR_CHANNELS[profile], HEAD_WIDTHS[profile])


def new_stylegan2(*, per_channel_noise: bool = False) -> StyleGAN2:
    """An untrained generator of the paper's profile; `per_channel_noise`: a fixed noise for every channel."""
    return StyleGAN2(STYLEGAN2_CHANNELS, code_size=CODE_SIZE, noise_resolution=32, per_channel_noise=per_channel_noise)


def new_image_encoder(profile: str, mean: Tensor) -> ImageEncoder:
    """An untrained light e4e encoder; `mean` (512,) is the mean code W+ starts from."""
    sizes = sizes_of(profile)
    if profile == PAPER:
        raise ValueError(f"The image encoder of {profile} is not trained here; import a published one.")
    return ImageEncoder(mean, n_codes=sizes.n_codes, widths=(32, 64, 128, 256, 384), depths=(1, 2, 3, 2, 1))


def new_e4e() -> E4eEncoder:
    """An untrained e4e encoder of the paper's profile."""
    return E4eEncoder(code_size=CODE_SIZE, heads=E4E_HEADS, stages=IR_SE50)


def build_image_encoder(profile: str) -> AnyImageEncoder:
    """The profile's trained image encoder: RGB (B, 3, 256, 256) in [-1, 1] → codes (B, n_codes, 512)."""
    if profile != PAPER:
        return build_light_image_encoder(profile)
    return _load(new_e4e, existing_weights(profile, "image_encoder"))


def build_light_image_encoder(profile: str) -> ImageEncoder:
    """The image encoder that this project trained for the profile."""
    path = existing_weights(profile, "image_encoder")
    return _load(lambda: new_image_encoder(profile, torch.zeros(CODE_SIZE)), path)


def new_recurrent_encoder(profile: str) -> AnyRecurrentEncoder:
    """An untrained recurrent encoder, whose offsets are exactly zero; the light one's noise map is zero too."""
    sizes = sizes_of(profile)
    if profile == PAPER:
        return new_paper_recurrent_encoder()
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


def new_paper_recurrent_encoder() -> RecurrentEncoder:
    """An untrained recurrent encoder of the paper's profile."""
    sizes = PROFILES[PAPER]
    return RecurrentEncoder(
        widths=RECURRENT_WIDTHS,
        noise_resolution=sizes.noise_shape[-1],
        n_early=sizes.n_codes - sizes.n_shared_codes,
        code_size=sizes.code_size,
    )


def build_recurrent_encoder(profile: str) -> AnyRecurrentEncoder:
    """The profile's trained recurrent encoder; see `LightRecurrentEncoder.forward`."""
    return _load(lambda: new_recurrent_encoder(profile), existing_weights(profile, "recurrent_encoder"))


def build_lpips(store: AssetStore, *, exact: bool = True) -> Lpips:
    """The shift-tolerant LPIPS; `exact=False` is the cheaper form for losses."""
    network = Lpips(ShiftTolerantAlexNet() if exact else FusedAlexNet())
    path = store.file("perceptual", "alex_shift_tolerant.pth")
    network.load_state_dict(convert_published(torch.load(path, map_location="cpu", weights_only=True)))
    return _ready(network)


def build_published_visible_net() -> InterpolationNet:
    """The imported visible net of the authors' code; see `InterpolationNet.forward`."""
    return _load(InterpolationNet, existing_weights(PAPER, "visible_net"))


def new_face_parser() -> FaceParser:
    """An untrained face parser."""
    return FaceParser(PARSER_WIDTH)


def build_face_parser() -> FaceParser:
    """The trained face parser, the same for every profile; AssetError where it is missing or does not fit."""
    return _load(new_face_parser, existing_parser())


def find_face_parser() -> FaceParser | None:
    """The trained face parser; None, and a warning that says why, where it cannot be had."""
    try:
        return build_face_parser()
    except AssetError as error:
        logger.warning("%s Without it, %s.", error, WITHOUT_PARSER)
        return None


def check_imported(profile: str) -> list[str]:
    """A sentence for each network of the profile whose imported weights are missing or do not fit."""
    store = AssetStore()
    builders: list[Callable[[], object]] = [
        lambda: build_image_encoder(profile),
        lambda: build_generator(profile, store),
        lambda: build_mapping(store, profile),
    ]
    if has_recurrent_encoder(profile):
        builders.append(lambda: build_recurrent_encoder(profile))
    problems = []
    for build in builders:
        try:
            build()
        except AssetError as error:
            problems.append(str(error))
    return problems


def mean_code(profile: str) -> Tensor:
    """The generator's mean code (512,), float32."""
    return torch.from_numpy(profiles.mean_code(profile))


def to_tensors(state: State) -> dict[str, Tensor]:
    """Weights as PyTorch takes them; they share their memory."""
    return {name: torch.from_numpy(value) for name, value in state.items()}


def to_arrays(network: nn.Module) -> State:
    """The weights of a network as arrays, which share its memory."""
    return {name: value.numpy() for name, value in network.state_dict().items()}


def _load(new: Callable[[], Network], path: Path) -> Network:
    """The network that `new` makes, with the weights at `path`, in eval mode; AssetError where they do not fit."""
    return _fit(new, read_weights(path), path)


def _fit(new: Callable[[], Network], weights: State, path: Path) -> Network:
    """`_load` of weights that were read from `path`; the network is never filled with random values first."""
    with torch.device("meta"):
        network = new()
    try:
        network.load_state_dict(to_tensors(weights), assign=True)
    except RuntimeError as error:
        raise unfit_weights(path) from error
    return _ready(network)


def _mobile_stylegan(channels: tuple[int, ...], head_widths: tuple[int, ...] = ()) -> MobileStyleGAN:
    return MobileStyleGAN(channels, code_size=CODE_SIZE, noise_resolution=32, head_widths=head_widths)


def _ready(network: Network) -> Network:
    return network.eval().requires_grad_(False)
