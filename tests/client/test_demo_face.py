"""The face of the demo in the camera's place: in a real Chromium without a camera, and with one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, Playwright, expect

from rigid.arrays import Pixels
from server.app import create_app
from server.config import ServerConfig
from tests.client.browser import GRANTED, grab, launch
from tests.client.conftest import OpenPage, watch
from tests.client.fakes import LightStream, attributes
from tests.client.serving import serving
from tests.client.test_page import sessions, start, strengths
from tests.patience import eventually

pytestmark = pytest.mark.browser

SIDE = 480
"""Of the film's pictures."""


@pytest.fixture(scope="module")
def without_camera(playwright: Playwright) -> Iterator[Browser]:
    """A browser that has no camera."""
    browser = launch(playwright, GRANTED)
    yield browser
    browser.close()


@pytest.fixture
def bare(without_camera: Browser) -> Iterator[Page]:
    """A page of a browser that has no camera, which met no error."""
    problems: list[str] = []
    page = without_camera.new_page()
    watch(page, problems)
    yield page
    page.close()
    assert problems == []


def is_square(picture: Pixels) -> bool:
    height, width, _ = picture.shape
    return bool(height == width)


def moves(page: Page) -> bool:
    """Whether what goes to the server is another picture than at first."""
    first = grab(page, "before").astype(np.float32)
    eventually(lambda: np.abs(grab(page, "before") - first).mean() > 1, "a face that moves")
    return True


def test_its_address_begins_with_a_smile_and_without_a_question(address: str, bare: Page) -> None:
    bare.goto(f"{address}/?source=demo")
    expect(bare.locator("#stage.has-after")).to_be_visible()
    expect(bare.locator("#state")).to_have_text("Live")
    assert strengths(address) == {"smile": 0.8}
    assert grab(bare, "before").shape == (SIDE, SIDE, 3)
    assert moves(bare)


def test_is_offered_beside_the_camera_and_stops_as_one(address: str, bare: Page) -> None:
    bare.goto(address)
    bare.get_by_role("button", name="No camera? Try the demo face").click()
    expect(bare.locator("#stage.has-after")).to_be_visible()
    bare.get_by_role("button", name="Stop").click()
    eventually(lambda: sessions(address) == [], "the session's end")
    assert bare.evaluate("document.getElementById('before').srcObject") is None
    expect(bare.get_by_role("button", name="No camera? Try the demo face")).to_be_visible()


def test_is_offered_where_there_is_no_camera(address: str, bare: Page) -> None:
    bare.goto(address)
    bare.get_by_role("button", name="Start camera").click()
    expect(bare.get_by_role("heading", name="No camera found")).to_be_visible()
    bare.get_by_role("button", name="Try the demo face", exact=True).click()
    expect(bare.locator("#stage.has-after")).to_be_visible()
    expect(bare.locator("#notice")).to_be_hidden()


def test_needs_no_secure_address(open_page: OpenPage) -> None:
    with serving(create_app(ServerConfig(allow_hosts=("elsewhere.test",)), LightStream, attributes())) as address:
        page = open_page(address.replace("localhost", "elsewhere.test"), expected=("Cross-Origin-Opener-Policy",))
        expect(page.get_by_role("heading", name="The camera needs a secure address")).to_be_visible()
        page.get_by_role("button", name="Try the demo face", exact=True).click()
        expect(page.locator("#stage.has-after")).to_be_visible()
        page.close()


def test_takes_the_cameras_place_in_the_same_session(address: str, open_page: OpenPage) -> None:
    page = open_page(address)
    start(page)
    (before,) = sessions(address)
    page.get_by_text("Camera and picture").click()
    page.locator("#camera").select_option("Demo face")
    # The camera's picture is none; a browser that has little time sends it smaller.
    eventually(lambda: is_square(grab(page, "after")), "the face, edited")
    assert [one["id"] for one in sessions(address)] == [before["id"]]
    assert strengths(address) == before["edits"]


def test_says_so_where_the_film_does_not_play(address: str, without_camera: Browser) -> None:
    page = without_camera.new_page()
    page.route("**/demo.webm", lambda route: route.abort())
    page.goto(f"{address}/?source=demo")
    expect(page.get_by_role("heading", name="The demo face does not play")).to_be_visible()
    page.unroute("**/demo.webm")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#stage.has-after")).to_be_visible()
    page.close()
