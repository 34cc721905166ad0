"""The tracks a session sends, on a clock of their own, and sound against picture end to end."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from statistics import median

import numpy as np
import pytest
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, VideoFrame

from aiortc_fixes import AUDIO_PREFETCH_SECONDS
from server.session.session_stats import VideoDelay
from server.webrtc.outgoing_tracks import MAX_SOUNDS, DelayedAudioTrack, OutputTrack
from server.webrtc.peer import Peer
from tests.patience import PATIENCE_SECONDS
from tests.server.world import Lag, PaintingStream, running


class Clock:
    """Stands still unless moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def picture() -> VideoFrame:
    return VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")


def sound() -> AudioFrame:
    return AudioFrame.from_ndarray(np.zeros((1, 960), np.int16), layout="mono")


async def test_each_picture_is_sent_once_and_the_newest_wins() -> None:
    clock, ages = Clock(), list[float]()
    track = OutputTrack(ages.append, clock)
    first, second = picture(), picture()
    assert not track.push(first, arrived=99.0)
    assert track.push(second, arrived=99.75)
    assert await track.recv() is second
    assert ages == [0.25]
    waiting = asyncio.create_task(track.recv())
    await asyncio.sleep(0)
    assert not waiting.done()
    track.push(first, arrived=99.5)
    assert await waiting is first


async def test_a_stopped_track_wakes_who_waits() -> None:
    for track in (OutputTrack(lambda age: None), DelayedAudioTrack(lambda now: 0.0)):
        waiting = asyncio.create_task(track.recv())
        await asyncio.sleep(0)
        track.stop()
        with pytest.raises(MediaStreamError):
            await asyncio.wait_for(waiting, PATIENCE_SECONDS)
        with pytest.raises(MediaStreamError):
            await track.recv()


async def comes(track: DelayedAudioTrack) -> None:
    await asyncio.wait_for(track.recv(), PATIENCE_SECONDS)


async def is_held_back(track: DelayedAudioTrack) -> bool:
    try:
        await asyncio.wait_for(track.recv(), 0.05)
    except TimeoutError:
        return True
    return False


async def test_sound_comes_as_late_as_the_pictures() -> None:
    clock = Clock()
    track = DelayedAudioTrack(lambda now: 0.5, clock)
    track.push(sound(), clock.now)
    clock.now += 0.5 - AUDIO_PREFETCH_SECONDS - 0.01
    assert await is_held_back(track)
    clock.now += 0.02
    await comes(track)


async def test_sound_waits_for_a_first_picture_but_not_for_ever() -> None:
    clock = Clock()
    track = DelayedAudioTrack(lambda now: None, clock)
    track.push(sound(), clock.now)
    clock.now += 1.5
    assert await is_held_back(track)
    clock.now += 0.6
    await comes(track)


async def test_sound_held_back_is_bounded() -> None:
    clock = Clock()
    track = DelayedAudioTrack(lambda now: 50.0, clock)
    for _ in range(MAX_SOUNDS + 100):
        track.push(sound(), clock.now)
    clock.now += 50.0
    for _ in range(MAX_SOUNDS):
        await comes(track)
    assert await is_held_back(track), "there is no other"


def test_the_delay_follows_the_ages_without_a_jump() -> None:
    delay = VideoDelay()
    assert delay.at(0.0) is None
    delay.observe(0.1)
    assert delay.at(10.0) == pytest.approx(0.1)
    for _ in range(15):
        delay.observe(0.5)
    assert delay.at(10.4) == pytest.approx(0.2)
    assert delay.at(20.0) == pytest.approx(0.5)
    for _ in range(3):  # single late pictures do not count
        delay.observe(3.0)
    assert delay.at(40.0) == pytest.approx(0.5)


async def test_the_microphone_comes_back_in_step_with_the_pictures() -> None:
    async with running(make_stream=lambda: PaintingStream(delay=0.3), make_peer=Peer) as world:
        await world.ready()
        async with world.real_viewer(microphone=True) as viewer:
            lag = Lag()
            await viewer.until(lambda: len(turns(viewer.sounds)) >= 7)
            late = lag.stop()
            stats = (await world.http.get(f"{viewer.url}/stats")).json()
            pictures = median(one.age for one in viewer.seen[3:])
            sounds = median(turns(viewer.sounds)[2:])
    assert stats["audio_delay_ms"] == pytest.approx(stats["age_ms"]["p50"], abs=100 + 1000 * late)
    # The viewer's own audio buffer holds four packets back too, as a browser's would. Turns are half a second apart.
    apart = (sounds - AUDIO_PREFETCH_SECONDS - pictures + 0.25) % 0.5 - 0.25
    assert abs(apart) < 0.15 + late


def turns(sounds: list[tuple[float, bool]]) -> list[float]:
    """How late the sound turns loud or quiet, which the microphone does at each half second of its clock."""
    return [when % 0.5 for (_, before), (when, after) in pairwise(sounds) if before != after]
