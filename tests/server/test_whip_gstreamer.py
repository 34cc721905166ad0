"""WHIP with a client that others wrote: GStreamer's WebRTC, its ICE, its DTLS, its encoders."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest

from tests.client.fakes import light_app
from tests.client.serving import serving

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
PATIENCE_SECONDS = 60.0


@cache
def lacking() -> str:
    """What keeps GStreamer's client from running here; empty where nothing does."""
    if shutil.which(PYTHON) is None:
        return f"there is no {PYTHON}"
    done = subprocess.run([PYTHON, "-c", NEEDED], capture_output=True, text=True, timeout=120)
    return "" if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


def eventually(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"{what}: not within {PATIENCE_SECONDS:g} s"
        time.sleep(0.1)


@pytest.mark.parametrize("codec", ["vp8", "h264"])
def test_gstreamer_sends_video_that_comes_out_edited(codec: str) -> None:
    if lacking():
        pytest.skip(f"GStreamer with its Python bindings is not here ({lacking()}); scripts/system-packages --whip")
    with serving(light_app(api_key="sesame")) as url:
        http = httpx.Client(base_url=url, headers={"Authorization": "Bearer sesame"})
        command = [PYTHON, str(CLIENT), f"{url}/whip?smile=1", "sesame", codec]
        client = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        # A client that never connects must not hold the test up.
        watchdog = threading.Timer(PATIENCE_SECONDS, client.kill)
        watchdog.start()
        assert client.stdin is not None and client.stdout is not None
        try:
            told = json.loads(client.stdout.readline())
            assert (told["status"], told["state"]) == (201, "connected")
            assert told["etag"].startswith('"') and told["location"].startswith(f"{url}/whip/")
            (session,) = http.get("/api/v1/sessions").json()
            address = f"/api/v1/sessions/{session['id']}"
            eventually(lambda: numbers(http, address)["frames_out"] >= 30, "edited pictures")
            stats = numbers(http, address)
            assert (stats["width"], stats["height"], stats["frames_failed"]) == (320, 240, 0)
            assert session["edits"] == {"smile": 1.0}
            encoded = np.frombuffer(http.get(f"{address}/snapshot.jpg").content, np.uint8)
            picture = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
            assert picture is not None
            # A white ball on black, which `smile` lights up by 100.
            assert abs(float(np.median(picture)) - 100) < 12
            client.stdin.close()
            assert client.wait(20) == 0
            assert http.get("/api/v1/sessions").json() == [], "it ended its session"
        finally:
            watchdog.cancel()
            client.kill()
            client.wait()
            client.stdout.close()
            http.close()


def numbers(http: httpx.Client, address: str) -> dict[str, Any]:
    answer: dict[str, Any] = http.get(f"{address}/stats").json()
    return answer
