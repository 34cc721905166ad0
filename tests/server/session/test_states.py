"""The states of a session: what decides between them, and what may follow on what."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from av import VideoFrame

from server.frames.camera_check import FROZEN_SECONDS, CameraCheck
from server.session.states import ENDINGS, UNWANTED, Health, Life, State, farewell

WELL = Health(since_packet=0.1, since_picture=0.1, fps_in=30, fps_out=25, failing=0.0, picture="")


@pytest.mark.parametrize(
    ("seen", "state", "reason"),
    [
        ({}, State.LIVE, ""),
        ({"since_packet": 4.0, "since_picture": 4.0, "failing": 1.0}, State.PAUSED, "no_video"),
        ({"since_picture": 4.0}, State.DEGRADED_INPUT, "undecodable"),
        ({"failing": 0.5, "picture": "black_picture"}, State.DEGRADED_INFERENCE, "failing"),
        ({"picture": "black_picture"}, State.DEGRADED_INPUT, "black_picture"),
        ({"fps_in": 4.0, "fps_out": 4.0}, State.DEGRADED_INPUT, "few_pictures"),
        ({"fps_out": 3.0}, State.DEGRADED_INFERENCE, "slow"),
        ({"fps_in": 9.0, "fps_out": 7.5}, State.LIVE, ""),
    ],
)
def test_what_is_seen_decides(seen: dict[str, float], state: State, reason: str) -> None:
    assert replace(WELL, **seen).judge() == (state, reason)  # type: ignore[arg-type]


def life() -> tuple[Life, list[tuple[State, str]]]:
    told: list[tuple[State, str]] = []
    made = Life(lambda: 5.0, lambda: told.append((made.state, made.reason)))
    return made, told


def test_a_change_takes_two_looks_but_a_pause_only_one() -> None:
    one, told = life()
    one.enter(State.CONNECTING)
    one.enter(State.LIVE)
    one.look(replace(WELL, fps_out=3.0))
    one.look(WELL)
    one.look(replace(WELL, fps_out=3.0))
    assert one.state == State.LIVE
    one.look(replace(WELL, fps_out=3.0))
    assert (one.state, one.reason) == (State.DEGRADED_INFERENCE, "slow")
    assert one.message.endswith(".") and "8 pictures" in one.message
    one.look(replace(WELL, since_packet=9.0, since_picture=9.0))
    assert told[2:] == [(State.DEGRADED_INFERENCE, "slow"), (State.PAUSED, "no_video")]


def test_a_reason_may_change_within_a_state_and_the_same_one_is_told_once() -> None:
    one, told = life()
    one.enter(State.CONNECTING)
    for reason in ("black_picture", "black_picture", "few_pictures"):
        one.enter(State.DEGRADED_INPUT, reason)
    assert told[1:] == [(State.DEGRADED_INPUT, "black_picture"), (State.DEGRADED_INPUT, "few_pictures")]


@pytest.mark.parametrize(
    ("before", "after"),
    [((), State.LIVE), ((State.CLOSED,), State.CLOSED), ((State.CONNECTING, State.LIVE), State.CONNECTING)],
)
def test_what_cannot_follow(before: tuple[State, ...], after: State) -> None:
    one, _ = life()
    for state in before:
        one.enter(state)
    with pytest.raises(RuntimeError, match="cannot be"):
        one.enter(after, "again")


def test_a_closed_session_says_why() -> None:
    one, _ = life()
    one.enter(State.CLOSED, "idle")
    assert one.message == "It ended: no video came for too long."


def grey(level: int, noise: int = 0, side: int = 64) -> VideoFrame:
    pixels = np.random.default_rng(noise).integers(level, level + noise + 1, (side * 3 // 2, side), np.uint8)
    return VideoFrame.from_ndarray(pixels, format="yuv420p")


def test_black_and_frozen_pictures_are_told_from_dark_and_calm_ones() -> None:
    watch = CameraCheck()
    assert watch.look(grey(16), 0.0) == "black_picture"
    assert watch.look(grey(40), 1.0) == ""
    assert watch.look(grey(41), 1.0 + FROZEN_SECONDS) == "frozen_picture"
    assert watch.look(grey(43), 2.0 + FROZEN_SECONDS) == "", "a slow change adds up"
    assert watch.look(grey(43, side=96), 9.0 + FROZEN_SECONDS) == "", "another size is another picture"
    assert watch.look(grey(16, noise=40), 30.0) == ""


def test_a_moving_picture_is_never_frozen() -> None:
    watch = CameraCheck()
    assert {watch.look(grey(100, noise=20 + number), float(number)) for number in range(20)} == {""}


def test_an_end_without_words_of_its_own_is_said_as_it_is_called() -> None:
    one, _ = life()
    one.enter(State.CLOSED, "bad_offer")
    assert one.message == "It ended: bad offer."


def test_a_client_is_told_why_it_ended_and_whether_to_come_back() -> None:
    assert farewell("idle") == {"reason": "idle", "message": "No video came for too long.", "come_back": False}
    assert farewell("moved")["come_back"] is True
    assert farewell("bad_offer")["message"] == "Bad offer."
    assert set(ENDINGS) > UNWANTED, "each has its words"
