from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rigid.arrays import Array
from rigid.edits.attribute import Attribute
from rigid.edits.attribute_file import write_attribute
from rigid.edits.attribute_header import AttributeHeader
from rigid.edits.library import AttributeLibrary, load_library, read_library


def attribute(name: str, fill: float = 1.0, *, least: float = -1.0) -> Attribute:
    return Attribute(
        name=name,
        label=name.title(),
        group="expression",
        min=least,
        max=1.0,
        default=0.0,
        unit="strength",
        source="made by hand",
        direction=np.full((2, 3), fill, np.float32),
    )


def added(library: AttributeLibrary, edits: dict[str, float]) -> Array:
    """What `edits` add to any codes."""
    (offset,) = library.effect(edits).offsets
    return offset(np.zeros((1, *library.shape), np.float32))


@pytest.fixture
def library() -> AttributeLibrary:
    return AttributeLibrary([attribute("smile", 2), attribute("glasses", -1, least=0)], n_codes=2, code_size=3)


def test_attributes_are_found_by_name_in_order(library: AttributeLibrary) -> None:
    assert library.names == ["smile", "glasses"]
    assert [a.name for a in library] == library.names
    assert len(library) == 2
    assert "smile" in library and "frown" not in library
    assert library["glasses"].label == "Glasses"


def test_the_description_is_json_with_the_agreed_names(library: AttributeLibrary) -> None:
    described = json.loads(json.dumps(library.describe()))
    agreed = {"name", "label", "group", "min", "max", "default", "unit", "source"}
    assert [agreed <= set(entry) for entry in described] == [True, True]
    assert described[1]["min"] == 0
    assert [(entry["limit_min"], entry["limit_max"]) for entry in described] == [(-2, 2), (0, 2)]
    assert [entry["kind"] for entry in described] == ["direction", "direction"]
    assert described[0]["strip"].startswith("/api/v1/attributes/smile/strip.jpg?v=")
    assert described[0]["strip"].partition("=")[2] != described[1]["strip"].partition("=")[2]


def test_valid_edits_come_back_as_floats(library: AttributeLibrary) -> None:
    edits = library.validate({"smile": -1, "glasses": np.float32(0.5)})
    assert edits == {"smile": -1.0, "glasses": 0.5}
    assert all(type(value) is float for value in edits.values())
    assert library.validate({}) == {}


@pytest.mark.parametrize("value", [True, "1", None, [1], {}, 1j, np.bool_(True), np.complex64(1)])
def test_what_is_no_number_is_refused(library: AttributeLibrary, value: object) -> None:
    with pytest.raises(ValueError, match=r"'smile'.*number.*-2 to 2"):
        library.validate({"smile": value})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 10**400])
def test_what_is_not_finite_is_refused(library: AttributeLibrary, value: object) -> None:
    with pytest.raises(ValueError, match=r"'smile' is not a finite number"):
        library.validate({"smile": value})


@pytest.mark.parametrize(("name", "value"), [("smile", 2.01), ("smile", -3), ("glasses", -0.1)])
def test_out_of_range_is_refused(library: AttributeLibrary, name: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"'{name}'.*out of range; give a number from"):
        library.validate({name: value})


def test_what_is_beyond_the_natural_range_is_taken_and_flagged(library: AttributeLibrary) -> None:
    assert library.validate({"smile": -2, "glasses": 1.5}) == {"smile": -2.0, "glasses": 1.5}
    assert library.warnings({"smile": 1, "glasses": 0}) == []
    (said,) = library.warnings({"smile": -2, "glasses": 1})
    assert said.startswith("smile at -2 is beyond -1 to 1")


def test_together_edits_are_held_back_and_alone_they_are_not() -> None:
    strong = [attribute("smile", 10), attribute("age", 10), attribute("glasses", -10)]
    library = AttributeLibrary(strong, n_codes=2, code_size=3)
    alone = added(library, {"smile": 1.0})
    np.testing.assert_allclose(added(library, {"smile": 1.0, "age": 0.6}), alone, rtol=1e-6)
    np.testing.assert_allclose(added(library, {"smile": 1.0, "age": 1.0}), alone, rtol=1e-6)
    np.testing.assert_allclose(added(library, {"smile": 1.0, "glasses": 0.9}), 0.1 * alone, rtol=1e-5)
    np.testing.assert_array_equal(added(library, {"smile": 2.0}), 2 * alone)
    assert library.warnings({"smile": 1.0, "age": 1.0}) == [
        "Together the edits go further than a face bears; each is held back to 50%."
    ]


def test_one_more_attribute_is_offered_at_once(library: AttributeLibrary) -> None:
    listed = iter(library)
    library.add(attribute("frown"))
    assert [a.name for a in listed] == ["smile", "glasses"]
    assert library.names == ["smile", "glasses", "frown"]
    with pytest.raises(ValueError, match="two attributes named 'frown'"):
        library.add(attribute("frown"))


def test_an_unknown_name_is_refused_with_the_closest(library: AttributeLibrary) -> None:
    with pytest.raises(ValueError, match="'smle'; did you mean 'smile'"):
        library.validate({"smile": 1, "smle": 1})
    with pytest.raises(ValueError, match="choose from: smile, glasses"):
        library.validate({"zzz": 1})


def test_offsets_add_up(library: AttributeLibrary) -> None:
    offset = added(library, {"smile": 0.5, "glasses": 1})
    assert offset.dtype == np.float32
    np.testing.assert_array_equal(offset, np.zeros((2, 3)))
    np.testing.assert_array_equal(added(library, {"smile": -1, "glasses": 0}), np.full((2, 3), -2))
    np.testing.assert_array_equal(added(library, {}), np.zeros((2, 3)))


def test_warnings_tell_what_a_stream_holds_back() -> None:
    both = [attribute("smile", 4), attribute("age", 4)]
    assert AttributeLibrary(both, n_codes=2, code_size=3).warnings({"smile": 0.7, "age": 0.7}) == []
    longer = [replace(one, video_gain=2.0) for one in both]
    (said,) = AttributeLibrary(longer, n_codes=2, code_size=3).warnings({"smile": 0.7, "age": 0.7})
    assert said.endswith("each is held back to 51%.")


def test_the_way_back_may_be_shorter() -> None:
    short = replace(attribute("smile", 2), opposite=0.25)
    library = AttributeLibrary([short], n_codes=2, code_size=3)
    np.testing.assert_array_equal(added(library, {"smile": 1}), np.full((2, 3), 2))
    np.testing.assert_array_equal(added(library, {"smile": -1}), np.full((2, 3), -0.5))


def test_twins_and_wrong_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="two attributes named 'smile'"):
        AttributeLibrary([attribute("smile"), attribute("smile")], n_codes=2, code_size=3)
    with pytest.raises(ValueError, match=r"'smile' has a direction of \(2, 3\)"):
        AttributeLibrary([attribute("smile")], n_codes=2, code_size=4)


def write(path: Path, name: str, order: int = 0) -> Path:
    header = AttributeHeader(name, name.title(), "pose", "by hand", strength_scale=3.0, layers=(0,), order=order)
    write_attribute(path, header, np.ones(3, np.float32))
    return path


def test_files_become_a_library(tmp_path: Path) -> None:
    ordered = (("yaw", 1), ("smile", 2), ("roll", 1))
    paths = [write(tmp_path / f"{name}.safetensors", name, order) for name, order in ordered]
    library = read_library(paths, n_codes=2, code_size=3)
    assert library.names == ["roll", "yaw", "smile"]
    library = read_library(paths[1:], n_codes=2, code_size=3, custom=paths[:1])
    assert [(a.name, a.custom) for a in library] == [("roll", False), ("smile", False), ("yaw", True)]
    np.testing.assert_array_equal(library["yaw"].direction, [[3, 3, 3], [0, 0, 0]])


def test_an_imported_file_that_is_bad_is_left_out_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shipped = write(tmp_path / "yaw.safetensors", "yaw")
    for folder in ("same", "broken"):
        (tmp_path / folder).mkdir()
    same = write(tmp_path / "same" / "yaw.safetensors", "yaw")
    broken = tmp_path / "broken" / "roll.safetensors"
    broken.write_bytes(b"no file of ours")
    library = read_library([shipped], n_codes=2, code_size=3, custom=[same, broken])
    assert [(a.name, a.custom) for a in library] == [("yaw", False)]
    assert [str(path) in record.getMessage() for path, record in zip((same, broken), caplog.records, strict=True)] == [
        True,
        True,
    ]


def test_a_file_must_bear_its_attributes_name(tmp_path: Path) -> None:
    path = write(tmp_path / "yaw.safetensors", "roll")
    with pytest.raises(ValueError, match=r"yaw\.safetensors.*'roll'"):
        read_library([path], n_codes=2, code_size=3)


def test_an_unknown_profile_is_refused() -> None:
    with pytest.raises(ValueError, match="no-such-profile"):
        load_library("no-such-profile")
