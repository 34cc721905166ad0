"""The stages end to end, at the size of the `smoke` preset."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from rigid.assets import AssetStore
from rigid.training.stages import plan, train
from tests.clips import write_clip


def quietly(_: str) -> None:
    """Says nothing."""


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder as small as can be: a clip and a still to train on, a clip to validate on."""
    folder = tmp_path_factory.mktemp("faces")
    (folder / "aligned").mkdir()
    (folder / "stills").mkdir()
    clips = [{"name": "one", "split": "train"}, {"name": "two", "split": "val"}]
    for clip in clips:
        write_clip(folder / "aligned" / f"{clip['name']}.mp4", sound=None, size=(256, 256))
    cv2.imwrite(str(folder / "stills" / "three.jpg"), np.full((256, 256, 3), 120, np.uint8))
    stills = [{"name": "three", "split": "train"}]
    (folder / "index.json").write_text(json.dumps({"clips": clips, "stills": stills}))
    return folder


def test_the_generator_stage_trains_and_writes_what_ships(tmp_path: Path, store: AssetStore) -> None:
    measures = train(plan("generator", "smoke", None), store, tmp_path, resume=False, say=quietly)
    assert 0 < measures["mse"] < 0.2
    weights = load_file(tmp_path / "generator.safetensors")
    assert all(value.dtype == torch.float16 for value in weights.values())
    assert (tmp_path / "generator.png").stat().st_size > 0
    assert json.loads((tmp_path / "training_options.json").read_text())["stage"] == "generator"


def test_the_image_encoder_stage_resumes_exactly(tmp_path: Path, store: AssetStore, faces: Path) -> None:
    todo = plan("image-encoder", "smoke", faces)
    measures = train(todo, store, tmp_path / "whole", resume=False, say=quietly)
    assert measures["val_mse"] > 0
    first_half = replace(todo, loop=replace(todo.loop, steps=4))
    train(first_half, store, tmp_path / "parts", resume=False, say=quietly)
    train(todo, store, tmp_path / "parts", resume=True, say=quietly)
    whole, parts = (load_file(tmp_path / run / "image_encoder.safetensors") for run in ("whole", "parts"))
    assert whole.keys() == parts.keys()
    assert all(torch.equal(value, parts[name]) for name, value in whole.items())


def test_a_run_is_not_overwritten(tmp_path: Path, store: AssetStore) -> None:
    (tmp_path / "checkpoint.pt").touch()
    with pytest.raises(ValueError, match="--resume"):
        train(plan("generator", "smoke", None), store, tmp_path, resume=False, say=quietly)


@pytest.mark.parametrize(
    ("stage", "preset", "named"),
    [("nose", "smoke", "generator"), ("generator", "huge", "mobile-256"), ("image-encoder", "smoke", "--data")],
)
def test_what_cannot_be_planned_is_told_with_the_choices(stage: str, preset: str, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        plan(stage, preset, None)
