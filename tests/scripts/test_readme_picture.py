"""The picture that the README begins with."""

from __future__ import annotations

import re
from pathlib import Path

from PIL import Image

from scripts.readme_picture import FRAMES, LARGEST, SHOWN, SIDE

ROOT = Path(__file__).parents[2]


def test_the_readme_begins_with_a_moving_picture_of_every_edit() -> None:
    text = (ROOT / "README.md").read_text("utf-8").split("\n", 2)[2]
    found = re.match(r"!\[[^\]]+\]\(([^)]+)\)", text)
    assert found is not None, "the picture follows the title"
    path = ROOT / found[1]
    assert path.stat().st_size <= LARGEST
    with Image.open(path) as picture:
        assert picture.format == "WEBP" and getattr(picture, "n_frames", 1) == FRAMES
        assert picture.width >= len(SHOWN) * SIDE and picture.height > 2 * SIDE
        first = picture.convert("RGB").crop((0, 0, picture.width, SIDE)).tobytes()
        picture.seek(FRAMES // 4)
        assert picture.convert("RGB").crop((0, 0, picture.width, SIDE)).tobytes() != first, "the faces move"


def test_five_edits_are_shown() -> None:
    assert len({name for name, *_ in SHOWN}) == len(SHOWN) == 5
