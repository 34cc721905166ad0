"""The cameras of this machine: which there are, by the names of its system, and their pictures, the newest first."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import av
from av.container import InputContainer
from av.device import enumerate_input_devices
from av.error import FFmpegError

from client.python.camera_systems import CameraSystem, find_camera_system
from client.python.shapes import Picture, upright

FRAME_RATE = "30"
POLL_SECONDS = 0.005
"""Between two looks at a camera that gives no picture yet and does not let one wait for it."""
STOP_SECONDS = 2.0
LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class Camera:
    """A camera of this machine."""

    name: str
    """By which the system knows it."""
    description: str
    """By which its owner does."""

    def __str__(self) -> str:
        return self.description if self.description == self.name else f"{self.description} ({self.name})"


def list_cameras(system: CameraSystem | None = None) -> list[Camera]:
    """List the cameras that the system tells of, in its order; those that it hides are not among them."""
    try:
        found = enumerate_input_devices((system or find_camera_system()).format)
    except (FFmpegError, ValueError):
        return []
    seen = [one for one in found if "video" in one.media_types or not one.media_types]
    return [Camera(one.name, one.description or one.name) for one in seen]


def find_camera(wanted: str, cameras: list[Camera], system: CameraSystem) -> str:
    """The system's name of the camera that a user calls by its number in the list, its name or its description.

    One that is not in the list is taken as it is called. ValueError for a number that is not.
    """
    for number, camera in enumerate(cameras):
        if wanted in (str(number), camera.name, camera.description):
            return camera.name
    if wanted.isdecimal():
        if not cameras:
            raise ValueError(f"This machine tells of no camera; connect one, or {system.permission}.")
        there = "; ".join(f"{number}: {camera}" for number, camera in enumerate(cameras))
        raise ValueError(f"There is no camera {wanted}; choose one of these with --camera: {there}.")
    return wanted


@contextlib.contextmanager
def webcam(wanted: str, width: int, height: int, system: CameraSystem | None = None) -> Iterator[Iterator[Picture]]:
    """The pictures of a camera, RGB uint8, in about that size. ValueError where it cannot be opened.

    `wanted`: as `find_camera` takes it. Who is slower than the camera gets its newest pictures, none that are old.
    """
    system = system or find_camera_system()
    feed = _Feed(_open(wanted, find_camera(wanted, list_cameras(system), system), width, height, system))
    try:
        yield feed.pictures()
    finally:
        feed.stop()


def _open(wanted: str, name: str, width: int, height: int, system: CameraSystem) -> InputContainer:
    size = {"video_size": f"{width}x{height}"}
    rate = {"framerate": FRAME_RATE}
    reason = ""
    # A camera that has no such size, or rate, is opened in one of its own.
    for options in ({**size, **rate}, rate, {}):
        try:
            return av.open(system.address(name), format=system.format, options=options)
        except (FFmpegError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
    raise ValueError(
        f"The camera {wanted} cannot be opened ({reason}); {system.permission}, or choose another one with --camera, "
        f"by its number or its name such as {system.example!r}; `rigid-live client cameras` lists them."
    )


class _Feed:
    """Reads a camera on a thread of its own and keeps the newest picture."""

    def __init__(self, container: InputContainer) -> None:
        self._container = container
        self._changed = threading.Condition()
        self._newest: av.VideoFrame | None = None
        self._ended = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)
        self._thread.start()

    def pictures(self) -> Iterator[Picture]:
        """Give each newest picture once, until the camera ends."""
        while True:
            with self._changed:
                # Windows sees Ctrl+C between two waits only.
                while not self._changed.wait_for(lambda: self._newest is not None or self._ended, LOOK_SECONDS):
                    continue
                frame, self._newest = self._newest, None
            if frame is None:
                return
            yield upright(frame)

    def stop(self) -> None:
        """End the reading; a camera that gives nothing any more is not waited for."""
        self._stopping.set()
        self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        try:
            while not self._stopping.is_set() and self._read():
                self._stopping.wait(POLL_SECONDS)
        finally:
            self._container.close()
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _read(self) -> bool:
        """Take what comes; whether more may come later."""
        try:
            for frame in self._container.decode(video=0):
                with self._changed:
                    self._newest = frame
                    self._changed.notify_all()
                if self._stopping.is_set():
                    break
        except BlockingIOError:
            return True
        except FFmpegError:
            return False  # it was unplugged
        return False
