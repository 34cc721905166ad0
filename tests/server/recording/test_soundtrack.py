"""The sound of the films that the server keeps: there, whole, and in step with the pictures."""

from __future__ import annotations

import asyncio
import threading
import time
from fractions import Fraction
from pathlib import Path
from statistics import median

import av
import numpy as np
import pytest
from av import AudioFrame, VideoFrame
from numpy.typing import NDArray

from aiortc_fixes import AUDIO_PREFETCH_SECONDS
from rigid.files.credentials import own_credentials
from rigid.files.provenance_reading import read
from server.config import ServerConfig
from server.recording.mp4_writer import EARLY_SOUNDS, FilmLimits, Mp4Writer
from server.recording.recording import MOST_SOUNDS, Recording
from server.recording.soundtrack import Alignment
from server.webrtc.peer import Peer
from tests.patience import PATIENCE_SECONDS, until
from tests.server.recording.test_recordings import PLENTY, frame, shown, until_recorded
from tests.server.world import Camera, Lag, Microphone, RealViewer, draw_barcode, read_barcode, running, seeing

SILENT = 1000
IN_STEP = 0.08


def sound(loud: bool = True, rate: int = 48_000, layout: str = "stereo", seconds: float = 0.02) -> AudioFrame:
    tone = 12_000 * np.sin(np.arange(round(seconds * rate)) * 2 * np.pi * 440 / rate) * loud
    channels = 2 if layout == "stereo" else 1
    made = AudioFrame.from_ndarray(np.repeat(tone, channels).astype(np.int16)[None], format="s16", layout=layout)
    made.sample_rate, made.pts, made.time_base = rate, 0, Fraction(1, rate)
    return made


def heard(path: Path) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """The sound of a film in steps of 5 ms: their times, and how loud each is, 0 to 32767."""
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
        resampler = av.AudioResampler("s16", "mono", 48_000)
        first = float(frames[0].time or 0)
        parts = [part.to_ndarray()[0] for one in frames for part in resampler.resample(one)]
    samples = np.abs(np.concatenate(parts).astype(float))
    steps = len(samples) // 240
    return first + np.arange(steps) * 0.005, samples[: steps * 240].reshape(steps, 240).mean(axis=1)


def begins(path: Path) -> list[float]:
    """When the film's sound becomes loud."""
    times, levels = heard(path)
    loud = levels > SILENT
    return [float(times[i]) for i in range(1, len(loud)) if loud[i] and not loud[i - 1]]


# ---- the file


def filmed(
    path: Path, sounds: list[tuple[AudioFrame, float]], limits: FilmLimits = PLENTY, pictures: int = 30
) -> Mp4Writer:
    """Three seconds of pictures that begin at second 5, and sounds at their times on the same clock."""
    film = Mp4Writer(path, limits, sound=True)
    for made, seconds in sounds:
        made.pts = round(seconds * made.sample_rate)
        assert film.hear(made, 0.0, seconds) == ""
    for i in range(pictures):
        film.write(frame(450_000 + 9000 * i))
    film.close()
    return film


@pytest.mark.parametrize(("rate", "layout"), [(48_000, "stereo"), (48_000, "mono"), (8_000, "mono")])
def test_a_tone_lies_where_it_was_made(tmp_path: Path, rate: int, layout: str) -> None:
    made = [(sound(5.9 <= 4 + i / 50 < 6.4, rate, layout), 4 + i / 50) for i in range(200)]
    filmed(tmp_path / "a.mp4", made)
    times, levels = heard(tmp_path / "a.mp4")
    assert begins(tmp_path / "a.mp4") == [pytest.approx(0.9, abs=0.03)]
    assert float((levels > SILENT).sum() * 0.005) == pytest.approx(0.5, abs=0.04)
    assert times[-1] == pytest.approx(3.0, abs=0.1), "what was made before the first picture is not in it"


def test_a_gap_is_silent_and_what_follows_stays_in_its_place(tmp_path: Path) -> None:
    filmed(tmp_path / "a.mp4", [(sound(), 5 + i / 50) for i in range(100) if not 20 <= i < 70])
    assert begins(tmp_path / "a.mp4")[-1] == pytest.approx(1.4, abs=0.03)
    times, levels = heard(tmp_path / "a.mp4")
    assert float(levels[(times > 0.5) & (times < 1.3)].max()) < SILENT


def test_small_jitter_leaves_the_sound_whole(tmp_path: Path) -> None:
    filmed(tmp_path / "a.mp4", [(sound(), 5 + i / 50 + 0.01 * (i % 2)) for i in range(100)])
    times, levels = heard(tmp_path / "a.mp4")
    assert float(levels[(times > 0.1) & (times < 1.9)].min()) > SILENT


def test_sounds_that_come_in_a_rush_are_whole_and_in_their_place(tmp_path: Path) -> None:
    film = Mp4Writer(tmp_path / "a.mp4", PLENTY, sound=True)
    alignment = Alignment()
    now = [9.0 + i / 50 for i in range(100)]
    now[:75] = [now[75]] * 75  # the first second and a half comes at once
    film.write(frame(450_000))
    for i, at in enumerate(now):
        alignment.picture(5 + i / 50, 9 + i / 50)
        made = sound(i >= 10)
        made.pts = 960 * i
        ahead = alignment.sound(i / 50, at + AUDIO_PREFETCH_SECONDS)
        assert ahead is not None and film.hear(made, ahead, at) == ""
    film.write(frame(450_000 + 180_000))
    film.close()
    assert begins(tmp_path / "a.mp4") == [pytest.approx(0.2, abs=0.03)], "no gap in it"
    _, levels = heard(tmp_path / "a.mp4")
    assert float((levels > SILENT).sum() * 0.005) == pytest.approx(1.8, abs=0.04)


@pytest.mark.parametrize(("apart", "moved"), [(0.03, 0.0), (0.1, 0.1)])
def test_sound_is_moved_only_where_it_would_be_out_of_step(tmp_path: Path, apart: float, moved: float) -> None:
    film = Mp4Writer(tmp_path / "a.mp4", PLENTY, sound=True)
    film.write(frame(450_000))
    for i in range(250):
        made = sound(i % 50 >= 25)
        made.pts = 960 * i
        film.hear(made, 5.0 + apart * (i >= 100), i / 50)
    film.close()
    expected = [0.5 + second + moved * (second > 0) for second in range(5)]  # a second waits
    assert begins(tmp_path / "a.mp4") == [pytest.approx(at, abs=0.03) for at in expected]


def test_a_sound_that_comes_twice_is_heard_once(tmp_path: Path) -> None:
    filmed(tmp_path / "a.mp4", [(sound(), 5.5 + at) for at in (0.0, 0.02, 0.04, 0.06, 0.0, 0.02)])
    _, levels = heard(tmp_path / "a.mp4")
    assert float((levels > SILENT).sum() * 0.005) == pytest.approx(0.08, abs=0.03)


def test_where_nothing_is_heard_the_film_is_silent_to_its_end(tmp_path: Path) -> None:
    film = filmed(tmp_path / "a.mp4", [])
    times, levels = heard(tmp_path / "a.mp4")
    assert levels.max() < SILENT and times[-1] == pytest.approx(film.seconds, abs=0.1)


def test_sounds_that_wait_for_a_first_picture_are_few(tmp_path: Path) -> None:
    filmed(tmp_path / "a.mp4", [(sound(), 5 - 20 + i / 50) for i in range(4 * EARLY_SOUNDS)])
    assert begins(tmp_path / "a.mp4") == [], "they ended as the film began"


def test_sound_alone_does_not_outgrow_the_limits(tmp_path: Path) -> None:
    film = Mp4Writer(tmp_path / "a.mp4", FilmLimits(600.0, 150_000), sound=True)
    film.write(frame(0))
    noise = np.random.default_rng(1).integers(-9000, 9000, (1, 1920), np.int16)
    ends = []
    for i in range(3000):
        made = AudioFrame.from_ndarray(noise, format="s16", layout="stereo")
        made.sample_rate, made.pts, made.time_base = 48_000, i * 960, Fraction(1, 48_000)
        ends.append(film.hear(made, 0.0, i / 50))
    film.close()
    assert "max_bytes" in ends
    assert (tmp_path / "a.mp4").stat().st_size <= 150_000


def test_sound_beyond_the_films_length_is_left_out(tmp_path: Path) -> None:
    filmed(tmp_path / "a.mp4", [(sound(), 5 + i / 50) for i in range(150)], FilmLimits(1.0, 1 << 28))
    assert heard(tmp_path / "a.mp4")[0][-1] == pytest.approx(1.0, abs=0.1)


def test_where_writing_is_behind_sounds_find_no_place_and_pictures_do(tmp_path: Path) -> None:
    asked, written = threading.Event(), threading.Event()

    def wait_for_disk() -> bool:
        asked.set()
        return written.wait(PATIENCE_SECONDS)

    recording = Recording(tmp_path / "a.mp4", "", PLENTY, None, lambda: None, sound=True, has_room=wait_for_disk)
    for second in (0, 1, 7):
        recording.offer(frame(90_000 * second), {})
    assert asked.wait(PATIENCE_SECONDS)
    for i in range(2 * MOST_SOUNDS):
        made = sound()
        made.pts = 960 * i
        recording.hear(made, 0.0, 0.0)
    recording.offer(frame(90_000 * 8), {})
    written.set()
    recording.stop("")
    recording.finished.result(PATIENCE_SECONDS)
    assert (recording.describe()["frames"], recording.describe()["frames_dropped"]) == (4, 0)
    _, levels = heard(tmp_path / "a.mp4")
    assert float((levels > SILENT).sum() * 0.005) == pytest.approx(0.02 * MOST_SOUNDS, abs=0.05)


# ---- among the pictures


def test_sounds_are_placed_by_the_quickest_of_both() -> None:
    alignment = Alignment()
    assert alignment.sound(100.0, 0.5) is None
    ahead = 0.0
    for i in range(50):
        late = 0.2 * (i % 5 == 0)
        alignment.picture(7.0 + i / 30, 1000.0 + i / 30 + late)
        # Made at the same moment as the picture, and given out 80 ms after it came.
        ahead = alignment.sound(300.0 + i / 30, 1000.08 + i / 30 + 0.3 * (i % 7 == 0)) or 0.0
    assert ahead == pytest.approx(7.0 - 300.0, abs=0.001)


# ---- over HTTP


def silence_then_tone(seconds: float) -> AudioFrame:
    """20 ms of what is silent in each second's first half."""
    return sound(seconds % 1.0 >= 0.5, layout="mono")


class SteadyMicrophone(Microphone):
    """Its time stands still while a busy machine has no turn for it, so that nothing of it comes in a rush."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0
        """How much it has made."""
        self._due = 0.0

    async def recv(self) -> AudioFrame:
        await asyncio.sleep(max(0.0, self._due - time.monotonic()))
        self._due = max(self._due + 0.02, time.monotonic())
        made = silence_then_tone(self.seconds)
        made.pts = round(self.seconds * 48_000)
        self.seconds += 0.02
        return made


class CameraBesideIt(Camera):
    """Has a microphone's time for its own, and shows it."""

    def __init__(self, microphone: SteadyMicrophone) -> None:
        super().__init__()
        self._microphone = microphone

    async def recv(self) -> VideoFrame:
        await until(lambda: self._microphone.seconds * 15 >= self.made or self.readyState != "live")
        frame = await super().recv()
        seconds = self._microphone.seconds
        beside = VideoFrame.from_ndarray(draw_barcode(self.made, int(1000 * seconds)), format="rgb24")
        beside.pts, beside.time_base = round(seconds * 90_000), frame.time_base
        return beside


@pytest.mark.slow
async def test_a_sessions_sound_is_recorded_in_step_with_its_pictures(tmp_path: Path) -> None:
    config = ServerConfig(recordings=tmp_path / "films")
    async with running(config, make_peer=Peer, credentials=own_credentials(tmp_path / "signing")) as world:
        await world.ready()
        viewer = RealViewer(world.http, microphone=True)
        microphone = SteadyMicrophone()
        for sender in viewer.peer.getSenders():
            sender.replaceTrack(microphone if sender.kind == "audio" else CameraBesideIt(microphone))
        # What it is late while they connect, a jitter buffer keeps.
        lag = Lag()
        async with seeing(viewer, {"edits": {"smile": 0.5}}):
            begun = (await world.http.post(f"{viewer.url}/recording")).json()
            assert begun["sound"] is True
            await until_recorded(world, viewer, "seconds", 4.0)
            ended = (await world.http.delete(f"{viewer.url}/recording")).json()
            late = lag.stop()
    path = tmp_path / "films" / ended["file"]
    times, pictures = shown(path)
    # The pictures carry the time of their making, and each second's second half is loud.
    clock = median(read_barcode(one)[1] / 1000 - at for at, one in zip(times, pictures, strict=True))
    # A film that begins within a loud half has its own beginning for one.
    onsets = [(at + clock) % 1.0 for at in begins(path) if at > 0.25]
    print("the sound becomes loud at", [round(one, 3) for one in onsets], "of a second, made at 0.5")
    assert len(onsets) >= 2
    # The microphone is as late with a sound as the machine is; the picture says when it was made.
    assert all(abs(one - 0.5) < IN_STEP + late for one in onsets)
    told = read(path)
    assert told is not None and told.intact and told.edits == {"smile": 0.5}


async def test_without_a_microphone_a_film_has_no_sound(tmp_path: Path) -> None:
    async with running(ServerConfig(recordings=tmp_path)) as world:
        await world.ready()
        async with world.viewer() as viewer:
            assert (await world.http.post(f"{viewer.url}/recording")).json()["sound"] is False
            await until_recorded(world, viewer, "frames", 3)
            ended = (await world.http.delete(f"{viewer.url}/recording")).json()
    with av.open(str(tmp_path / ended["file"])) as container:
        assert not container.streams.audio
