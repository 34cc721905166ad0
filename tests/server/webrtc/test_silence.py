"""Who is silent, and who was only not listened to."""

from __future__ import annotations

from server.webrtc.silence import MOST_SECONDS, Silence


class Clock:
    """Stands where it is put."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def look_after(silence: Silence, clock: Clock, seconds: float, heard: float) -> float:
    clock.now += seconds
    return silence.look(heard)


def test_silence_lasts_from_when_the_other_end_was_heard() -> None:
    clock = Clock()
    silence = Silence(clock)
    assert [look_after(silence, clock, 1.0, 100.25) for _ in range(3)] == [0.75, 1.75, 2.75]
    assert look_after(silence, clock, 1.0, 103.5) == 0.5


def test_a_machine_that_stood_still_takes_nobody_for_silent() -> None:
    clock = Clock()
    silence = Silence(clock)
    assert look_after(silence, clock, 1.0, 101.0) == 0.0
    assert look_after(silence, clock, 3600.0, 101.0) == MOST_SECONDS
    assert look_after(silence, clock, 0.01, 3701.005) < 0.01, "what came meanwhile is read"


def test_who_is_gone_is_silent_on_a_busy_machine_too() -> None:
    clock = Clock()
    silence = Silence(clock)
    assert [look_after(silence, clock, 5.0, 100.0) for _ in range(4)][-1] == 4 * MOST_SECONDS
