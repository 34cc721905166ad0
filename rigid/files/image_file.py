"""A still image or animation as it is held: its pictures upright, in their own colours, with what the file says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rigid.arrays import Pixels
from rigid.files.image_colours import to_srgb
from rigid.files.image_metadata import Metadata


class ImageError(ValueError):
    """A file that cannot be read as an image; its text is one sentence for the user."""


@dataclass(frozen=True)
class Still:
    """One picture of a file."""

    colours: Pixels
    """RGB (H, W, 3) uint8, upright, in the file's own profile."""
    alpha: Pixels | None = None
    """(H, W) uint8."""
    milliseconds: float = 0.0
    """How long it is shown; 0 where the file is no animation."""


@dataclass(frozen=True)
class ImageFile:
    """All that a file holds, as far as it can be written again."""

    stills: Sequence[Still]
    kind: str = ""
    """The format as Pillow calls it."""
    moving: bool = False
    """Whether the stills are an animation."""
    loop: int | None = None
    """How often an animation is shown; 0 for ever, None where it does not say."""
    profile: bytes | None = None
    """The ICC profile of the colours; None for sRGB."""
    metadata: Metadata = field(default_factory=Metadata)
    quality: dict[str, Any] = field(default_factory=dict)
    """The settings of its kind with which it was written, where that is known."""
    notes: tuple[str, ...] = ()
    """What could not be kept in reading, one sentence each."""

    def show_as_srgb(self, still: Still) -> Pixels:
        """Convert the colours of `still` to sRGB, as networks are trained on them."""
        return to_srgb(still.colours, self.profile)
