"""The page's colours in both themes, by the contrast that WCAG 2.2 asks for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

STYLE = (Path(__file__).parents[2] / "client" / "page" / "css" / "style.css").read_text("utf-8")
THEMES = ("light", "dark")
COLOURS = {
    (name, theme): colour
    for name, *pair in re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\);", STYLE)
    for theme, colour in zip(THEMES, pair, strict=True)
}


def luminance(colour: str) -> float:
    """WCAG's relative luminance of #rrggbb."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """1 to 21."""
    lesser, greater = sorted((luminance(one), luminance(other)))
    return (greater + 0.05) / (lesser + 0.05)


def test_the_measure_is_that_of_wcag() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(
    ("what", "ground", "least"),
    [
        *((text, ground, 4.5) for text in ("ink", "soft") for ground in ("paper", "card")),
        # 1.4.11: the rail of a slider and of a switch that is off, what is filled of them, the thumb.
        *((part, ground, 3.0) for part in ("rail", "cool", "warm", "ink") for ground in ("paper", "card")),
        ("ink", "rail", 3.0),
        ("main-ink", "cool", 3.0),
    ],
)
def test_text_and_controls_stand_out(what: str, ground: str, least: float, theme: str) -> None:
    found = contrast(COLOURS[what, theme], COLOURS[ground, theme])
    assert found >= least, f"{what} on {ground}: {found:.2f}"
