"""WHIP with FFmpeg's own muxer: its ICE, its DTLS by GnuTLS with a certificate of its own making, H.264 and Opus."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from av.format import formats_available

from tests.server.outsider import filmed

CLIENT = Path(__file__).with_name("ffmpeg-whip")
GREY = 60


@pytest.mark.skipif("whip" not in formats_available, reason="this PyAV is built without FFmpeg's WHIP muxer")
@pytest.mark.parametrize("role", ["passive", "active"])
def test_ffmpeg_sends_video_and_sound_that_are_edited_and_recorded(role: str, tmp_path: Path) -> None:
    film = filmed(tmp_path, sys.executable, str(CLIENT), role)
    assert abs(film.light - GREY - 100) < 8, "`smile` lights the picture up by 100"
    assert film.loudness > 2000
