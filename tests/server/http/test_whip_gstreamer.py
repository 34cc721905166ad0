"""WHIP with a client that others wrote: GStreamer's WebRTC, its ICE, its DTLS, its encoders."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tests.server.webrtc.outsider import filmed

pytestmark = pytest.mark.slow

CLIENT = Path(__file__).with_name("gstreamer-whip")
PYTHON = "/usr/bin/python3"
NEEDED = """
import gi
gi.require_version("Gst", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import Gst, GstWebRTC
Gst.init(None)
needed = ("webrtcbin", "nicesink", "dtlsenc", "vp8enc", "x264enc", "opusenc")
missing = [name for name in needed if not Gst.ElementFactory.find(name)]
raise SystemExit(f"GStreamer has no {', '.join(missing)}" if missing else 0)
"""


@cache
def lacking() -> str:
    """What keeps GStreamer's client from running here; empty where nothing does."""
    if shutil.which(PYTHON) is None:
        return f"there is no {PYTHON}"
    done = subprocess.run([PYTHON, "-c", NEEDED], capture_output=True, text=True, timeout=120)
    return "" if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize("codec", ["vp8", "h264"])
def test_gstreamer_sends_video_and_sound_that_are_edited_and_recorded(codec: str, tmp_path: Path) -> None:
    if lacking():
        pytest.skip(f"GStreamer with its Python bindings is not here ({lacking()}); scripts/system-packages --whip")
    film = filmed(tmp_path, PYTHON, str(CLIENT), codec)
    # A white ball on black, which `smile` lights up by 100.
    assert abs(float(np.median(film.last)) - 100) < 12
    assert film.loudness > 2000
