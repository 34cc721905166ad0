"""What operating systems call cameras, those that one sees with and those that other programs see."""

from __future__ import annotations

import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class CameraSystem:
    """How the cameras of an operating system are opened, and what to do where they cannot be."""

    format: str
    """FFmpeg's name for its cameras."""
    prefix: str
    """What FFmpeg wants before a camera's name."""
    example: str
    """A camera as it is called there."""
    permission: str
    """How a program gets to use it, as a clause."""
    virtual_example: str
    """A virtual camera as it is called there."""
    virtual_remedy: str
    """How one comes about, as a clause."""

    def address(self, name: str) -> str:
        """How FFmpeg is told which camera to open."""
        return f"{self.prefix}{name}"


OBS = "OBS Virtual Camera"
SYSTEMS = {
    "linux": CameraSystem(
        format="v4l2",
        prefix="",
        example="/dev/video0",
        permission="let this user use it (the group video)",
        virtual_example="/dev/video2",
        virtual_remedy="load the kernel's module v4l2loopback first",
    ),
    "win32": CameraSystem(
        format="dshow",
        prefix="video=",
        example="Integrated Camera",
        permission="let desktop apps use it (Settings, Privacy, Camera)",
        virtual_example=OBS,
        virtual_remedy="install OBS Studio, which brings one, first",
    ),
    "darwin": CameraSystem(
        format="avfoundation",
        prefix="",
        example="FaceTime HD Camera",
        permission="let the terminal use it (System Settings, Privacy & Security, Camera)",
        virtual_example=OBS,
        virtual_remedy="install OBS Studio and start its virtual camera once first",
    ),
}
"""By `sys.platform`."""


def find_camera_system() -> CameraSystem:
    """This machine's; that of Linux for its kin."""
    return SYSTEMS.get(sys.platform, SYSTEMS["linux"])
