"""WHIP with a client that others wrote: GStreamer's WebRTC, its ICE, its DTLS, its encoders."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.client.fakes import light_app
from tests.client.serving import serving
from tests.server.outsider import KEY, outsider

CLIENT = Path(__file__).with_name("gstreamer-whip")
PYTHON = "/usr/bin/python3"
NEEDED = """
import gi
gi.require_version("Gst", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import Gst, GstWebRTC
Gst.init(None)
needed = ("webrtcbin", "nicesink", "dtlsenc", "vp8enc", "x264enc")
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
def test_gstreamer_sends_video_that_comes_out_edited(codec: str) -> None:
    if lacking():
        pytest.skip(f"GStreamer with its Python bindings is not here ({lacking()}); scripts/system-packages --whip")
    with serving(light_app(api_key=KEY)) as url, outsider(url, PYTHON, str(CLIENT), codec) as client:
        assert client.told["etag"].startswith('"') and client.told["location"].startswith(f"{url}/whip/")
        assert client.session["edits"] == {"smile": 1.0}
        client.wait_for_pictures(30)
        stats = client.numbers()
        assert (stats["width"], stats["height"], stats["frames_failed"]) == (320, 240, 0)
        encoded = np.frombuffer(client.http.get(f"{client.address}/snapshot.jpg").content, np.uint8)
        picture = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
        assert picture is not None
        # A white ball on black, which `smile` lights up by 100.
        assert abs(float(np.median(picture)) - 100) < 12
        client.leave()
