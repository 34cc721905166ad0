"""The words in an edited picture."""

from __future__ import annotations

import numpy as np
import pytest

from rigid.files.badge import Badge


@pytest.mark.parametrize(("height", "width"), [(240, 320), (480, 640), (1080, 1920), (640, 360)])
def test_it_stands_at_the_lower_left_and_leaves_the_rest(height: int, width: int) -> None:
    grey = np.full((height, width, 3), 128, np.uint8)
    badge = Badge(on=True)
    stamped = badge.stamp(grey)
    assert badge.place is not None
    left, top, wide, high = badge.place
    assert left < width / 8 and left + wide < width and height * 0.85 < top < top + high < height
    inside = stamped[top : top + high, left : left + wide]
    assert inside.min() < 60 and inside.max() > 230
    stamped[top : top + high, left : left + wide] = 128
    assert (stamped == 128).all() and (grey == 128).all()


def test_none_where_it_is_off_or_could_not_be_read() -> None:
    grey = np.full((240, 320, 3), 128, np.uint8)
    assert Badge(on=False).stamp(grey) is grey
    for height, width in ((40, 640), (240, 60)):
        small = np.zeros((height, width, 3), np.uint8)
        badge = Badge(on=True)
        assert badge.stamp(small) is small and badge.place is None
