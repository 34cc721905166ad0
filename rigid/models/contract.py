"""What the stream asks of an engine: a few calls, arrays batch first, NCHW, float32, RGB in [-1, 1]."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from rigid.arrays import Array

PICTURES = ("previous_input", "previous_inverted", "previous_edited")
"""The fields of a `RecurrentState` that are aligned pictures of the frame before."""
CLASSES = (
    "background",
    "skin",
    "brows",
    "eyes",
    "nose",
    "lips",
    "mouth",
    "hair",
    "ears",
    "neck",
    "cloth",
    "hat",
    "glasses",
    "other",
)
"""What a place of an aligned face may belong to.

`mouth` is its inside; `other` is whatever lies before the face: a hand, a cup, a phone.
"""
SHRINK = 4
"""The parser's map has one place for a square of so many pixels of the crop."""


@dataclass(frozen=True)
class Sizes:
    """The array sizes of a profile; `rigid.models.profiles` holds the values."""

    image_size: int
    """Side of the aligned crop, pixels."""
    n_codes: int
    """W+ codes an image takes."""
    code_size: int
    """Length of one code."""
    n_shared_codes: int
    """How many of the last codes every frame of a stream shares (Eq. 3)."""
    noise_shape: tuple[int, int, int]
    """Channels, height and width of the noise map n_t."""
    hidden_shape: tuple[int, int, int]
    """Channels, height and width of the ConvLSTM's hidden and cell state."""
    newest_noise_share: float = 1.0
    """How much of the newest noise map a still place takes, see `rigid.inversion.noise_smoothing`; 1 takes it whole."""
    edit_gain: float = 1.0
    """How much longer edits are made than the codes alone need: the noise map holds a part of them back."""
    face_window: tuple[int, int] | None = None
    """Rows and columns of the part of a picture that `Runtime.synthesize_face` makes, in places of the noise map; None
    where the generator makes whole pictures only."""
    n_classes: int = 0
    """How many classes `Runtime.parse` tells apart, `CLASSES`; 0 without a face parser."""

    @property
    def place_size(self) -> int:
        """Side of the square of pixels that lies under one place of the noise map."""
        return self.image_size // self.noise_shape[-1]


@dataclass(frozen=True)
class RecurrentState:
    """What one frame hands to the next (Eq. 1), batch first.

    `hidden`, `cell`: ConvLSTM state (B, *hidden_shape). `previous_input`, `previous_inverted`,
    `previous_edited`: aligned RGB of the frame before, (B, 3, S, S) in [-1, 1], None before the first frame:
    the frame itself then stands for all three. `late_codes`: the shared codes (B, n_shared_codes, code_size),
    the first frame's until they are anchored anew; None before the first frame. `previous_noise`: the noise map
    that the frame before was generated with, (B, *noise_shape); None before the first frame.
    """

    hidden: Array
    cell: Array
    previous_input: Array | None = None
    previous_inverted: Array | None = None
    previous_edited: Array | None = None
    late_codes: Array | None = None
    previous_noise: Array | None = None

    @classmethod
    def initial(cls, sizes: Sizes, batch: int = 1) -> RecurrentState:
        """The state before the first frame: zeros."""
        zeros = np.zeros((batch, *sizes.hidden_shape), np.float32)
        return cls(hidden=zeros, cell=zeros)

    def after(
        self, inputs: Array, inverted: Array, edited: Array, late_codes: Array, noise: Array | None = None
    ) -> RecurrentState:
        """The state once a frame's inverted and edited faces are known; `noise`: what they were generated with."""
        return replace(
            self,
            previous_input=inputs,
            previous_inverted=inverted,
            previous_edited=edited,
            late_codes=late_codes,
            previous_noise=noise,
        )

    def at_rest(self) -> RecurrentState:
        """The state after a break: what the frames shared is kept, what moved from frame to frame is not."""
        zeros = np.zeros_like(self.hidden)
        return RecurrentState(zeros, zeros, late_codes=self.late_codes)


class Runtime(Protocol):
    """An engine that runs one profile's networks. Calls may come from any one thread at a time.

    Pictures and states that go in or come out are not written to afterwards: an engine may have copies of them.
    """

    @property
    def name(self) -> str:
        """The engine's name, as `--engine` takes it."""

    @property
    def sizes(self) -> Sizes:
        """The profile's array sizes."""

    def invert(self, inputs: Array, state: RecurrentState) -> tuple[Array, Array, RecurrentState]:
        """Image and recurrent encoder (Eq. 1).

        `inputs` (B, 3, S, S) → codes (B, n_codes, code_size), noise (B, *noise_shape) and the state with
        `hidden` and `cell` advanced; the other fields come back as they went in.
        """

    def synthesize(self, codes: Array, noise: Array) -> Array:
        """Generator (Eq. 4-5): codes (B, n_codes, code_size), noise (B, *noise_shape) → images (B, 3, S, S)."""

    def synthesize_face(self, codes: Array, noise: Array, corners: Array) -> Array:
        """`synthesize` for a part of each picture, which is less work: → (B, 3, rows, columns) pixels.

        `corners` (B, 2): the first row and the first column of that part, whole numbers in places of the noise map;
        `Sizes.face_window` says how many there are. Along an edge that is not the picture's, the outermost
        `rigid.inversion.face_window.MARGIN` pixels are not those of the whole picture.
        """

    def parse(self, pictures: Array) -> Array:
        """Face parser: `pictures` (B, 3, S, S), real or generated → probabilities (B, n_classes, S/4, S/4) in [0, 1].

        Those of one place sum to 1. Not to be called where `Sizes.n_classes` is 0: its weights are missing or do not
        fit, and whoever would ask does without; `rigid.models.profiles.optional_networks` has the words for it.
        """

    def close(self) -> None:
        """Free what the engine holds; safe to call twice."""
