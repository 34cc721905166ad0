"""One Chromium for all tests of the page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

from rigid.assets.store import AssetStore
from server.bench.clip import read_clip, render_clip
from tests.client.browser import CAMERA, GRANTED, film, launch
from tests.client.fakes import Picture, light_app
from tests.client.serving import serving

OpenPage = Callable[..., Page]
PATIENCE_MS = 40_000
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
def pictures(store: AssetStore, data_dir: Path | None) -> list[Picture]:
    """A face for a camera, there and back again so that its repetition does not jump: RGB (480, 640, 3)."""
    frames = _rendered(store) if data_dir is None else read_clip(data_dir / "clips" / CLIP, SKIPPED + FRAMES)[SKIPPED:]
    return [*frames, *frames[-2:0:-1]]


def _rendered(store: AssetStore) -> list[Picture]:
    from engines import load_runtime
    from rigid.models.mapping import read_map
    from rigid.models.profiles import mean_code

    print("RIGID_LIVE_DATA is not set: the camera shows a generated face.")
    runtime = load_runtime("mobile-256", "torch", store=store)
    frames = render_clip(runtime, read_map("mobile-256", store), mean_code("mobile-256"), FRAMES)
    runtime.close()
    return frames


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


def _square(index: int) -> Picture:
    # Small: both sides encode and decode it in software.
    picture = np.full((240, 320, 3), 70, np.uint8)
    left = 30 + 3 * index
    picture[90:150, left : left + 60] = (150, 110, 90)
    return picture
