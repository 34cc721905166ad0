"""The page in a Chromium that may use nothing but a real TURN server."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from server.app import create_app
from tests.client.conftest import watch
from tests.client.fakes import LightStream, attributes
from tests.client.serving import serving
from tests.client.test_page import start, wait_for_light
from tests.coturn import MISSING, coturn, is_missing
from tests.patience import eventually

pytestmark = [pytest.mark.browser, pytest.mark.skipif(is_missing(), reason=MISSING)]

RELAY_ONLY = """
    const Direct = RTCPeerConnection;
    window.peers = [];
    window.RTCPeerConnection = class extends Direct {
        constructor(configuration) {
            super({ ...configuration, iceTransportPolicy: "relay" });
            window.peers.push(this);
        }
    };
"""
CANDIDATES = """() => [...window.peers.at(-1).localDescription.sdp.matchAll(/^a=candidate:.* typ (\\w+)/gm)]
    .map((match) => match[1])"""


def test_the_page_is_live_through_the_turn_server_and_says_so(chromium: Browser, tmp_path: Path) -> None:
    problems: list[str] = []
    with coturn(tmp_path) as (config, log), serving(create_app(config, LightStream, attributes())) as address:
        page = chromium.new_page()
        watch(page, problems)
        page.add_init_script(RELAY_ONLY)
        page.goto(address)
        page.get_by_role("slider", name="Smile").press("End")
        start(page)
        wait_for_light(page, lambda light: light > 120, "a lit picture")
        assert set(page.evaluate(CANDIDATES)) == {"relay"}
        page.locator("#health summary").click()
        expect(page.get_by_text("a TURN server passes everything on")).to_be_visible()
        eventually(lambda: "by a TURN server" in page.locator("#health dl").inner_text(), "the way's name")
        page.close()
        assert "ALLOCATE processed, success" in log.read_text()
    assert problems == []
