"""What an edit changes of a face: it lasts longer than a frame, and stands in for an inverted face that is not drawn.

The inverted face O is never shown: the composite compares it with the edited one, E, at a quarter of its size, and the
recurrent encoder is given it with the next frame. In an aligned crop E - O hardly moves from one frame to the next, so
that E less the last frame's difference serves as O, and the generator has one picture to draw where it had two. The
difference is kept in full: made small and large again it is softer, and so little is then seen to have changed that
the real face stays where E belongs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from rigid.arrays import Array


@dataclass(frozen=True, eq=False)
class EditChange:
    """What edits changed of a face in a frame of which both pictures were drawn."""

    edits: Mapping[str, float]
    """The edits, as they were shown."""
    difference: Array
    """E - O, (1, 3, S, S) in [-1, 1] values."""
    age: int = 0
    """How many frames ago that was."""

    @classmethod
    def between(cls, pictures: Array, edits: Mapping[str, float]) -> EditChange:
        """The change from the first to the second of `pictures` (2, 3, S, S)."""
        return cls(dict(edits), pictures[1:2] - pictures[:1])

    def serves(self, edits: Mapping[str, float], inverted_every: int) -> bool:
        """Whether the change stands for that of the next frame, which is made with `edits`."""
        return self.age + 1 < inverted_every and self.edits == edits

    def one_frame_later(self) -> EditChange:
        """The same change, known for one frame more."""
        return replace(self, age=self.age + 1)

    def undo(self, edited: Array) -> Array:
        """The inverted face, (1, 3, S, S), as far as it can be told from E, `edited` (1, 3, S, S)."""
        return edited - self.difference
