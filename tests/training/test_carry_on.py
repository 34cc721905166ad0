"""The encoders in turns, at the size of the `smoke` preset."""

from __future__ import annotations

import json
import shutil
from itertools import islice
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from rigid.assets.store import AssetStore
from rigid.reporting import Say, say_nothing
from rigid.training.carry_on import WEIGHTS_OF, carry_on, turns_in
from tests.patience import LONG


class Killed(BaseException):
    """Stands for a process that ends without a word."""


def dies_at(beginning: str) -> Say:
    def say(line: str) -> None:
        if line.startswith(beginning):
            raise Killed

    return say


@LONG
def test_both_encoders_take_turns_and_a_killed_one_ends_alike(tmp_path: Path, store: AssetStore, footage: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    said: list[str] = []
    carry_on("smoke", footage, store, whole, turns=2, say=said.append)
    shutil.copytree(whole / "material", parts / "material")
    with pytest.raises(Killed):
        carry_on("smoke", footage, store, parts, turns=1, say=dies_at("3/3"))
    # the stages' own tests hold the same of the recurrent encoder
    carry_on("smoke", footage, store, parts, turns=1, say=say_nothing)
    name = WEIGHTS_OF["image-encoder"]
    ours, theirs = (load_file(folder / "candidate" / name) for folder in (whole, parts))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(value, theirs[key]) for key, value in ours.items())
    first, second = islice(turns_in(whole), 2)
    assert first.finished and all((first.folder / name).stat().st_size for name in ("image_encoder.png", "curves.png"))
    # the recurrent encoder learned beside what the first turn gave
    options = json.loads((second.folder / "training_options.json").read_text())
    assert options["image_encoder"] == str(first.weights) and options["initial"] == "shipped"
    hours = json.loads((whole / "hours.json").read_text())
    assert {stage: entry["steps"] for stage, entry in hours.items()} == {"image-encoder": 3, "recurrent": 4}
    assert all(entry["core_hours"] > 0 for entry in hours.values())
    # a finished turn is not run again
    said.clear()
    carry_on("smoke", footage, store, whole, turns=2, say=said.append)
    assert not said


def test_an_unknown_preset_is_told_with_the_choices(tmp_path: Path, store: AssetStore) -> None:
    with pytest.raises(ValueError, match="carry-on has no preset 'huge'; choose one of: mobile-256"):
        carry_on("huge", None, store, tmp_path, turns=1, say=say_nothing)
