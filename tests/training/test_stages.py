"""The stages end to end, at the size of the `smoke` preset."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from rigid.assets.store import AssetStore
from rigid.reporting import say_nothing
from rigid.training.stages import Plan, plan, train
from tests.patience import LONG


@LONG
def test_the_generator_stage_trains_and_writes_a_wide_end(tmp_path: Path, store: AssetStore) -> None:
    measures = train(plan("generator", "smoke", None), store, tmp_path, resume=False, say=say_nothing)
    assert 0 < measures["mse"] < 0.2
    weights = load_file(tmp_path / "wide_generator.safetensors")
    assert all(value.dtype == torch.float16 for value in weights.values())
    assert (tmp_path / "generator.png").stat().st_size > 0
    assert json.loads((tmp_path / "training_options.json").read_text())["stage"] == "generator"


@pytest.mark.slow
def test_the_image_encoder_stage_begins_with_codes_and_goes_on_with_pictures(
    tmp_path: Path, store: AssetStore, faces: Path
) -> None:
    measures = train(plan("image-encoder", "smoke", faces), store, tmp_path, resume=False, say=say_nothing)
    assert measures["val_mse"] > 0 and load_file(tmp_path / "image_encoder.safetensors")
    assert len(logged(tmp_path, "codes")) == 6 and len(logged(tmp_path, "lpips")) == 3
    # a block of faces at first, one more after four steps
    assert len(list((tmp_path / "faces").iterdir())) == 2


@pytest.fixture(scope="module")
def visible_run(tmp_path_factory: pytest.TempPathFactory, store: AssetStore, footage: Path) -> Path:
    """The run folder of the smoke training of the visible net."""
    folder = tmp_path_factory.mktemp("visible")
    train(plan("visible-net", "smoke", footage), store, folder, resume=False, say=say_nothing)
    return folder


def logged(folder: Path, name: str) -> list[float]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [line[name] for line in lines if name in line]


@pytest.mark.slow
def test_the_visible_net_stage_learns(visible_run: Path) -> None:
    losses = logged(visible_run, "loss")
    assert len(losses) == 6 and np.mean(losses[-2:]) < np.mean(losses[:2])
    assert all((visible_run / name).stat().st_size for name in ("visible_net.png", "curves.png"))


def recurrent_plan(footage: Path, visible_run: Path) -> Plan:
    return plan("recurrent", "smoke", footage, visible=visible_run / "visible_net.safetensors")


@LONG
def test_the_recurrent_stage_learns_and_resumes_exactly(
    tmp_path: Path, store: AssetStore, footage: Path, visible_run: Path
) -> None:
    todo = recurrent_plan(footage, visible_run)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    measures = train(todo, store, whole, resume=False, say=say_nothing)
    assert 0 < measures["val_mse"] < 1 and 0 < measures["image_encoder_mse"] < 1
    assert all((whole / name).stat().st_size for name in ("recurrent.png", "curves.png"))
    for kept in (path for path in whole.iterdir() if path.is_dir() and path.name != "tensorboard"):
        shutil.copytree(kept, parts / kept.name)
    train(replace(todo, loop=replace(todo.loop, steps=3)), store, parts, resume=False, say=say_nothing)
    assert train(todo, store, parts, resume=True, say=say_nothing)["val_mse"] == measures["val_mse"]
    files = [load_file(folder / "recurrent_encoder.safetensors") for folder in (whole, parts)]
    assert all(torch.equal(value, files[1][name]) for name, value in files[0].items())


def test_data_without_a_face_is_refused(tmp_path: Path, store: AssetStore, faces: Path) -> None:
    shutil.copytree(faces, tmp_path / "faceless")
    (tmp_path / "faceless" / "aligned").rename(tmp_path / "faceless" / "clips")
    with pytest.raises(ValueError, match="shows a face for 4 frames on end"):
        train(
            plan("visible-net", "smoke", tmp_path / "faceless"), store, tmp_path / "run", resume=False, say=say_nothing
        )


def test_options_reach_the_stage_they_are_for(tmp_path: Path) -> None:
    flow, visible = tmp_path / "flow.pt2", tmp_path / "visible.safetensors"
    todo = plan("recurrent", "mobile-256", tmp_path, flow=flow, visible=visible, without=["tc"])
    described = json.loads(todo.describe())
    assert described["flow"] == str(flow) and described["visible"] == str(visible) and described["without"] == ["tc"]
    paper = json.loads(plan("recurrent", "rigid-256", tmp_path).describe())
    expected = {"frames": 6, "alpha": 0.8, "rec_weight": 1.0, "tc_weight": 2.0, "ibfcc_weight": 5.0}
    expected |= {"learning_rate": 1e-4, "final_rate": 1.0, "truncation": 1, "window": 256, "quiet": 0.0}
    assert expected.items() <= paper.items()
    assert json.loads(plan("visible-net", "rigid-256", tmp_path).describe())["steps"] == 100_000
    with pytest.raises(ValueError, match="visible-net takes no --without"):
        plan("visible-net", "smoke", tmp_path, without=["tc"])
    with pytest.raises(ValueError, match="--without has no 'l2'; choose of: ibfcc, tc"):
        plan("recurrent", "smoke", tmp_path, without=["l2"])


def test_a_run_is_not_overwritten(tmp_path: Path, store: AssetStore) -> None:
    (tmp_path / "checkpoint.pt").touch()
    with pytest.raises(ValueError, match="--resume"):
        train(plan("generator", "smoke", None), store, tmp_path, resume=False, say=say_nothing)


@pytest.mark.parametrize(
    ("stage", "preset", "named"),
    [("nose", "smoke", "generator"), ("generator", "huge", "mobile-256"), ("image-encoder", "smoke", "--data")],
)
def test_what_cannot_be_planned_is_told_with_the_choices(stage: str, preset: str, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        plan(stage, preset, None)


def test_the_parser_takes_real_faces_but_does_not_need_them(tmp_path: Path) -> None:
    given = [json.loads(plan("parser", "mobile-256", data).describe())["data"] for data in (None, tmp_path)]
    assert given == [None, str(tmp_path)]
