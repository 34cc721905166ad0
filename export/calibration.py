"""What int8 is calibrated and tried with: generated faces as a stream sees them, each beside one edit of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from export.networks import TRUNCATION
from rigid.arrays import Array
from rigid.assets.store import AssetStore
from rigid.edits.edit_effect import EditEffect
from rigid.edits.library import AttributeLibrary, load_library
from rigid.inversion.latents import add_edit
from rigid.models.build import build_mapping, mean_code
from rigid.models.contract import RecurrentState, Runtime

PASSES = 2
"""As a stream's first frame goes through a recurrent encoder."""

Feed = Mapping[str, Array]
"""Inputs of `synthesize` by name."""


@dataclass(frozen=True)
class FaceSource:
    """Where faces come from."""

    mapping: Callable[[Tensor], Tensor]
    """z (B, code_size) → W."""
    mean: Array
    """The mean code (code_size,)."""
    library: AttributeLibrary

    @classmethod
    def of(cls, profile: str, store: AssetStore) -> FaceSource:
        """The profile's own generator and the attributes that ship with it."""
        mean = mean_code(profile).numpy()
        return cls(build_mapping(store, profile), mean, load_library(profile, custom=False))

    def feeds(self, runtime: Runtime, count: int, seed: int) -> list[Feed]:
        """`count` faces: of each the codes and the noise map that the encoders find, as they are and edited (B = 2).

        The attributes take turns, at the two ends of their ranges. The same `seed` gives the same faces.
        """
        with torch.inference_mode():
            z = torch.randn((count, len(self.mean)), generator=torch.Generator().manual_seed(seed))
            codes = self.mean + np.float32(TRUNCATION) * (self.mapping(z).numpy() - self.mean)
        return [self._feed(runtime, code, i) for i, code in enumerate(codes)]

    def _feed(self, runtime: Runtime, code: Array, number: int) -> Feed:
        sizes = runtime.sizes
        silence = np.zeros((1, *sizes.noise_shape), np.float32)
        face = runtime.synthesize(np.broadcast_to(code, (1, sizes.n_codes, sizes.code_size)).copy(), silence)
        face = face.clip(-1, 1)
        codes, noise, state = runtime.invert(face, RecurrentState.initial(sizes))
        for _ in range(1, PASSES):
            pair = runtime.synthesize(codes.repeat(2, 0), noise.repeat(2, 0))
            late = codes[:, sizes.n_codes - sizes.n_shared_codes :]
            codes, noise, state = runtime.invert(face, state.after(face, pair[:1], pair[1:], late, noise))
        offsets = self._effect(number, sizes.edit_gain).offsets
        # an edit that moves landmarks alone leaves the codes as they are
        edited = [add_edit(codes, offset(codes), sizes.n_shared_codes) for offset in offsets] or [codes]
        return {"codes": np.concatenate((codes, *edited)), "noise": noise.repeat(2, 0)}

    def _effect(self, number: int, gain: float) -> EditEffect:
        """What a stream makes of one of the attributes in its turn."""
        names = self.library.names
        attribute = self.library[names[number % len(names)]]
        strength = attribute.min if number // len(names) % 2 else attribute.max
        return self.library.effect({attribute.name: float(strength)}, gain=gain)
