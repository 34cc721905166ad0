"""Two faces before a browser's camera: told of where one is edited, and chosen between where both are."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import numpy as np
import pytest
from playwright.sync_api import Page, Playwright, expect

from rigid.arrays import Pixels
from rigid.assets.store import AssetStore
from rigid.face.alignment import FaceLandmarker, FaceTracker
from rigid.face.group_tracker import FaceChoice, open_group_tracker
from rigid.stream.face_stream import FaceStream
from rigid.stream.group_stream import GroupStream
from server.app import create_app
from server.config import ServerConfig
from tests.client.browser import CAMERA, GRANTED, film, launch
from tests.client.conftest import watch
from tests.client.fakes import attributes
from tests.client.serving import serving
from tests.client.test_page import sessions, start
from tests.fakes import TINY, FakeRuntime
from tests.patience import eventually
from tests.worlds import Brighten

CODE = "several_faces"
COUNTED = re.compile(rf'rigid_live_frames_advised_total\{{advice="{CODE}"\}} ([0-9.]+)')


def beside_each_other(picture: Pixels) -> Pixels:
    """The middle of a picture, and what a mirror shows of it."""
    middle = picture[:, 160:480]
    return np.hstack([middle, middle[:, ::-1]])


@pytest.mark.browser
@pytest.mark.slow
def test_several_faces_are_told_of(
    playwright: Playwright, store: AssetStore, pictures: list[Pixels], tmp_path: Path
) -> None:
    model = store.file("face-landmarks", "face_landmarker.task")

    def make_stream() -> FaceStream:
        return FaceStream(FakeRuntime(), FaceTracker(FaceLandmarker(model), TINY.image_size), Brighten())

    camera = film(tmp_path / "faces.mjpeg", map(beside_each_other, pictures))
    browser = launch(playwright, GRANTED, CAMERA, camera)
    problems: list[str] = []
    with serving(create_app(ServerConfig(max_sessions=1), make_stream, attributes())) as address:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        watch(page, problems)
        page.goto(address)
        start(page)
        stats = f"{address}/api/v1/sessions/{sessions(address)[0]['id']}/stats"
        eventually(lambda: CODE in httpx.get(stats).json()["advice"], "the advice in the session's numbers")
        page.locator("#health summary").click()
        expect(page.locator("#health .finding", has_text="There are several faces")).to_be_visible()
        counted = COUNTED.search(httpx.get(f"{address}/metrics").text)
        assert counted is not None and float(counted[1]) > 0
        assert httpx.get(stats).json()["face"] is True
    browser.close()
    assert problems == []


def own_edits(address: str) -> dict[str, dict[str, float]]:
    """What single faces have of their own."""
    return dict(httpx.get(f"{address}/api/v1/sessions").json()[0]["faces"])


def move_first_slider(page: Page) -> None:
    """Move it by keyboard."""
    slider = page.locator("#sliders input[type=range]").first
    slider.focus()
    slider.press("End")


@pytest.mark.browser
@pytest.mark.slow
def test_one_of_several_faces_is_chosen_by_mouse_touch_and_keyboard(
    playwright: Playwright, store: AssetStore, pictures: list[Pixels], tmp_path: Path
) -> None:
    model = store.file("face-landmarks", "face_landmarker.task")

    def make_stream() -> GroupStream:
        return GroupStream(FakeRuntime(), open_group_tracker(model, TINY.image_size, FaceChoice(2)), Brighten())

    camera = film(tmp_path / "faces.mjpeg", map(beside_each_other, pictures))
    browser = launch(playwright, GRANTED, CAMERA, camera)
    problems: list[str] = []
    with serving(create_app(ServerConfig(max_sessions=1), make_stream, attributes())) as address:
        page = browser.new_page(viewport={"width": 1280, "height": 800}, has_touch=True)
        watch(page, problems)
        page.goto(address)
        start(page)
        rings = page.locator(".ring")
        expect(rings).to_have_count(2)
        expect(page.locator("#aimed")).to_be_hidden()
        rings.nth(1).click()
        expect(rings.nth(1)).to_have_attribute("aria-pressed", "true")
        chosen = rings.nth(1).inner_text()
        expect(page.locator("#aimed-words")).to_have_text(f"Face {chosen} only")
        move_first_slider(page)
        eventually(lambda: set(own_edits(address)) == {chosen}, "an edit of the chosen face's own")
        page.screenshot(path=tmp_path / "chosen.png")
        shared = httpx.get(f"{address}/api/v1/sessions").json()[0]["edits"]
        assert not any(shared.values()), "and none for all"
        page.locator("#aim-at-all").click()
        expect(page.locator("#aimed")).to_be_hidden()
        expect(rings.nth(1)).to_have_attribute("aria-pressed", "false")
        rings.nth(0).focus()
        page.keyboard.press("Enter")
        expect(rings.nth(0)).to_have_attribute("aria-pressed", "true")
        page.keyboard.press("Escape")
        expect(rings.nth(0)).to_have_attribute("aria-pressed", "false")
        rings.nth(0).click()
        page.locator("#after").click(position={"x": 5, "y": 5}, force=True)
        expect(rings.nth(0)).to_have_attribute("aria-pressed", "false")
        page.locator("#view label", has_text="Split").click()
        # the edited picture's half is the right one, and whose ring lies there is the tracker's to say
        right = max(range(2), key=lambda number: rings.nth(number).evaluate("ring => ring.getBoundingClientRect().x"))
        rings.nth(right).tap()
        expect(rings.nth(right)).to_have_attribute("aria-pressed", "true")
    browser.close()
    assert problems == []
