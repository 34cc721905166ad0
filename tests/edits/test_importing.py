"""Edits in the forms that others publish: taken in exactly, or refused with the reason."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rigid.edits.attribute_file import write_attribute
from rigid.edits.attribute_header import AttributeHeader
from rigid.edits.code_layouts import FROM_PUBLISHED, TO_PUBLISHED
from rigid.edits.importing import ImportRequest, Target, import_attribute, parse_layers
from rigid.edits.library import load_attribute
from tests.edits.published import SIZE, Example, components, interfacegan, maps

FAMILY = "stylegan2-ffhq-1024"
REQUEST = ImportRequest(name="grin")


def target(folder: Path, n_codes: int = 16) -> Target:
    return Target(folder / "library", n_codes, SIZE, FAMILY)


def put(folder: Path, name: str, write: Callable[[Path], object]) -> Path:
    path = folder / name
    # through an open file, as numpy would add its own suffix to a name
    with path.open("wb") as file:
        write(file)  # type: ignore[arg-type]
    return path


@pytest.mark.parametrize("example", [*interfacegan(), *components(), *maps()], ids=lambda example: example.name)
@pytest.mark.parametrize("n_codes", [14, 16])
def test_what_is_published_adds_what_it_is_to_add(example: Example, n_codes: int, tmp_path: Path) -> None:
    path = put(tmp_path, example.name, example.write)
    request = replace(REQUEST, component=example.component, layers="0-11")
    attribute = import_attribute(path, request, target(tmp_path, n_codes))
    codes = torch.randn(2, n_codes, SIZE, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = example.edit(codes[:, TO_PUBLISHED[n_codes]])[:, FROM_PUBLISHED[n_codes]].clone()
    expected[:, [code > 11 for code in FROM_PUBLISHED[n_codes]]] = 0
    added = np.broadcast_to(attribute.offset(1.0, codes.numpy()), expected.shape)
    np.testing.assert_allclose(added, expected, rtol=1e-3, atol=2e-4)
    assert attribute.source == f"{example.kind}, imported from {example.name}"
    assert attribute.custom and attribute.group == "other" and attribute.label == "Grin"
    again = load_attribute(tmp_path / "library" / "grin.safetensors", n_codes=n_codes, code_size=SIZE, family=FAMILY)
    assert again.digest == attribute.digest


def test_a_strength_a_range_and_layers_are_as_asked(tmp_path: Path) -> None:
    path = put(tmp_path, "glasses.npy", lambda file: np.save(file, np.ones((1, SIZE))))
    request = ImportRequest("specs", "Spectacles", "accessories", "4,5", -2.0, one_way=True)
    attribute = import_attribute(path, request, target(tmp_path))
    assert (attribute.label, attribute.group, attribute.min, attribute.max) == ("Spectacles", "accessories", 0, 1)
    rows = {code: float(row[0]) for code, row in enumerate(attribute.direction) if row.any()}
    assert rows == {5: -2.0, 6: -2.0, 7: -2.0}


def test_files_of_this_project_are_taken_with_what_is_asked_of_them(tmp_path: Path) -> None:
    header = AttributeHeader("smile", "Smile", "expression", "by hand", 2.0, (1,), family=FAMILY, target=0.5)
    path = tmp_path / "smile.safetensors"
    write_attribute(path, header, np.ones(SIZE, np.float32))
    plain = import_attribute(path, ImportRequest(), target(tmp_path))
    assert (plain.name, plain.target, plain.direction[1, 0]) == ("smile", 0.5, 2.0)
    renamed = import_attribute(path, ImportRequest(name="grin", layers="0-1", strength=1.0), target(tmp_path))
    assert (renamed.name, renamed.label, renamed.direction[:3, 0].tolist()) == ("grin", "Smile", [1.0, 1.0, 0.0])
    with pytest.raises(ValueError, match="named 'grin' already"):
        import_attribute(path, ImportRequest(name="grin"), target(tmp_path))
    with pytest.raises(ValueError, match="named 'smile' already"):
        import_attribute(path, ImportRequest(), target(tmp_path))


def test_another_strength_moves_landmarks_as_much_further(tmp_path: Path) -> None:
    header = AttributeHeader("jaw", "Jaw", "shape", "by hand", 2.0, (1,), family=FAMILY, motion_gain=0.5)
    path, motion = tmp_path / "jaw.safetensors", np.stack((np.full((478, 2), 0.1), np.full((478, 2), -0.2)))
    write_attribute(path, header, np.ones(SIZE, np.float32), motion=motion.astype(np.float32))

    def moved(name: str, strength: float | None) -> list[float]:
        one = import_attribute(path, ImportRequest(name=name, strength=strength), target(tmp_path))
        assert one.motion is not None
        return [round(one.motion_gain * float(way[0, 0]), 3) for way in one.motion]

    assert moved("same", None) == [0.05, -0.1]
    assert moved("double", 4.0) == [0.1, -0.2]
    assert moved("contrary", -2.0) == [-0.1, 0.05]


class Harmful:
    """A pickle of it would make a folder."""

    def __init__(self, made: Path) -> None:
        self.made = made

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.made),)


@pytest.mark.parametrize("how", ["pickle", "torch", "numpy", "tensor inside"])
def test_a_pickle_that_carries_code_is_refused_and_not_run(tmp_path: Path, how: str) -> None:
    made = tmp_path / "made"
    harmful = Harmful(made)
    writers: dict[str, Callable[[Path], object]] = {
        "pickle": lambda file: pickle.dump(harmful, file),  # type: ignore[arg-type]
        "torch": lambda file: torch.save(harmful, file),
        "numpy": lambda file: np.save(file, np.array([harmful]), allow_pickle=True),
        "tensor inside": lambda file: torch.save({"eigvec": torch.eye(SIZE), "more": harmful}, file),
    }
    path = put(tmp_path, "smile.pt", writers[how])
    with pytest.raises(ValueError, match=r"smile\.pt.*could run code"):
        import_attribute(path, REQUEST, target(tmp_path))
    assert not made.exists()
    assert list((tmp_path / "library").iterdir()) == []


def broken(value: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    direction = np.ones((1, SIZE))
    direction[0, 3] = value
    return direction


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (np.ones((1, 511)), r"its values are \(1, 511\); a direction is \(1, 512\) or \(18, 512\)"),
        (np.ones(9088), r"its values are \(9088,\)"),
        (np.ones((14, SIZE)), "made for a generator with 14 codes, but this profile has 16"),
        (np.ones((80, SIZE)), "it holds 80 directions; say which with --component 0 to 79"),
        (broken(np.nan), "NaN or infinite"),
        (broken(np.inf), "NaN or infinite"),
        (np.zeros((1, SIZE)), "all zero"),
        (np.array(["smile"]), "not numbers"),
        (np.ones((1, SIZE), np.complex64), "not numbers"),
        (np.ones((0, SIZE)), "not numbers"),
    ],
)
def test_a_direction_that_cannot_be_is_refused(tmp_path: Path, content: np.ndarray, problem: str) -> None:
    path = put(tmp_path, "smile.npy", lambda file: np.save(file, content))
    with pytest.raises(ValueError, match=problem):
        import_attribute(path, REQUEST, target(tmp_path))
    assert list((tmp_path / "library").iterdir()) == []


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"latent_avg": torch.ones(3), "mean": torch.ones(3)}, "no published form of an edit is known that holds lat"),
        ({}, "holds nothing"),
        ([torch.ones(3)], "it holds a list"),
        ({"dense.0.weight": torch.ones(SIZE, SIZE)}, "lacks 'dense.0.bias'"),
        ({"dense.0.weight": torch.ones(3, 3), "dense.0.bias": torch.ones(3)}, r"is \(3, 3\), not \(512, 512\)"),
        ({"eigvec": torch.ones(SIZE, SIZE)}, "holds 512 directions; say which"),
        ({"comp": torch.ones(4, 1, SIZE)}, "holds 4 directions"),
    ],
)
def test_a_checkpoint_of_another_kind_is_refused(tmp_path: Path, content: object, problem: str) -> None:
    path = put(tmp_path, "what.pt", lambda file: torch.save(content, file))
    with pytest.raises(ValueError, match=rf"what\.pt.*{problem}"):
        import_attribute(path, REQUEST, target(tmp_path))


def test_a_component_that_is_not_there_is_refused(tmp_path: Path) -> None:
    example = components()[0]
    path = put(tmp_path, example.name, example.write)
    with pytest.raises(ValueError, match="no component 80; choose from 0 to 79"):
        import_attribute(path, replace(REQUEST, component=80), target(tmp_path))


@pytest.mark.parametrize(
    ("name", "generator"),
    [
        ("stylegan_ffhq_age_w_boundary.npy", "the first StyleGAN"),
        ("pggan_celebahq_smile_boundary.npy", "PGGAN"),
        ("stylegan3_ffhq_age.npy", "StyleGAN3"),
        ("boundary_z.npy", "the space Z"),
        ("car_wheels.npy", "a generator of other things than faces"),
    ],
)
def test_a_direction_for_another_generator_is_refused_by_its_name(tmp_path: Path, name: str, generator: str) -> None:
    path = put(tmp_path, name, lambda file: np.save(file, np.ones((1, SIZE))))
    with pytest.raises(ValueError, match=f"it is for {generator}"):
        import_attribute(path, REQUEST, target(tmp_path))
    assert import_attribute(path, replace(REQUEST, family=FAMILY), target(tmp_path)).name == "grin"


def test_a_mapper_for_another_resolution_is_refused(tmp_path: Path) -> None:
    import argparse

    content = {
        "state_dict": {"mapper.mapping.mapping.1.weight": torch.ones(1)},
        "opts": argparse.Namespace(stylegan_size=256),
    }
    path = put(tmp_path, "cat.pt", lambda file: torch.save(content, file))
    with pytest.raises(ValueError, match="trained for a generator of 256²"):
        import_attribute(path, replace(REQUEST, family=FAMILY), target(tmp_path))


@pytest.mark.parametrize("data", [b"", b"\x93NUMPY", b"PK\x03\x04 cut", b"\x80\x04garbage", b"text", b"12345678{"])
def test_a_damaged_file_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "smile.bin"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"smile\.bin"):
        import_attribute(path, REQUEST, target(tmp_path))


def test_a_file_that_unpacks_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rigid.edits.published_reading.LARGEST_FILE", 1 << 20)
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("lat_comp.npy", bytes((1 << 20) + 1))
    assert path.stat().st_size < 1 << 14
    with pytest.raises(ValueError, match=r"bomb\.npz: unpacked it is larger"):
        import_attribute(path, REQUEST, target(tmp_path))


@pytest.mark.parametrize("layers", ["", "a", "3-", "-1", "5-4", "18", "0-18", "1;2"])
def test_layers_that_make_no_sense_are_refused(layers: str) -> None:
    with pytest.raises(ValueError, match="The layers"):
        parse_layers(layers, 18)


def test_layers_are_ranges_and_numbers() -> None:
    assert parse_layers("4-6, 8,5", 18) == (4, 5, 6, 8)


@pytest.mark.parametrize("name", ["Grin", "../grin", "a b", ""])
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    path = put(tmp_path, "smile.npy", lambda file: np.save(file, np.ones((1, SIZE))))
    with pytest.raises(ValueError, match="lower case"):
        import_attribute(path, ImportRequest(name=name), target(tmp_path))


def test_in_its_own_process_it_tells_the_name_or_the_error(tmp_path: Path) -> None:
    path = put(tmp_path, "smile.npy", lambda file: np.save(file, np.ones((1, SIZE))))
    job = {"path": str(path), "request": {"name": "grin"}, "folder": str(tmp_path / "library"), "n_codes": 16}
    job |= {"code_size": SIZE, "family": FAMILY, "taken": []}
    assert told(job) == {"name": "grin"}
    assert "already" in told(job)["error"]


def told(job: dict[str, object]) -> dict[str, str]:
    command = [sys.executable, "-m", "rigid.edits.importing"]
    done = subprocess.run(command, input=json.dumps(job), capture_output=True, text=True, check=True)
    answer: dict[str, str] = json.loads(done.stdout)
    return answer
