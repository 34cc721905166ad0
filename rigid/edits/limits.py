"""How far edits may go, one by one and together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rigid.arrays import Array

OVERDRIVE = 2.0
"""The greatest strength that is taken, for a natural range of 1."""
LONGEST_SUM = 14.0
"""Length of a sum of edits, the root of the sum of squares over all codes, up to which faces hold.

Looked at on 16 generated faces with three or four edits each, in `mobile-256`: at 12 all are whole; from 20 on some
break, and of 24 a quarter, of 32 a third are not found as faces any more.
"""


def restraint(offsets: Sequence[Array]) -> float:
    """The factor, at most 1, for a sum of `offsets` (…, n_codes, 512) that would go further than a face bears.

    The sum may be as long as `LONGEST_SUM`, or as the longest of its members: together edits are held back, a single
    one never is. It is continuous in the offsets, so that a ramp stays smooth.
    """
    if len(offsets) < 2:
        return 1.0
    total = length(sum(offsets[1:], offsets[0]))
    return min(1.0, max(LONGEST_SUM, *map(length, offsets)) / total) if total else 1.0


def length(offset: Array) -> float:
    """Measure the length of an edit over its codes; the longest of a batch."""
    return float(np.sqrt(np.square(offset).sum((-2, -1)).max()))
