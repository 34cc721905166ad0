"""Chromium with a camera of our making."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page, Playwright

from rigid.arrays import Pixels

NAMES = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    # Containers have little of it, and Chromium's pages crash where it is full.
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    # A name that is no localhost, to see the page on an address that browsers do not trust.
    "--host-resolver-rules=MAP elsewhere.test 127.0.0.1",
)
GRANTED = "--use-fake-ui-for-media-stream"
CAMERA = "--use-fake-device-for-media-stream"


def find_chromium() -> str:
    """The path of an installed Chromium; without one the browser tests cannot say anything."""
    found = next((path for path in map(shutil.which, NAMES) if path), None)
    assert found, f"The browser tests need one of {', '.join(NAMES)} on the PATH; install the package chromium."
    return found


def launch(playwright: Playwright, *flags: str) -> Browser:
    """A Chromium with `flags` beside the quiet ones."""
    return playwright.chromium.launch(executable_path=find_chromium(), headless=True, args=[*QUIET, *flags])


def film(path: Path, pictures: Iterable[Pixels]) -> str:
    """Write RGB `pictures`, all of one size, for Chromium to play as its camera, over and over; returns its flag."""
    with path.open("wb") as file:
        for picture in pictures:
            done, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
            assert done
            file.write(data.tobytes())
    return f"--use-file-for-fake-video-capture={path}"


def grab(page: Page, video: str) -> NDArray[np.uint8]:
    """The picture that the <video> with that id shows now: uint8 RGB (H, W, 3)."""
    data = page.evaluate(
        """async (id) => {
            const video = document.getElementById(id);
            const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
            canvas.getContext("2d").drawImage(video, 0, 0);
            const blob = await canvas.convertToBlob({ type: "image/png" });
            return [...new Uint8Array(await blob.arrayBuffer())];
        }""",
        video,
    )
    picture = cv2.imdecode(np.array(data, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return np.asarray(picture[..., ::-1], np.uint8)
