"""The browser SDK in a real Chromium: a filtered track in a plain call, which is never black."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.client.conftest import OpenPage
from tests.client.fakes import light_app
from tests.client.serving import serving
from tests.client.test_page import FETCH_FAILED, sessions, strengths
from tests.patience import eventually
from tests.ports import free_port

pytestmark = pytest.mark.browser

LIGHT = """() => {
    const video = document.getElementById("theirs");
    if (!video.videoWidth) return -1;
    const canvas = new OffscreenCanvas(32, 24);
    const context = canvas.getContext("2d");
    context.drawImage(video, 0, 0, 32, 24);
    const { data } = context.getImageData(0, 0, 32, 24);
    return data.filter((_, index) => index % 4 === 1).reduce((sum, one) => sum + one, 0) / (32 * 24);
}"""
FILTER = """async (given) => {
    const { filterTrack } = await import("./rigid-live.js");
    const media = await navigator.mediaDevices.getUserMedia({ video: true });
    const filtered = await filterTrack(media.getVideoTracks()[0], given);
    window.filtered = filtered;
    return [filtered.kind, filtered.readyState, filtered.getSource()];
}"""
NO_FRAME_PASSING = "delete globalThis.MediaStreamTrackProcessor; delete globalThis.MediaStreamTrackGenerator;"


def light(page: Page) -> float:
    """Mean green of what the other end of the call sees; -1 while it sees nothing."""
    value: float = page.evaluate(LIGHT)
    return value


@pytest.mark.parametrize("passing", [True, False], ids=["frames", "canvas"])
def test_the_other_end_of_a_call_sees_edits_and_never_black(open_page: OpenPage, passing: bool) -> None:
    port = free_port()
    with serving(light_app(), port) as address:
        page = open_page("about:blank", expected=(FETCH_FAILED, "ERR_"))
        if not passing:
            page.add_init_script(NO_FRAME_PASSING)
        page.goto(f"{address}/examples/call.html")
        page.get_by_label("Smile").fill("0")
        page.get_by_role("button", name="Start the call").click()
        expect(page.get_by_text("sees you edited")).to_be_visible()
        eventually(lambda: light(page) > 20, "a picture at the other end")
        dark = light(page)
        page.get_by_label("Smile").fill("1.5")
        eventually(lambda: light(page) > dark + 60, "the edit at the other end")
        assert strengths(address) == {"smile": 1.5}
    expect(page.get_by_text("sees you as you are")).to_be_visible()
    eventually(lambda: abs(light(page) - dark) < 30, "the camera's own picture")
    with serving(light_app(), port) as address:
        eventually(lambda: light(page) > dark + 60, "the edit again, by itself")
        assert strengths(address) == {"smile": 1.5}


def test_a_call_begins_without_the_server(open_page: OpenPage, address: str) -> None:
    page = open_page(address, expected=("ERR_", "Content Security Policy", "Failed to", "Refused"))
    nobody = f"http://localhost:{free_port()}"
    assert page.evaluate(FILTER, {"server": nobody, "waitMs": 60_000}) == ["video", "live", "camera"]
    assert page.evaluate("filtered.getPhase()") in ("reconnecting", "connecting")
    page.evaluate("filtered.stop()")
    assert page.evaluate("[filtered.readyState, filtered.getPhase()]") == ["ended", "idle"]


def test_what_patience_does_not_mend_is_an_error(open_page: OpenPage, address: str) -> None:
    page = open_page(address, expected=(FETCH_FAILED,))
    rejected = page.evaluate(f"({FILTER})({{edits: {{wings: 1}}}}).catch((error) => [error.code, error.message])")
    assert rejected[0] == "rejected" and "wings" in rejected[1]


def test_stopping_the_track_ends_the_session_and_leaves_the_camera(open_page: OpenPage, address: str) -> None:
    page = open_page(address)
    assert page.evaluate(FILTER, {"edits": {"smile": 1}}) == ["video", "live", "edited"]
    assert page.evaluate("filtered.getSessionId()") == sessions(address)[0]["id"]
    page.evaluate("filtered.setEdits({ smile: 0.5 })")
    assert strengths(address) == {"smile": 0.5}
    page.evaluate("filtered.stop()")
    eventually(lambda: sessions(address) == [], "the session's end")
