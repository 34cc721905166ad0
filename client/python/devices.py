"""A webcam through a server, into a window or a virtual camera; never black while the server is away."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from typing import Protocol

import cv2
import numpy as np

from client.python.camera_systems import find_camera_system
from client.python.http import LiveError
from client.python.shapes import Picture, letterbox
from client.python.sync import Client

logger = logging.getLogger(__name__)

TITLE = "RIGID Live (q ends)"
STALE_SECONDS = 1.5
"""After so long without an edited picture the camera's own is shown."""
FIRST_RETRY, LONGEST_RETRY = 1.0, 15.0


class Screen(Protocol):
    """Something that shows pictures."""

    def show(self, picture: Picture) -> bool:
        """Show RGB uint8 (H, W, 3); False once nobody wants more."""

    def close(self) -> None:
        """Free what it holds."""


class Window:
    """A window on this machine's screen."""

    def show(self, picture: Picture) -> bool:
        cv2.imshow(TITLE, picture[..., ::-1])
        key = cv2.waitKey(1) & 0xFF
        return key not in (ord("q"), 27) and cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) >= 1

    def close(self) -> None:
        cv2.destroyAllWindows()


class VirtualCamera:
    """A camera that other programs can choose. ValueError where this machine has none to write to."""

    def __init__(self, width: int, height: int, fps: float, device: str | None = None) -> None:
        try:
            import pyvirtualcam
        except ImportError:
            raise ValueError("A virtual camera needs the extra: pip install 'rigid-live[virtualcam]'.") from None
        try:
            self._camera = pyvirtualcam.Camera(width, height, fps, device=device)
        except (RuntimeError, OSError) as error:
            remedy = find_camera_system().virtual_remedy
            raise ValueError(f"No virtual camera can be opened ({error}); {remedy}.") from None

    @property
    def device(self) -> str:
        """What other programs call it."""
        return str(self._camera.device)

    def show(self, picture: Picture) -> bool:
        self._camera.send(letterbox(np.ascontiguousarray(picture, np.uint8), self._camera.width, self._camera.height))
        return True

    def close(self) -> None:
        self._camera.close()


class SessionKeeper:
    """Holds a session as long as pictures come, and opens another when it is lost, after longer and longer waits."""

    def __init__(self, make_client: Callable[[], Client], clock: Callable[[], float] = time.monotonic) -> None:
        self._make_client = make_client
        self._clock = clock
        self._client: Client | None = None
        self._edited: Picture | None = None
        self._edited_at = float("-inf")
        self._try_at = clock()
        self._wait = FIRST_RETRY

    def through(self, picture: Picture) -> Picture:
        """Send a picture; the newest edited one, or `picture` itself where there is none of the present."""
        try:
            self._exchange(picture)
        except LiveError as error:
            logger.warning("%s The camera's own picture is shown meanwhile.", error)
            self._lose()
        is_fresh = self._clock() - self._edited_at <= STALE_SECONDS
        return self._edited if is_fresh and self._edited is not None else picture

    def close(self) -> None:
        """End the session."""
        if self._client is not None:
            self._client.close()

    def _exchange(self, picture: Picture) -> None:
        if self._client is None:
            if self._clock() < self._try_at:
                return
            self._client = self._make_client().__enter__()
            self._wait = FIRST_RETRY
        self._client.send(picture)
        edited = self._client.newest()
        if edited is not None:
            self._edited, self._edited_at = edited, self._clock()

    def _lose(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client, self._edited = None, None
        self._try_at = self._clock() + self._wait
        self._wait = min(LONGEST_RETRY, 2 * self._wait)


def show_live(pictures: Iterator[Picture], keeper: SessionKeeper, screen: Screen) -> int:
    """Send `pictures` and show what comes back until either side ends; how many were shown."""
    shown = 0
    try:
        for picture in pictures:
            shown += 1
            if not screen.show(keeper.through(picture)):
                break
    finally:
        keeper.close()
        screen.close()
    return shown


def parse_size(text: str) -> tuple[int, int]:
    """Read a size `WxH`, such as 640x480; ValueError otherwise."""
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit() and 16 <= int(width) <= 7680 and 16 <= int(height) <= 7680):
        raise ValueError(f"{text!r} is no size of a picture; give WxH, for example 640x480.")
    return int(width), int(height)
