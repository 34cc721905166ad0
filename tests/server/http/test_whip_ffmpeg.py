"""WHIP with FFmpeg's own muxer: its ICE, its DTLS by GnuTLS with a certificate of its own making, H.264 and Opus."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from av.format import formats_available

from tests.client.fakes import light_app
from tests.client.serving import serving
from tests.server.webrtc.outsider import KEY, filmed, outsider

pytestmark = pytest.mark.slow

CLIENT = Path(__file__).with_name("ffmpeg-whip")
GREY = 60


@pytest.mark.skipif("whip" not in formats_available, reason="this PyAV is built without FFmpeg's WHIP muxer")
def test_ffmpeg_sends_video_and_sound_that_are_edited_and_recorded(tmp_path: Path) -> None:
    film = filmed(tmp_path, sys.executable, str(CLIENT), "passive")
    assert abs(film.light - GREY - 100) < 8, "`smile` lights the picture up by 100"
    assert film.loudness > 5000, "of 5730: nothing of the sound is left out"


@pytest.mark.skipif("whip" not in formats_available, reason="this PyAV is built without FFmpeg's WHIP muxer")
def test_ffmpeg_gets_in_as_the_dtls_client_too() -> None:
    # FFmpeg 8.1 writes to its DTLS session whatever DTLS it gets after its handshake, such as a last flight that is
    # sent again because FFmpeg asked for it anew. That makes its UDP socket a blocking one for good, and its muxer
    # reads from it before it sends: from then on it sends one packet for each that it gets, about a picture a second.
    with serving(light_app(api_key=KEY)) as url, outsider(url, sys.executable, str(CLIENT), "active") as client:
        client.wait_for_pictures(2)
