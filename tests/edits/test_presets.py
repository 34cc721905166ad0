from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rigid.edits.attribute import Attribute
from rigid.edits.library import AttributeLibrary
from rigid.edits.presets import SHIPPED, PresetStore, own_folder


def library(*names: str) -> AttributeLibrary:
    direction = np.ones((2, 3), np.float32)
    attributes = [
        Attribute(name, name.title(), "expression", -1.0, 1.0, 0.0, "strength", "made by hand", direction)
        for name in names or ("smile", "age", "mouth_open")
    ]
    return AttributeLibrary(attributes, n_codes=2, code_size=3)


def write(folder: Path, name: str, content: object) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")


def test_what_ships_is_readable_and_fits_the_attributes_that_ship() -> None:
    from rigid.edits.library import load_library

    store = PresetStore(load_library("mobile-256", custom=False), own=None)
    assert store.problems == []
    assert {preset.name for preset in store} == {path.stem for path in SHIPPED.glob("*.json")}
    assert all(preset.edits and not preset.custom for preset in store)


def test_a_users_own_come_after_and_may_not_take_a_name(tmp_path: Path) -> None:
    shipped, own = tmp_path / "shipped", tmp_path / "own"
    write(shipped, "happy", {"edits": {"smile": 1}})
    write(own, "happy", {"edits": {"smile": -1}})
    write(own, "a_mine", {"label": "Mine", "edits": {"age": 0.5}, "fade_ms": 0, "easing": "linear"})
    store = PresetStore(library(), own, shipped)
    assert [(preset.name, preset.custom) for preset in store] == [("happy", False), ("a_mine", True)]
    assert store["happy"].edits == {"smile": 1.0}
    assert store["happy"].label == "Happy"
    assert "happy.json" in store.problems[0]


def test_a_preset_of_attributes_that_are_not_there_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, "bearded", {"edits": {"beard": 1}})
    store = PresetStore(library(), None, tmp_path)
    assert list(store) == []
    assert "There is no attribute 'beard'" in store.problems[0]
    with pytest.raises(ValueError, match="no preset 'bearded'; choose from: none"):
        _ = store["bearded"]


def test_what_is_saved_is_there_the_next_time_and_can_be_removed(tmp_path: Path) -> None:
    own = tmp_path / "config" / "presets"
    store = PresetStore(library(), own, tmp_path)
    store.save("calm", {"label": "Calm", "edits": {"smile": -0.2}, "fade_ms": 1000})
    store.save("calm", {"label": "Calmer", "edits": {"smile": -0.4}})
    again = PresetStore(library(), own, tmp_path)
    assert [preset.describe() for preset in again] == [
        {
            "name": "calm",
            "label": "Calmer",
            "edits": {"smile": -0.4},
            "fade_ms": 800.0,
            "easing": "smooth",
            "custom": True,
        }
    ]
    again.remove("calm")
    assert list(again) == [] and list(own.iterdir()) == []
    with pytest.raises(ValueError, match="no preset 'calm'"):
        again.remove("calm")


def test_what_ships_can_be_neither_changed_nor_removed(tmp_path: Path) -> None:
    write(tmp_path, "happy", {"edits": {"smile": 1}})
    store = PresetStore(library(), tmp_path / "own", tmp_path)
    for change in (lambda: store.save("happy", {"edits": {"smile": 0}}), lambda: store.remove("happy")):
        with pytest.raises(ValueError, match="ships with the program"):
            change()
    with pytest.raises(ValueError, match="not kept here"):
        PresetStore(library(), None, tmp_path).save("mine", {"edits": {"smile": 1}})


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ([], "needs an object"),
        ({}, "needs an object"),
        ({"edits": []}, "needs an object"),
        ({"edits": {"smile": 7}}, "out of range"),
        ({"edits": {"smile": "1"}}, "not a number"),
        ({"edits": {}, "colour": 1}, "unknown key 'colour'"),
        ({"edits": {}, "fade_ms": -1}, "fade_ms"),
        ({"edits": {}, "fade_ms": float("nan")}, "fade_ms"),
        ({"edits": {}, "fade_ms": True}, "fade_ms"),
        ({"edits": {}, "easing": "bounce"}, "easing 'bounce'"),
        ({"edits": {}, "label": "\x00"}, "label"),
    ],
)
def test_a_bad_preset_is_refused_and_leaves_nothing(tmp_path: Path, content: Any, problem: str) -> None:
    store = PresetStore(library(), tmp_path, tmp_path / "none")
    with pytest.raises(ValueError, match=f"'odd'.*{problem}"):
        store.save("odd", content)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "odd.json").write_text(json.dumps(content), encoding="utf-8")
    assert list(PresetStore(library(), tmp_path, tmp_path / "none")) == []


@pytest.mark.parametrize("name", ["../odd", "Odd", "", "a b", "x" * 41])
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="lower case letters"):
        PresetStore(library(), tmp_path, tmp_path / "none").save(name, {"edits": {}})
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_json_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "odd.json").write_text("{", encoding="utf-8")
    (tmp_path / "large.json").write_text(" " * 70_000, encoding="utf-8")
    store = PresetStore(library(), tmp_path, tmp_path / "none")
    assert list(store) == [] and len(store.problems) == 2


def test_the_users_folder_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RIGID_LIVE_CONFIG", str(tmp_path))
    assert own_folder() == tmp_path / "presets"
    monkeypatch.delenv("RIGID_LIVE_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert own_folder() == tmp_path / "rigid-live" / "presets"
