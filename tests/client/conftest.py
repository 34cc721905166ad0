"""One Chromium for all tests of the page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

from rigid.arrays import Pixels
from rigid.files.clips import read_frames
from server.bench.clip import read_clip
from tests.client.browser import CAMERA, GRANTED, film, launch
from tests.client.fakes import light_app
from tests.client.serving import serving

OpenPage = Callable[..., Page]
PATIENCE_MS = 40_000
DEMO = Path(__file__).parents[2] / "client" / "demo.webm"
CLIP = "LivePortrait_d18.mp4"
SKIPPED = 15
"""At its very beginning the face still smiles a little by itself."""
FRAMES = 45


# Not for the whole session: while it runs, no other event loop may run in this thread.
@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    """The driver."""
    # Long enough for a machine that is busy with something else; a passing test never waits for it.
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as driver:
        yield driver


@pytest.fixture(scope="package")
def chromium(playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser whose camera shows a square that wanders, and is granted to every page."""
    shown = film(tmp_path_factory.mktemp("camera") / "square.mjpeg", map(_square, range(60)))
    browser = launch(playwright, GRANTED, CAMERA, shown)
    yield browser
    browser.close()


@pytest.fixture(scope="package")
def pictures(data_dir: Path | None) -> list[Pixels]:
    """A calm face for a camera, there and back again so that its repetition does not jump: RGB (480, 640, 3).

    Without clips it is the demo's, a square in the middle.
    """
    if data_dir is None:
        frames = [np.pad(frame, ((0, 0), (80, 80), (0, 0)), "edge") for frame, _ in read_frames(DEMO, FRAMES)]
    else:
        frames = read_clip(data_dir / "clips" / CLIP, SKIPPED + FRAMES)[SKIPPED:]
    return [*frames, *frames[-2:0:-1]]


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[OpenPage]:
    """Opens pages at an address; afterwards none of them may have met an error that it did not expect."""
    problems: list[str] = []
    contexts = []

    def opened(url: str, **options: object) -> Page:
        expected = options.pop("expected", ())
        context = chromium.new_context(**options)  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        watch(page, problems, expected)  # type: ignore[arg-type]
        page.goto(url)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert problems == []


def watch(page: Page, problems: list[str], expected: tuple[str, ...] = ()) -> None:
    """Note the errors that `page` prints or throws, except those with a word of `expected` in them."""

    def note(text: str) -> None:
        if not any(word in text for word in expected):
            problems.append(text)

    page.on("console", lambda message: note(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: note(str(error)))


@pytest.fixture
def address() -> Iterator[str]:
    """A server with two places, whose pictures `smile` lights up."""
    with serving(light_app(2)) as url:
        yield url


def _square(index: int) -> Pixels:
    # Small: both sides encode and decode it in software.
    picture = np.full((240, 320, 3), 70, np.uint8)
    left = 30 + 3 * index
    picture[90:150, left : left + 60] = (150, 110, 90)
    return picture
