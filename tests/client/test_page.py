"""The page in a real Chromium, against a real server whose edits need no networks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import httpx
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, Playwright, expect

from server.app import create_app
from server.config import ServerConfig
from server.uploads.attribute_previews import Gallery
from tests.client.browser import CAMERA, GRANTED, grab, launch
from tests.client.conftest import OpenPage
from tests.client.fakes import LightStream, attributes, light_app, many_attributes
from tests.client.serving import serving
from tests.patience import eventually
from tests.ports import free_port

pytestmark = pytest.mark.browser

PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}
MATCH = """async (delay) => {
    const { SplitView } = await import("./page/split-view.js");
    const canvas = () => Object.assign(document.createElement("canvas"), { width: 320, height: 240 });
    const draw = (on, left, light) => {
        const context = on.getContext("2d");
        context.fillStyle = `rgb(${light}, ${light}, ${light})`;
        context.fillRect(0, 0, 320, 240);
        context.fillStyle = "white";
        context.fillRect(left, 90, 60, 60);
    };
    const camera = canvas(), edited = canvas(), matched = canvas();
    let shown;
    camera.requestVideoFrameCallback = (callback) => { shown = callback; };
    const view = new SplitView(camera, edited, matched);
    view.start();
    for (let frame = 0; frame < 20; frame += 1) {
        draw(camera, 10 * frame, 40);
        shown(100 * frame);
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
    draw(edited, 70, 60); // the camera's picture of 700 ms, and a little lighter
    view.show(1900, delay);
    const { data } = matched.getContext("2d").getImageData(0, 120, 320, 1);
    view.stop();
    return [...Array(320).keys()].find((x) => data[4 * x] > 200);
}"""
FIRST_BITRATE = """async () => {
    const { RigidLive } = await import("./sdk/rigid-client.js");
    const live = new RigidLive();
    await live.start(await navigator.mediaDevices.getUserMedia({ video: true }));
    for (;;) {
        const pairs = [...(await live.peer.getStats()).values()].filter((one) => one.type === "candidate-pair");
        const bitrate = pairs.find((one) => one.availableOutgoingBitrate)?.availableOutgoingBitrate;
        if (bitrate) return live.stop().then(() => bitrate);
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
}"""
SMALL = """() => [...document.querySelectorAll("button, .slider input, #search, .switch, summary")]
    .filter((one) => one.checkVisibility({ visibilityProperty: true }) && one.getBoundingClientRect().height < 40)
    .map((one) => one.id || one.className || one.textContent)"""
"""What a finger would miss."""
FETCH_FAILED = "Failed to load resource"


def start(page: Page) -> None:
    """Start the camera and wait until the edited picture shows."""
    page.get_by_role("button", name="Start camera").click()
    expect(page.locator("#stage.has-after")).to_be_visible()


def sessions(address: str) -> list[dict[str, object]]:
    answer: list[dict[str, object]] = httpx.get(f"{address}/api/v1/sessions").json()
    return answer


def strengths(address: str) -> object:
    """What the only session's attributes are heading for."""
    return sessions(address)[0]["edits"]


def wait_for_light(page: Page, holds: Callable[[float], bool], what: str) -> None:
    eventually(lambda: holds(float(np.mean(grab(page, "after")))), what)


def decoded(page: Page) -> int:
    """How many pictures the page has decoded so far, by the measure of the browser itself."""
    quality: int = page.evaluate("document.getElementById('after').getVideoPlaybackQuality().totalVideoFrames")
    return quality


def test_offers_every_attribute_by_group_with_a_label(address: str, open_page: OpenPage) -> None:
    page = open_page(address)
    expect(page.get_by_role("group", name="Expression").get_by_role("slider")).to_have_count(3)
    expect(page.get_by_role("group", name="Appearance").get_by_role("slider", name="Age")).to_have_value("0")
    expect(page.get_by_role("button", name="Reset all")).to_be_disabled()
    expect(page.get_by_text("Nothing is recorded")).to_be_visible()
    unnamed = page.evaluate(
        """[...document.querySelectorAll("button, input:not([hidden]), select")].filter((one) =>
            !one.labels?.length && !one.ariaLabel && !one.textContent.trim() && !one.closest("[hidden]")).length"""
    )
    assert unnamed == 0


def test_camera_comes_back_edited_and_stops(address: str, open_page: OpenPage) -> None:
    page = open_page(address)
    start(page)
    expect(page.locator("#state")).to_have_text("Live")
    before = decoded(page)
    eventually(lambda: decoded(page) > before + 5, "more pictures")
    eventually(lambda: page.locator("#fps").inner_text() not in ("–", "0.0"), "a frame rate")
    eventually(lambda: page.locator("#delay").inner_text() != "–", "a delay")
    assert [one["state"] for one in sessions(address)] == ["live"]

    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Start camera")).to_be_visible()
    eventually(lambda: sessions(address) == [], "the session's end")
    assert page.evaluate("document.getElementById('before').srcObject") is None


def test_slider_changes_the_picture_and_reset_takes_it_back(address: str, open_page: OpenPage) -> None:
    page = open_page(address)
    start(page)
    session = sessions(address)[0]["id"]
    dark = float(np.mean(grab(page, "after")))
    slider = page.get_by_role("slider", name="Smile")
    slider.focus()
    page.keyboard.press("End")
    expect(page.locator(".slider[data-name=smile] .slider-value")).to_have_text("+1.50")
    expect(page.locator(".slider[data-name=smile][data-revision]")).to_be_visible()
    wait_for_light(page, lambda light: light > dark + 60, "a lit picture")
    assert strengths(address) == {"smile": 1.5}

    page.get_by_role("button", name="Reset Smile").click()
    expect(slider).to_have_value("0")
    wait_for_light(page, lambda light: abs(light - dark) < 15, "the first light")
    page.get_by_role("slider", name="Age").press("ArrowRight")
    page.get_by_role("button", name="Reset all").click()
    eventually(lambda: strengths(address) == {"smile": 0, "age": 0}, "everything off")
    assert sessions(address)[0]["id"] == session


def test_sliders_follow_what_others_set(address: str, open_page: OpenPage) -> None:
    page = open_page(address)
    start(page)
    url = f"{address}/api/v1/sessions/{sessions(address)[0]['id']}/edits"
    for strength in (0.5, 0):
        httpx.patch(url, json={"edits": {"mouth_open": strength}}).raise_for_status()
        expect(page.get_by_role("slider", name="Mouth open")).to_have_value(str(strength))


def test_strengths_chosen_before_the_start_hold_from_the_first_picture(address: str, open_page: OpenPage) -> None:
    page = open_page(address)
    page.get_by_role("slider", name="Smile").press("End")
    start(page)
    assert float(np.mean(grab(page, "after"))) > float(np.mean(grab(page, "before"))) + 60


def test_mirrors_what_is_shown_and_not_what_is_sent(address: str, open_page: OpenPage) -> None:
    page = open_page(address)
    start(page)
    mirrored = "getComputedStyle(document.getElementById('after')).transform"
    assert page.evaluate(mirrored) == "matrix(-1, 0, 0, 1, 0, 0)"
    page.get_by_text("Mirror").click()
    assert page.evaluate(mirrored) == "none"


def test_divider_moves_by_keyboard(address: str, open_page: OpenPage) -> None:
    page = open_page(address)
    start(page)
    page.get_by_text("Split", exact=True).click()
    page.get_by_role("slider", name="Divider").press("Home")
    assert page.evaluate("document.getElementById('stage').style.getPropertyValue('--seam')") == "4%"


def test_side_by_side_shows_whole_pictures(address: str, open_page: OpenPage) -> None:
    page = open_page(address, viewport={"width": 1280, "height": 800})
    start(page)
    page.get_by_text("Side by side", exact=True).click()
    for pane in (".pane-before", ".pane-after"):
        box = page.locator(pane).bounding_box()
        assert box is not None and box["width"] / box["height"] == pytest.approx(320 / 240, rel=0.01)


def test_looks_search_and_chance_move_the_sliders(address: str, open_page: OpenPage) -> None:
    page = open_page(address)
    happy = page.get_by_role("button", name="Happy")
    happy.click()
    expect(page.get_by_role("slider", name="Smile")).to_have_value("1")
    expect(happy).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Surprise me").click()
    values = page.evaluate("[...document.querySelectorAll('.slider input')].map((one) => Number(one.value))")
    assert len(values) == 6 and sum(value != 0 for value in values) == 3
    assert all(0.3 <= abs(value) <= 1.5 for value in values if value)

    page.get_by_role("searchbox").fill("mou")
    expect(page.locator(".slider:visible")).to_have_count(1)
    expect(page.get_by_text("1 of 6 changes")).to_be_visible()
    page.get_by_role("searchbox").fill("wings")
    expect(page.get_by_text("Nothing is called “wings”.")).to_be_visible()
    page.get_by_role("searchbox").fill("")
    page.get_by_role("button", name="Reset all").click()
    expect(page.locator(".slider[data-side=rest]")).to_have_count(6)


def test_many_attributes_are_shown_group_by_group(open_page: OpenPage) -> None:
    with serving(light_app(library=many_attributes())) as address:
        page = open_page(address, **PHONE)
        expect(page.locator(".slider:visible")).to_have_count(30)
        fourth = page.get_by_role("button", name="group 3")
        fourth.tap()
        expect(page.locator(".slider:visible")).to_have_count(3)
        expect(fourth).to_have_attribute("aria-pressed", "true")
        assert page.evaluate(SMALL) == []
        page.get_by_role("searchbox").fill("change 29")
        expect(page.locator(".slider:visible")).to_have_count(1)
        expect(fourth).to_have_attribute("aria-pressed", "false")
        page.get_by_role("button", name="All", exact=True).tap()
        expect(page.locator(".slider:visible")).to_have_count(30)
        expect(page.get_by_role("searchbox")).to_have_value("")


def test_the_edited_picture_alone_gives_way_to_the_camera_until_it_comes(address: str, open_page: OpenPage) -> None:
    page = open_page(address)
    start(page)
    page.get_by_text("After", exact=True).click()
    expect(page.locator(".pane-after figcaption")).to_be_visible()
    expect(page.locator(".pane-before figcaption")).to_be_hidden()
    page.evaluate("document.getElementById('stage').classList.remove('has-after')")
    expect(page.locator(".pane-before figcaption")).to_be_visible()
    expect(page.locator(".pane-after figcaption")).to_be_hidden()
    background = "getComputedStyle(document.querySelector('.pane-after')).backgroundColor"
    assert page.evaluate(background) == "rgba(0, 0, 0, 0)"


def test_the_camera_may_be_sent_sharp_from_the_beginning(address: str, open_page: OpenPage) -> None:
    # Chromium's own beginning is 300 kbit/s.
    assert open_page(address).evaluate(FIRST_BITRATE) > 1e6


def test_keeps_a_snapshot_and_a_film(address: str, open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page(address)
    start(page)
    page.get_by_role("slider", name="Smile").press("End")
    wait_for_light(page, lambda light: light > 120, "a lit picture")
    with page.expect_download() as snapshot:
        page.get_by_role("button", name="Snapshot").click()
    snapshot.value.save_as(tmp_path / "kept.jpg")
    kept = cv2.imread(str(tmp_path / "kept.jpg"))
    assert kept is not None and kept.shape == (240, 320, 3) and kept.mean() > 120

    page.get_by_role("button", name="Record").click()
    expect(page.get_by_role("button", name="Stop recording")).to_contain_text("0:0")
    before = decoded(page)
    eventually(lambda: decoded(page) > before + 15, "pictures to record")
    with page.expect_download() as film:
        page.get_by_role("button", name="Stop recording").click()
    film.value.save_as(tmp_path / "kept.film")
    with av.open(str(tmp_path / "kept.film")) as container:
        assert sum(1 for _ in container.decode(video=0)) > 5


def test_the_picture_says_that_it_is_edited_unless_told_otherwise(address: str, open_page: OpenPage) -> None:
    page = open_page(address)
    start(page)
    # Light where the words are not, dark under them.
    page.get_by_role("slider", name="Smile").press("End")
    eventually(lambda: badge_of(address) is not None, "the badge")
    expect(page.locator("#after-mark")).to_be_visible()
    page.get_by_text("Camera and picture").click()
    page.get_by_text("into the picture").click()
    eventually(lambda: badge_of(address) is None, "a picture without")
    expect(page.locator("#state")).to_have_text("Live")
    expect(page.get_by_text("edited by AI")).to_be_hidden()


def badge_of(address: str) -> object:
    """Where the only session's picture has its badge."""
    found = sessions(address)
    if len(found) != 1:
        return "between two sessions"
    answer = httpx.get(f"{address}/api/v1/sessions/{found[0]['id']}/stats").json()
    return answer.get("badge") if answer.get("frames_out") else "none sent yet"


def test_themes_are_switched_and_remembered(address: str, open_page: OpenPage) -> None:
    page = open_page(address, color_scheme="light")
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    page.get_by_role("button", name="Theme: as the system").click()
    page.get_by_role("button", name="Theme: light").click()
    dark = page.evaluate(background)
    assert dark != light
    page.reload()
    expect(page.get_by_role("button", name="Theme: dark")).to_be_visible()
    assert page.evaluate(background) == dark


def test_tells_what_is_the_matter(address: str, open_page: OpenPage) -> None:
    page = open_page(address)
    start(page)
    page.evaluate("document.getElementById('before').srcObject.getVideoTracks()[0].enabled = false")
    expect(page.get_by_text("The camera shows black. Is its shutter closed")).to_be_visible()
    page.locator("#health summary").click()
    expect(page.locator("#health dl")).to_contain_text("bit/s")


@pytest.mark.parametrize("delay", [None, 1200, 300])
def test_split_shows_the_camera_as_it_was_when_the_edited_picture_was_taken(
    address: str, open_page: OpenPage, delay: float | None
) -> None:
    """Whatever the delay is thought to be, the pictures themselves tell."""
    assert open_page(address).evaluate(MATCH, delay) == 70


def test_fits_a_phone(address: str, open_page: OpenPage) -> None:
    page = open_page(address, **PHONE)
    width = "document.documentElement.scrollWidth"
    assert page.evaluate(width) == 360
    start(page)
    expect(page.locator("#stage[data-view=after]")).to_be_visible()
    assert page.evaluate(SMALL) == []
    for view in ("Side by side", "Split", "After"):
        page.get_by_text(view, exact=True).tap()
        assert page.evaluate(width) == 360
    page.get_by_role("slider", name="Age").scroll_into_view_if_needed()
    # The picture stays in sight while the sliders scroll.
    expect(page.locator(".pane-after")).to_be_in_viewport()
    assert page.evaluate("[...document.querySelectorAll('video')].every((one) => one.playsInline && one.muted)")


def test_leaving_the_page_ends_the_session(address: str, open_page: OpenPage) -> None:
    page = open_page(address)
    start(page)
    page.goto("about:blank")
    eventually(lambda: sessions(address) == [], "the session's end")


@pytest.mark.parametrize(
    ("reason", "title"),
    [
        ("NotAllowedError", "The camera is blocked"),
        ("NotFoundError", "No camera found"),
        ("NotReadableError", "The camera is in use"),
        ("TypeError", "The camera did not start"),
    ],
)
def test_says_why_the_camera_does_not_open(address: str, open_page: OpenPage, reason: str, title: str) -> None:
    page = open_page(address)
    fail = "(name) => { navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('No', name); }; }"
    page.evaluate(fail, reason)
    page.get_by_role("button", name="Start camera").click()
    expect(page.get_by_role("alert").get_by_role("heading", name=title)).to_be_visible()
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", name=title)).to_be_visible()
    page.get_by_role("button", name="Close").click()
    expect(page.locator("#state")).to_have_text("Ready")


def test_says_that_permission_was_refused(address: str, playwright: Playwright) -> None:
    browser = launch(playwright, CAMERA, "--deny-permission-prompts")
    page = browser.new_page()
    page.goto(address)
    page.get_by_role("button", name="Start camera").click()
    expect(page.get_by_role("heading", name="The camera is blocked")).to_be_visible()
    browser.close()


def test_says_that_there_is_no_camera(address: str, playwright: Playwright) -> None:
    browser = launch(playwright, GRANTED)
    page = browser.new_page()
    page.goto(address)
    page.get_by_role("button", name="Start camera").click()
    expect(page.get_by_role("heading", name="No camera found")).to_be_visible()
    browser.close()


def test_says_that_the_address_is_not_secure(open_page: OpenPage) -> None:
    app = create_app(ServerConfig(allow_hosts=("elsewhere.test",)), LightStream, attributes())
    with serving(app) as address:
        page = open_page(address.replace("localhost", "elsewhere.test"), expected=("Cross-Origin-Opener-Policy",))
        expect(page.get_by_role("heading", name="The camera needs a secure address")).to_be_visible()
        expect(page.get_by_text("--https")).to_be_visible()
        # What it still fetches would fail once the server has ended.
        page.close()


def test_says_that_the_server_is_full_until_a_place_is_free(open_page: OpenPage) -> None:
    with serving(light_app(max_sessions=1)) as address:
        first = open_page(address)
        start(first)
        second = open_page(address, expected=(FETCH_FAILED,))
        second.get_by_role("button", name="Start camera").click()
        expect(second.get_by_role("heading", name="All places are taken")).to_be_visible()
        first.get_by_role("button", name="Stop").click()
        eventually(lambda: sessions(address) == [], "a free place")
        second.get_by_role("button", name="Try again").click()
        expect(second.locator("#stage.has-after")).to_be_visible()


def test_waits_for_a_server_that_warms_up(open_page: OpenPage) -> None:
    warm = threading.Event()
    app = create_app(ServerConfig(), LightStream, attributes(), warm_up=lambda: assert_set(warm))
    with serving(app) as address:
        page = open_page(address, expected=(FETCH_FAILED,))
        page.get_by_role("button", name="Start camera").click()
        expect(page.get_by_role("heading", name="The server is warming up")).to_be_visible()
        warm.set()
        expect(page.locator("#stage.has-after")).to_be_visible()
        expect(page.locator("#notice")).to_be_hidden()


def assert_set(event: threading.Event) -> None:
    assert event.wait(60)


def test_reconnects_to_a_server_that_comes_back(open_page: OpenPage) -> None:
    port = free_port()
    with serving(light_app(), port) as address:
        page = open_page(address, expected=(FETCH_FAILED,))
        start(page)
        page.get_by_role("slider", name="Smile").press("End")
        eventually(lambda: strengths(address) == {"smile": 1.5}, "the edit")
        page.wait_for_timeout(1_500)
    expect(page.get_by_role("heading", name="Connection lost")).to_be_visible()
    expect(page.get_by_role("button", name="Reconnect now")).to_be_visible()
    expect(page.locator("#state")).to_have_text("Reconnecting")
    with serving(light_app(), port) as address:
        expect(page.locator("#state")).to_have_text("Live")
        expect(page.locator("#notice")).to_be_hidden()
        assert strengths(address) == {"smile": 1.5}
        page.get_by_role("button", name="Stop").click()
        eventually(lambda: sessions(address) == [], "the session's end")


def test_says_that_the_server_does_not_answer(open_page: OpenPage) -> None:
    with serving(light_app()) as address:
        page = open_page(address, expected=(FETCH_FAILED,))
        expect(page.get_by_role("slider", name="Smile")).to_be_visible()
    page.get_by_role("button", name="Start camera").click()
    expect(page.get_by_role("heading", name="The server does not answer")).to_be_visible()


def test_says_that_the_server_ended_the_session(address: str, open_page: OpenPage) -> None:
    page = open_page(address)
    start(page)
    httpx.delete(f"{address}/api/v1/sessions/{sessions(address)[0]['id']}").raise_for_status()
    expect(page.get_by_role("heading", name="The server ended the session")).to_be_visible()
    assert page.evaluate("document.getElementById('before').srcObject") is None


def test_asks_for_the_key(open_page: OpenPage) -> None:
    with serving(light_app(api_key="let me in")) as address:
        page = open_page(address, expected=(FETCH_FAILED,))
        expect(page.get_by_role("heading", name="This server asks for a key")).to_be_visible()
        page.get_by_label("Key").fill("let me in")
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_role("slider", name="Smile")).to_be_visible()
        start(page)


def test_pictures_of_the_attributes_come_with_the_key_too(open_page: OpenPage, tmp_path: Path) -> None:
    painted = Gallery(lambda one, strength: np.full((112, 112, 3), 90, np.uint8), tmp_path)
    with serving(light_app(api_key="let me in", gallery=painted)) as address:
        page = open_page(address, expected=(FETCH_FAILED,))
        page.get_by_label("Key").fill("let me in")
        page.get_by_role("button", name="Continue").click()
        picture = page.locator(".slider[data-name=smile] img")
        expect(picture).to_be_visible()
        assert picture.evaluate("(image) => [image.naturalWidth, image.naturalHeight]") == [560, 112]


def test_says_that_the_server_records(open_page: OpenPage, tmp_path: Path) -> None:
    app = create_app(ServerConfig(recordings=tmp_path), LightStream, attributes())
    with serving(app) as address:
        page = open_page(address)
        expect(page.get_by_text("This server can record what it sends back")).to_be_visible()
        start(page)
        url = f"{address}/api/v1/sessions/{sessions(address)[0]['id']}/recording"
        httpx.post(url).raise_for_status()
        expect(page.locator("#state")).to_have_text("Live, recorded by the server")
        httpx.delete(url).raise_for_status()
        expect(page.locator("#state")).to_have_text("Live")


def test_waits_longer_from_try_to_try(address: str, chromium: Browser) -> None:
    page = chromium.new_page()
    page.goto(address)
    waits = page.evaluate(
        """async () => {
            const { backoff } = await import("./rigid-live.js");
            return [0, 1, 2, 3, 9].map((attempt) => backoff(attempt, () => 0.5));
        }"""
    )
    page.close()
    assert waits == [1_000, 2_000, 4_000, 8_000, 15_000]
