from __future__ import annotations

import numpy as np
import pytest

from rigid.edits.ramp import EASINGS, Easing, EditRamp


def test_nothing_is_set_at_first() -> None:
    assert EditRamp().at(5.0) == {}
    assert EditRamp().targets == {}


def test_a_ramp_rises_smoothly_and_never_turns() -> None:
    ramp = EditRamp()
    ramp.set({"smile": 1.0}, 2.0, now=10.0)
    strengths = np.array([ramp.at(t)["smile"] for t in np.linspace(9.0, 13.0, 401)])
    steps = np.diff(strengths)
    assert strengths[0] == 0 and strengths[-1] == 1
    assert steps.min() >= 0
    # steepest in the middle (smoothstep: 1.5 times the mean slope), flat at both ends
    assert steps.max() == pytest.approx(1.5 * 0.01 / 2.0, rel=0.01)
    assert steps[100] < steps.max() / 20 and steps[299] < steps.max() / 20
    assert ramp.at(11.0)["smile"] == pytest.approx(0.5)
    assert ramp.targets == {"smile": 1.0}


@pytest.mark.parametrize("easing", EASINGS)
def test_every_easing_rises_from_start_to_end(easing: Easing) -> None:
    ramp = EditRamp()
    ramp.set({"smile": 1.0}, 1.0, 0.0, easing)
    strengths = [ramp.at(t)["smile"] for t in np.linspace(0.0, 1.0, 101)]
    assert strengths[0] == 0 and strengths[-1] == 1
    assert np.diff(strengths).min() > 0
    assert {"ease_in": 0.25, "ease_out": 0.75}.get(easing, 0.5) == pytest.approx(strengths[50])


def test_an_unknown_easing_is_refused() -> None:
    with pytest.raises(ValueError, match="'bounce'"):
        EditRamp().set({"smile": 1.0}, 1.0, 0.0, "bounce")  # type: ignore[arg-type]


def test_without_a_ramp_the_change_is_at_once() -> None:
    ramp = EditRamp()
    ramp.set({"smile": -0.5}, 0.0, now=3.0)
    assert ramp.at(3.0) == {"smile": -0.5}


def test_only_named_attributes_change() -> None:
    ramp = EditRamp()
    ramp.set({"smile": 1.0, "age": 0.5}, 0.0, now=0.0)
    ramp.set({"age": -0.5}, 1.0, now=1.0)
    assert ramp.at(1.5) == {"smile": 1.0, "age": pytest.approx(0.0)}
    assert ramp.targets == {"smile": 1.0, "age": -0.5}


def test_a_change_of_mind_goes_on_from_where_it_is() -> None:
    ramp = EditRamp()
    ramp.set({"smile": 1.0}, 2.0, now=0.0)
    ramp.set({"smile": -1.0}, 1.0, now=1.0)
    assert ramp.at(1.0)["smile"] == pytest.approx(0.5)
    assert ramp.at(1.5)["smile"] == pytest.approx(-0.25)
    assert ramp.at(2.0)["smile"] == -1.0


def test_repeating_a_request_does_not_delay_it() -> None:
    ramp = EditRamp()
    for now in (0.0, 0.5, 0.9):
        ramp.set({"smile": 1.0}, 1.0, now)
    assert ramp.at(1.0)["smile"] == 1.0


def test_asking_for_haste_is_heard() -> None:
    ramp = EditRamp()
    ramp.set({"smile": 1.0}, 10.0, now=0.0)
    ramp.set({"smile": 1.0}, 0.0, now=1.0)
    assert ramp.at(1.0)["smile"] == 1.0


def test_the_past_and_the_far_future_are_defined() -> None:
    ramp = EditRamp()
    ramp.set({"smile": 1.0}, 1.0, now=5.0)
    assert ramp.at(-100.0) == {"smile": 0.0}
    assert ramp.at(1e12) == {"smile": 1.0}


@pytest.mark.parametrize(
    ("strength", "seconds", "now"),
    [(1.0, -1.0, 0.0), (1.0, float("nan"), 0.0), (1.0, 1.0, float("inf")), (float("nan"), 1.0, 0.0)],
)
def test_bad_numbers_are_refused_and_change_nothing(strength: float, seconds: float, now: float) -> None:
    ramp = EditRamp()
    ramp.set({"age": 1.0}, 0.0, now=0.0)
    with pytest.raises(ValueError, match="give a"):
        ramp.set({"age": 0.5, "smile": strength}, seconds, now)
    assert ramp.at(0.0) == {"age": 1.0}
