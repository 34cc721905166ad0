"""Cameras by the names of each system, with tables made by hand, and a camera that FFmpeg draws."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from av.error import ExitError, FFmpegError

from cli.main import run
from client.python import cameras
from client.python.camera_systems import SYSTEMS, find_camera_system
from client.python.cameras import Camera, list_cameras, webcam
from client.python.devices import VirtualCamera

LINUX, WINDOWS, MACOS = SYSTEMS["linux"], SYSTEMS["win32"], SYSTEMS["darwin"]
PNP = r"@device_pnp_\\?\usb#vid_04f2&pid_b6be&mi_00#6&1"
DEVICES: dict[str, list[tuple[str, str, list[str]]]] = {
    "v4l2": [("/dev/video0", "Integrated Camera: Integrated C", []), ("/dev/video2", "Loopback", [])],
    "dshow": [(PNP, "Integrated Camera", ["video"]), ("@device_cm_{33D9}", "Microphone", ["audio"])],
    "avfoundation": [
        ("0", "FaceTime HD Camera", ["video"]),
        ("1", "Capture screen 0", ["video"]),
        ("0", "MacBook Microphone", ["audio"]),
    ],
}
"""Name, description and media of what FFmpeg lists of each system's devices."""


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, dict[str, str]]]:
    """What FFmpeg is asked to open; it opens nothing. Its lists are those of `DEVICES`."""
    asked: list[tuple[str, str, dict[str, str]]] = []

    def enumerate_devices(name: str) -> list[SimpleNamespace]:
        fields = ("name", "description", "media_types")
        return [SimpleNamespace(**dict(zip(fields, one, strict=True))) for one in DEVICES[name]]

    def refuse(address: str, *, format: str, options: dict[str, str]) -> None:
        asked.append((address, format, options))
        raise FFmpegError(5, "Input/output error")

    monkeypatch.setattr(cameras, "enumerate_input_devices", enumerate_devices)
    monkeypatch.setattr(av, "open", refuse)
    return asked


@pytest.mark.parametrize(
    ("platform", "wanted", "address"),
    [
        ("linux", "1", "/dev/video2"),
        ("linux", "/dev/video9", "/dev/video9"),
        ("linux", "Loopback", "/dev/video2"),
        ("win32", "0", f"video={PNP}"),
        ("win32", "Integrated Camera", f"video={PNP}"),
        ("win32", "A camera that is hidden", "video=A camera that is hidden"),
        ("darwin", "1", "1"),
        ("darwin", "FaceTime HD Camera", "0"),
    ],
)
def test_a_camera_is_opened_as_its_system_names_it(
    platform: str, wanted: str, address: str, opened: list[tuple[str, str, dict[str, str]]]
) -> None:
    system = SYSTEMS[platform]
    with (
        pytest.raises(ValueError, match=r"cannot be opened \(Input/output error\)") as refused,
        webcam(wanted, 640, 480, system),
    ):
        pass
    assert wanted in str(refused.value) and system.permission in str(refused.value)
    assert [(one, kind) for one, kind, _ in opened] == [(address, system.format)] * 3
    # in its own size where it has no such one
    assert [sorted(options) for *_, options in opened] == [["framerate", "video_size"], ["framerate"], []]
    assert opened[0][2]["video_size"] == "640x480"


def test_a_number_that_is_none_is_told_with_those_there_are(
    opened: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        pytest.raises(ValueError, match=r"no camera 7; .* 0: FaceTime HD Camera \(0\); 1: Capture"),
        webcam("7", 640, 480, MACOS),
    ):
        pass
    monkeypatch.setitem(DEVICES, "dshow", [])
    with (
        pytest.raises(ValueError, match=r"no camera; connect one, or let desktop apps use it"),
        webcam("0", 640, 480, WINDOWS),
    ):
        pass
    assert opened == []


def test_cameras_are_listed(
    opened: list[object], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list_cameras(WINDOWS) == [Camera(PNP, "Integrated Camera")]
    assert [camera.description for camera in list_cameras(MACOS)] == ["FaceTime HD Camera", "Capture screen 0"]
    assert run(["client", "cameras"]) == 0
    assert "1: Loopback (/dev/video2)" in capsys.readouterr().out
    assert run(["client", "cameras", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["name"] == "/dev/video0"
    monkeypatch.setitem(DEVICES, "v4l2", [])
    assert run(["client", "cameras"]) == 0
    assert "connect one" in capsys.readouterr().err


def test_the_system_is_that_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for platform, system in {**SYSTEMS, "freebsd14": LINUX}.items():
        monkeypatch.setattr(sys, "platform", platform)
        assert find_camera_system() is system


@pytest.mark.parametrize("platform", SYSTEMS)
def test_without_a_virtual_camera_it_says_what_brings_one(platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("no camera registered")

    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setitem(sys.modules, "pyvirtualcam", SimpleNamespace(Camera=refuse))
    with pytest.raises(ValueError, match="no camera registered") as refused:
        VirtualCamera(640, 480, 30)
    assert SYSTEMS[platform].virtual_remedy in str(refused.value)


def test_pictures_of_a_camera_come_in_their_size() -> None:
    drawn = replace(LINUX, format="lavfi")
    with webcam("testsrc=size=96x64:rate=30", 96, 64, drawn) as pictures:
        first, second = next(pictures), next(pictures)
    assert first.shape == second.shape == (64, 96, 3) and first.dtype == np.uint8 and first.std() > 20


class Stuttering:
    """A camera that has nothing yet, then some pictures, and is unplugged."""

    def __init__(self, steps: list[Callable[[], Iterator[Any]]]) -> None:
        self._steps = iter(steps)
        self.closed = False

    def decode(self, *, video: int) -> Iterator[Any]:
        return next(self._steps)()

    def close(self) -> None:
        self.closed = True


def test_a_camera_that_has_nothing_yet_is_asked_again_until_it_is_unplugged(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing() -> Iterator[Any]:
        raise BlockingIOError
        yield

    def one() -> Iterator[Any]:
        yield av.VideoFrame(16, 16, "rgb24")
        raise BlockingIOError

    def unplugged() -> Iterator[Any]:
        raise ExitError(5, "No such device")
        yield

    camera = Stuttering([nothing, nothing, one, unplugged])
    monkeypatch.setattr(av, "open", lambda *_, **__: camera)
    with webcam("/dev/video0", 16, 16, LINUX) as pictures:
        assert [picture.shape for picture in pictures] == [(16, 16, 3)]
    assert camera.closed
