"""WHIP with the library that OBS's own WHIP output is built on: its ICE, its DTLS, H.264 and Opus."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av import AudioFrame, VideoFrame

from tests.patience import PATIENCE_SECONDS
from tests.server.webrtc.outsider import filmed

pytestmark = pytest.mark.slow

CLIENT = Path(__file__).with_name("libdatachannel-whip")
LIBRARY = CLIENT.parents[2] / "client" / "node_modules" / "node-datachannel"
GREY = 60


def encoders(told: dict[str, Any]) -> Iterator[None]:
    """Send a grey picture as H.264 and a tone as Opus to the client's ports, one of each a turn, 20 a second."""
    options = {"ssrc": "42", "payload_type": "96"}
    video = av.open(f"rtp://127.0.0.1:{told['video']}?pkt_size=1200", "w", format="rtp", options=options)
    pictures = video.add_stream("libx264", rate=20, options={"tune": "zerolatency", "profile": "baseline", "g": "20"})
    pictures.width, pictures.height, pictures.pix_fmt = 320, 240, "yuv420p"
    options = {"ssrc": "41", "payload_type": "111"}
    audio = av.open(f"rtp://127.0.0.1:{told['audio']}", "w", format="rtp", options=options)
    sounds = audio.add_stream("libopus", rate=48_000, layout="stereo")
    tone = (9000 * np.sin(np.arange(2400) * 2 * np.pi * 20 / 2400)).astype(np.int16).repeat(2)[None]
    for number in range(100_000):
        picture = VideoFrame.from_ndarray(np.full((240, 320, 3), GREY + number % 2, np.uint8), format="rgb24")
        picture.pts, picture.time_base = number, Fraction(1, 20)
        video.mux(pictures.encode(picture))
        sound = AudioFrame.from_ndarray(tone, format="s16", layout="stereo")
        sound.sample_rate, sound.pts, sound.time_base = 48_000, number * 2400, Fraction(1, 48_000)
        audio.mux(sounds.encode(sound))
        yield


@contextmanager
def sending(told: dict[str, Any]) -> Iterator[None]:
    """Both go out until the block ends."""
    ended = threading.Event()

    def send() -> None:
        for _ in encoders(told):
            if ended.wait(0.05):
                return

    thread = threading.Thread(target=send, name="sending")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(PATIENCE_SECONDS)


@pytest.mark.skipif(
    shutil.which("node") is None or not LIBRARY.exists(),
    reason="node-datachannel is not in client/node_modules: scripts/check-javascript installs it",
)
def test_libdatachannel_sends_video_and_sound_that_are_edited_and_recorded(tmp_path: Path) -> None:
    film = filmed(tmp_path, "node", str(CLIENT), sending=sending)
    assert abs(film.light - GREY - 100) < 8, "`smile` lights the picture up by 100"
    assert film.loudness > 2000
