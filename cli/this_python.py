"""Whether this Python can run the program; older ones read it too, and must be able to."""

from __future__ import annotations

import struct
import sys

OLDEST = (3, 11)


def find_obstacle(version: tuple[int, ...], bits: int) -> str:
    """What keeps a Python of that version, with addresses of so many bits, from it, in one sentence; else empty."""
    if version[:2] >= OLDEST and bits >= 64:
        return ""
    return (
        f"RIGID Live needs a 64-bit Python {OLDEST[0]}.{OLDEST[1]} or newer, and this is Python "
        f"{version[0]}.{version[1]} with {bits} bits; install one, and the program with it."
    )


def require_python() -> None:
    """End the process with status 1 where this Python cannot run the program."""
    obstacle = find_obstacle(tuple(sys.version_info[:3]), 8 * struct.calcsize("P"))
    if obstacle:
        sys.exit(f"Error: {obstacle}")
