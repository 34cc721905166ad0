"""The page for OBS in a real Chromium: the edited picture of a session, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from playwright.sync_api import expect

from tests.client.browser import grab
from tests.client.conftest import OpenPage
from tests.client.fakes import light_app
from tests.client.serving import serving
from tests.client.test_page import FETCH_FAILED, sessions, start, wait_for_light
from tests.patience import eventually

pytestmark = pytest.mark.browser


def test_it_shows_a_session_and_nothing_while_there_is_none(address: str, open_page: OpenPage) -> None:
    page = open_page(address)
    start(page)
    page.get_by_role("slider", name="Smile").press("End")
    wait_for_light(page, lambda light: light > 120, "a lit picture")
    page.get_by_text("Use it in OBS").click()
    viewer = open_page(page.get_by_label("Address of the edited picture").input_value(), expected=(FETCH_FAILED,))
    expect(viewer.locator("#picture")).to_be_visible()
    eventually(lambda: viewer.evaluate("document.getElementById('picture').videoWidth") == 320, "the picture")
    eventually(lambda: float(np.mean(grab(viewer, "picture"))) > 120, "the edited picture")
    assert viewer.evaluate("getComputedStyle(document.body).backgroundColor") == "rgba(0, 0, 0, 0)"
    expect(viewer.locator("#words")).to_be_hidden()
    assert len(sessions(address)) == 1

    page.get_by_role("button", name="Stop", exact=True).click()
    expect(viewer.locator("#picture")).to_be_hidden()
    expect(viewer.locator("body[data-phase=waiting]")).to_be_attached()


def test_it_says_what_is_missing_where_it_is_asked_to(address: str, open_page: OpenPage) -> None:
    page = open_page(f"{address}/?session=nobody&words=1", expected=(FETCH_FAILED,))
    expect(page.get_by_text("Nothing to watch yet.")).to_be_visible()
    page.goto(f"{address}/view.html")
    expect(page.get_by_text("Add ?session=ID")).to_be_visible()


def test_it_takes_the_key_from_behind_the_hash(open_page: OpenPage) -> None:
    with serving(light_app(api_key="sesame")) as address:
        page = open_page(f"{address}/view.html?session=nobody&words=1#key=sesame", expected=(FETCH_FAILED,))
        expect(page.get_by_text("Nothing to watch yet.")).to_be_visible()
