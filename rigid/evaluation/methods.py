"""What is compared: the method, its variants with a part left out, and the baselines."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from torch import nn

from rigid.arrays import Pixels
from rigid.composite.compositor import CompositeKind
from rigid.composite.temporal_filter import STEADY_SHARE
from rigid.edits.edit_effect import EditLibrary
from rigid.evaluation.optimise import Optimised
from rigid.evaluation.runtimes import (
    EarlyOffsets,
    Encoded,
    ImageEncoder,
    WholePictures,
    WithoutNoiseMap,
    WithoutRecurrence,
    WithoutSharing,
    Wrapped,
)
from rigid.evaluation.tune import Pivots, Tuned, tune_generator
from rigid.face.alignment import crop
from rigid.files.clips import Clip, Track, read_frames
from rigid.models.build import Generator
from rigid.models.contract import Runtime
from rigid.stream.face_stream import LIVE_INVERTED_AFTER, StreamOptions
from rigid.stream.fading import AT_ONCE
from rigid.training.recurrent_losses import TRAINED_ABLATIONS

METHODS = ("rigid", "per-frame", "optimise", "tune")
UNSTEADY = "steadying"
"""Without what `rigid.composite.temporal_filter` adds to the paper."""
LIVE = "drawing"
"""Without drawing every inverted face, as live video does (`rigid.inversion.edit_change`)."""
ABLATIONS = {"tcc": WithoutRecurrence, "nm": WithoutNoiseMap, "lfd": WithoutSharing, UNSTEADY: Wrapped, LIVE: Wrapped}
VARIANT = "rigid-without-"


PASTED = StreamOptions("paper", AT_ONCE, steady=0.0)
"""As the published baselines do: each picture as it comes, and pasted."""


@dataclass(frozen=True)
class MethodOptions:
    """How the methods run."""

    composite: CompositeKind = "change"
    """The composite of `rigid` and its variants; the baselines paste, as the published ones do."""
    optimise_steps: int = 50
    """Gradient steps a frame."""
    tune_steps: int = 200
    """Gradient steps a clip."""

    def of(self, method: str) -> dict[str, object]:
        """Choose the options that change the results of `method`."""
        if method == "optimise":
            return {"optimise_steps": self.optimise_steps}
        if method == "tune":
            return {"tune_steps": self.tune_steps}
        return {"composite": self.composite, "steady": STEADY_SHARE} if method.startswith("rigid") else {}


@dataclass(frozen=True)
class Networks:
    """What the methods are made of; the parts that only some need are built when they are first asked for."""

    runtime: Runtime
    library: EditLibrary
    build_encoder: Callable[[], ImageEncoder]
    build_generator: Callable[[], Generator]
    """Frozen, on the device."""
    build_lpips: Callable[[], nn.Module]
    """The cheap form, for losses; frozen, on the device."""

    @cached_property
    def encode(self) -> ImageEncoder:
        """The image encoder alone."""
        return self.build_encoder()

    @cached_property
    def generator(self) -> Generator:
        """The generator with gradients for its input."""
        return self.build_generator()

    @cached_property
    def lpips(self) -> nn.Module:
        """The perceptual loss."""
        return self.build_lpips()


@dataclass(frozen=True)
class Prepared:
    """A method ready for one clip."""

    runtime: Runtime
    offsets: EditLibrary
    look: StreamOptions = PASTED
    seconds: float = 0.0
    """What getting ready for this clip took."""


def method_names(methods: Sequence[str], without: Sequence[str]) -> list[str]:
    """The rows of a run: `methods`, and a variant of `rigid` for each of `without`; ValueError for unknown names."""
    for name in methods:
        if name not in METHODS:
            raise ValueError(f"There is no method {name!r}; choose from: {', '.join(METHODS)}.")
    for name in without:
        if name in TRAINED_ABLATIONS:
            raise ValueError(
                f"--without {name} is no switch: that loss is left out in training, which gives other weights."
            )
        if name not in ABLATIONS:
            raise ValueError(f"--without takes {', '.join(ABLATIONS)}, not {name!r}.")
    names = list(dict.fromkeys([*methods, *(VARIANT + name for name in without)]))
    if not names:
        raise ValueError(f"No method was named; choose from: {', '.join(METHODS)}.")
    return names


def prepare(method: str, networks: Networks, options: MethodOptions, clip: Clip, track: Track) -> Prepared:
    """`method`, one of `method_names`, for a clip."""
    runtime = WholePictures(networks.runtime)
    offsets = EarlyOffsets(networks.library, networks.runtime.sizes.n_shared_codes)
    if method.startswith("rigid"):
        left_out = method.removeprefix(VARIANT)
        variant = ABLATIONS[left_out](runtime) if left_out in ABLATIONS else Wrapped(runtime)
        steady, after = 0.0 if left_out == UNSTEADY else STEADY_SHARE, LIVE_INVERTED_AFTER if left_out == LIVE else 0.0
        return Prepared(variant, offsets, StreamOptions(options.composite, AT_ONCE, steady, after))
    if method == "per-frame":
        return Prepared(Encoded(runtime, networks.encode), offsets)
    if method == "optimise":
        steps = options.optimise_steps
        optimised = Optimised(runtime, networks.encode, networks.generator, networks.lpips, steps)
        return Prepared(optimised, offsets)
    encode, generator, lpips = networks.encode, networks.generator, networks.lpips
    start = time.perf_counter()
    pivots = Pivots(list(_crops(clip, track, runtime.sizes.image_size)), encode)
    tuned = Tuned(runtime, tune_generator(generator, lpips, pivots, options.tune_steps), pivots)
    return Prepared(tuned, offsets, seconds=time.perf_counter() - start)


def _crops(clip: Clip, track: Track, size: int) -> Iterator[Pixels]:
    """The clip's aligned faces, (size, size, 3)."""
    frames = read_frames(clip.path, len(track.faces))
    for (frame, _), face in zip(frames, track.faces, strict=True):
        if face is not None:
            yield crop(frame, face.transform, size)
