"""Edits for one face of several."""

from __future__ import annotations

from rigid.edits.face_edits import edits_of_face, join_faces, part_faces


def test_a_face_has_its_own_strengths_and_those_for_all() -> None:
    edits = {"smile": 1.0, "2:smile": -0.5, "2:age": 1.0}
    assert edits_of_face(edits, 1) == {"smile": 1.0}
    assert edits_of_face(edits, 2) == {"smile": -0.5, "age": 1.0}


def test_what_is_parted_is_joined_again() -> None:
    edits = {"smile": 1.0, "2:smile": -0.5, "10:age": 1.0}
    shared, single = part_faces(edits)
    assert (shared, single) == ({"smile": 1.0}, {2: {"smile": -0.5}, 10: {"age": 1.0}})
    assert join_faces(shared, single) == edits


def test_a_name_with_no_number_before_it_is_meant_for_all() -> None:
    assert part_faces({"x:smile": 1.0}) == ({"x:smile": 1.0}, {})
