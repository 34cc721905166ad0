"""Which code of a profile's generator stands for which of the published 18, by resolution.

Directions are published for StyleGAN2 FFHQ at 1024², whose 18 codes shape: code 0 the convolution at 4²; codes
2k-1 and 2k the two convolutions at 4·2^k (the first of them enlarges); and code 2k+1 once more, the picture's layer
at that resolution.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

PUBLISHED_CODES = 18
FROM_PUBLISHED: dict[int, tuple[int, ...]] = {
    # rigid-256: StyleGAN2 at 256², the same layers up to there.
    14: (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13),
    # mobile-256: one code for 4², then three a level: two convolutions and the picture's layer.
    #   4²  8²       16²      32²      64²      128²
    16: (0, 1, 2, 3, 3, 4, 5, 5, 6, 7, 7, 8, 9, 9, 10, 11),
}
"""For a profile by its number of codes: the published code that each of its codes takes an edit from."""

TO_PUBLISHED: dict[int, tuple[int, ...]] = {
    14: (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 13, 13, 13, 13),
    #   4²  8²   16²   32²   64²     128²    256² to 1024²: the code of mobile-256's last layer
    16: (0, 1, 2, 4, 5, 7, 8, 10, 11, 13, 14, 15, 15, 15, 15, 15, 15, 15),
}
"""The way back, for maps that read codes: the profile's code that shapes what each published code shapes."""

FAMILIES = {"mobile-256": "stylegan2-ffhq-1024", "rigid-256": "stylegan2-ffhq-256"}
"""The generator that the profile's codes are of: a direction says nothing to a generator trained by itself."""


def from_published(n_codes: int, stored: int) -> NDArray[np.intp]:
    """For each of a profile's `n_codes` the code of a file with `stored` codes; ValueError where there is no table."""
    return _look_up(FROM_PUBLISHED, n_codes, n_codes, stored)


def to_published(n_codes: int, stored: int) -> NDArray[np.intp]:
    """For each of the `stored` codes of a file the profile's code that stands for it; ValueError without a table."""
    return _look_up(TO_PUBLISHED, n_codes, stored, stored)


def _look_up(tables: dict[int, tuple[int, ...]], n_codes: int, length: int, stored: int) -> NDArray[np.intp]:
    if stored == n_codes:
        return np.arange(length)
    if stored != PUBLISHED_CODES or n_codes not in tables:
        raise ValueError(
            f"it is made for a generator with {stored} codes, but this profile has {n_codes} and takes edits for "
            f"{n_codes} or {PUBLISHED_CODES} codes"
        )
    return np.array(tables[n_codes])
