"""Weight files that are missing, damaged or of another network: one sentence, and the fallback where there is one."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from cli.main import run
from rigid.assets.store import AssetError
from rigid.models import build
from rigid.models.contract import CLASSES
from rigid.models.face_parser import FaceParser
from rigid.models.graph_weights import check_weights
from rigid.models.profiles import WEIGHTS, mean_code, optional_networks, parser_file, sizes_of

PROFILE = "mobile-256"
DAMAGED = r"^The weights at \S+ are damaged or of another version; install rigid-live again\.$"


@pytest.fixture
def weights(own_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shipped weights, to be spoiled, with a face parser."""
    shutil.copytree(WEIGHTS / PROFILE, own_weights / PROFILE, ignore=shutil.ignore_patterns("attributes"))
    save_file(build.new_face_parser().state_dict(), parser_file())
    monkeypatch.setenv("RIGID_LIVE_CACHE", str(tmp_path / "cache"))
    return own_weights


def remove(path: Path) -> None:
    path.unlink()


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def change_shapes(path: Path) -> None:
    save_file({name: torch.zeros(3, *value.shape) for name, value in load_file(path).items()}, path)


def rename(path: Path) -> None:
    save_file({f"other.{name}": value for name, value in load_file(path).items()}, path)


SPOILS: list[Callable[[Path], None]] = [truncate, empty, change_shapes, rename]


def test_whole_weights_fit(weights: Path) -> None:
    assert check_weights(PROFILE) == []
    assert isinstance(build.find_face_parser(), FaceParser)


@pytest.mark.parametrize("spoil", SPOILS)
@pytest.mark.parametrize("name", ["image_encoder", "recurrent_encoder", "generator"])
def test_weights_that_do_not_fit_are_one_sentence(weights: Path, name: str, spoil: Callable[[Path], None]) -> None:
    spoil(weights / PROFILE / f"{name}.safetensors")
    (problem,) = check_weights(PROFILE)
    with pytest.raises(AssetError, match=DAMAGED):
        raise AssetError(problem)
    assert name in problem


@pytest.mark.parametrize("name", ["image_encoder", "generator"])
def test_missing_weights_are_one_sentence(weights: Path, name: str) -> None:
    (weights / PROFILE / f"{name}.safetensors").unlink()
    (problem,) = check_weights(PROFILE)
    assert problem.startswith(f"The {name.replace('_', ' ')} of {PROFILE} has no weights at {weights}")
    assert problem.endswith("; install rigid-live again.")


@pytest.mark.parametrize("spoil", [truncate, empty, rename])
def test_a_mean_code_that_cannot_be_read_is_one_sentence(weights: Path, spoil: Callable[[Path], None]) -> None:
    spoil(weights / PROFILE / "image_encoder.safetensors")
    with pytest.raises(AssetError, match=DAMAGED):
        mean_code(PROFILE)


@pytest.mark.parametrize("spoil", [remove, *SPOILS])
def test_without_a_face_parser_that_fits_there_is_none_and_the_log_says_why(
    weights: Path, spoil: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    spoil(parser_file())
    assert build.find_face_parser() is None
    (record,) = caplog.records
    assert str(parser_file()) in record.message
    assert record.message.endswith("install rigid-live again. Without it, faces are masked by their landmarks.")
    problem = "missing" if spoil is remove else "damaged or of another version"
    told = optional_networks(PROFILE, replace(sizes_of(PROFILE), n_classes=0))
    assert told["face_parser"] == f"{problem}: faces are masked by their landmarks"


def test_what_a_stream_can_do_without_is_told(weights: Path) -> None:
    assert sizes_of(PROFILE).n_classes == len(CLASSES)
    assert set(optional_networks(PROFILE, sizes_of(PROFILE)).values()) == {"ready"}
    (weights / PROFILE / "recurrent_encoder.safetensors").unlink()
    told = optional_networks(PROFILE, sizes_of(PROFILE))
    assert told == {"recurrent_encoder": "missing: each frame is inverted by itself", "face_parser": "ready"}
    assert check_weights(PROFILE) == []


def test_models_verify_looks_at_the_weights_too(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "verify"]) == 0
    shown = capsys.readouterr()
    assert [PROFILE, "networks", "ok"] in [line.split() for line in shown.out.splitlines()]
    assert "face parser" not in shown.err and "rigid-256" not in shown.out
    parser_file().unlink()
    assert run(["models", "verify"]) == 0
    assert "face parser is missing; faces are masked by their landmarks\n" in capsys.readouterr().err
    truncate(weights / PROFILE / "generator.safetensors")
    assert run(["models", "verify"]) == 1
    said = capsys.readouterr()
    assert "generator.safetensors are damaged or of another version" in said.out
    assert said.err.endswith(f"\nError: The networks of {PROFILE} lack weights that fit.\n")
