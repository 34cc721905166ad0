"""Several faces keep their numbers."""

from __future__ import annotations

import numpy as np
import pytest

from rigid.face.group_tracker import GroupTracker
from tests.groups import FPS, People, Person, Place, frame_at, make_tracker, standing


def walking(start: float, pixels_a_second: float) -> Place:
    """A place on the way across the frame."""
    return lambda seconds: (start + pixels_a_second * seconds, 48.0)


def away_between(place: Place, begin: float, end: float) -> Place:
    """A place that is left for some seconds."""
    return lambda seconds: None if begin <= seconds < end else place(seconds)


def numbers_at(tracker: GroupTracker, until: float, begin: float = 0.0) -> list[dict[int, float]]:
    """Where the face with each number is, x in pixels, in every frame."""
    seen = []
    for number in range(round(begin * FPS), round(until * FPS)):
        found = tracker.track(frame_at(number / FPS), number / FPS)
        seen.append({key: float(face.landmarks.mean(0)[0]) for key, face in found.items()})
    return seen


def test_two_people_have_two_numbers_from_the_first_second_on() -> None:
    people = People(Person(standing(60)), Person(standing(190), side=70))
    seen = numbers_at(make_tracker(people), 3.0)
    assert seen[0].keys() == {1, 2}
    assert all(one.keys() == {1, 2} for one in seen)
    assert seen[-1][1] == pytest.approx(190, abs=1), "the larger came first"


def test_faces_that_are_followed_are_searched_for_once_a_second() -> None:
    people = People(Person(standing(60)), Person(standing(190)))
    numbers_at(make_tracker(people), 5.0)
    assert people.looks <= 6


@pytest.mark.parametrize("width", [1.0, 1.2])
def test_numbers_are_kept_where_one_passes_before_another(width: float) -> None:
    people = People(Person(walking(190, -30), width=width), Person(walking(60, 30), side=72))
    seen = numbers_at(make_tracker(people), 4.4)
    first, last = seen[0], seen[-1]
    near, far = (min(first, key=lambda key: first[key]), max(first, key=lambda key: first[key]))
    assert any(far not in one for one in seen), "the one behind was lost for a while"
    assert all(near in one for one in seen)
    assert last[near] == pytest.approx(60 + 30 * 4.35, abs=4)
    assert last[far] == pytest.approx(190 - 30 * 4.35, abs=4)
    assert set().union(*seen) == {near, far}


def test_whoever_comes_back_within_three_seconds_is_known_elsewhere_too() -> None:
    def place(seconds: float) -> tuple[float, float] | None:
        return (60.0, 48.0) if seconds < 1 else None if seconds < 3.5 else (100.0, 48.0)

    seen = numbers_at(make_tracker(People(Person(place, width=0.8), Person(standing(200)))), 5.0)
    assert seen[0].keys() == seen[-1].keys() == {1, 2}
    assert len(seen[round(2.0 * FPS)]) == 1


def test_whoever_comes_back_later_has_a_new_number_and_none_is_given_twice() -> None:
    people = People(Person(away_between(standing(60), 1.0, 5.0)), Person(standing(200), side=70))
    seen = numbers_at(make_tracker(people), 7.0)
    assert seen[0].keys() == {1, 2} and seen[-1].keys() == {1, 3}


def test_a_face_that_is_back_at_once_is_the_same_however_it_looks() -> None:
    leaving, coming = away_between(standing(60), 1.0, 99.0), away_between(standing(60), 0.0, 1.5)
    people = People(Person(leaving), Person(coming, width=1.5), Person(standing(200), side=70))
    assert numbers_at(make_tracker(people), 3.0)[-1].keys() == {1, 2}


def test_another_person_at_the_same_place_is_not_taken_for_the_first() -> None:
    leaving, coming = away_between(standing(60), 1.0, 99.0), away_between(standing(60), 0.0, 2.0)
    people = People(Person(leaving), Person(coming, width=1.5), Person(standing(200), side=70))
    assert numbers_at(make_tracker(people), 4.0)[-1].keys() == {1, 3}


def test_of_more_than_are_wanted_the_largest_are_followed_and_the_others_counted() -> None:
    people = People(Person(standing(40), side=40), Person(standing(120), side=50), Person(standing(210), side=60))
    tracker = make_tracker(people)
    seen = numbers_at(tracker, 1.5)[-1]
    assert sorted(round(x) for x in seen.values()) == [120, 210]
    assert tracker.beside == 1


def test_one_who_comes_near_takes_the_place_of_the_smallest() -> None:
    late = away_between(standing(210), 0.0, 1.0)
    people = People(Person(standing(40), side=40), Person(standing(120), side=50), Person(late, side=80))
    seen = numbers_at(make_tracker(people), 4.0)
    assert sorted(round(x) for x in seen[-1].values()) == [120, 210]


def test_whoever_is_first_seen_together_may_be_numbered_from_the_left() -> None:
    people = People(Person(standing(60)), Person(standing(190), side=70))
    seen = numbers_at(make_tracker(people, left_to_right=True), 0.5)[-1]
    assert seen[1] == pytest.approx(60, abs=1) and seen[2] == pytest.approx(190, abs=1)


def test_people_far_behind_are_left_alone() -> None:
    people = People(Person(standing(40), side=12), Person(standing(160), side=70))
    assert numbers_at(make_tracker(people), 2.0)[-1].keys() == {1}


def test_when_all_are_gone_the_next_is_found_again() -> None:
    people = People(Person(away_between(standing(100), 1.0, 2.0)))
    seen = numbers_at(make_tracker(people), 3.0)
    assert seen[-1].keys() == {1} and not seen[round(1.5 * FPS)]


def test_another_tracker_goes_on_with_the_same_numbers() -> None:
    people = People(Person(standing(60), width=0.8), Person(standing(190), side=70))
    first = make_tracker(people)
    before = numbers_at(first, 1.0)[-1]
    second = make_tracker(people)
    second.restore(first.places, first.last_number)
    after = numbers_at(second, 3.0, begin=2.5)[-1]
    assert after == pytest.approx(before, abs=1)


def test_a_frame_of_another_size_begins_anew_with_new_numbers() -> None:
    tracker = make_tracker(People(Person(standing(60))))
    numbers_at(tracker, 0.5)
    larger = np.pad(frame_at(0.5), ((0, 20), (0, 0), (0, 0)))
    assert tracker.track(larger, 0.5).keys() == {2}
