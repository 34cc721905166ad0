from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from rigid.edits.attribute_file import read_attribute, rewrite_header, write_attribute
from rigid.edits.attribute_header import AttributeHeader
from rigid.edits.library import load_attribute

HEADER = AttributeHeader(
    name="smile",
    label="Smile",
    group="expression",
    source="made by hand",
    strength_scale=2.0,
    layers=(1, 2),
    min=-1.0,
    max=2.0,
    opposite=0.5,
    video_gain=1.25,
    effect="mouthSmile +0.4",
    measured={"smile": 0.4},
    family="stylegan2-ffhq-1024",
    measure="mouthSmile",
    target=0.4,
    identity=0.9,
    calibration={"generated faces": 0.41},
)


def test_one_direction_is_laid_on_its_layers(tmp_path: Path) -> None:
    path = tmp_path / "smile.safetensors"
    write_attribute(path, HEADER, np.array([1, 0, -3], np.float32))
    header, edit, *_ = read_attribute(path, n_codes=4, code_size=3)
    assert header == HEADER
    assert edit.dtype == np.float32
    np.testing.assert_array_equal(edit, [[0, 0, 0], [2, 0, -6], [2, 0, -6], [0, 0, 0]])


def test_a_region_that_is_not_stated_is_what_the_group_says(tmp_path: Path) -> None:
    path = tmp_path / "smile.safetensors"
    regions = {}
    for group, stated in (("age", ""), ("hair", ""), ("hair", "face")):
        older = asdict(replace(HEADER, group=group)) | {"region": stated}
        save_file({"direction": np.ones(3, np.float32)}, path, metadata={"attribute": json.dumps(older)})
        regions[group, stated] = read_attribute(path, n_codes=4, code_size=3).header.region
    assert list(regions.values()) == ["face", "hair", "face"]
    with pytest.raises(ValueError, match="there is no region 'nose'; choose one of: face, hair, lips, eyes"):
        write_attribute(path, replace(HEADER, region="nose"), np.ones(3, np.float32))


def test_a_direction_for_every_code_is_masked_by_the_layers(tmp_path: Path) -> None:
    path = tmp_path / "smile.safetensors"
    write_attribute(path, HEADER, np.arange(12, dtype=np.float32).reshape(4, 3))
    _, edit, *_ = read_attribute(path, n_codes=4, code_size=3)
    np.testing.assert_array_equal(edit, [[0, 0, 0], [6, 8, 10], [12, 14, 16], [0, 0, 0]])


def test_a_header_is_replaced_and_the_edit_kept(tmp_path: Path) -> None:
    path = tmp_path / "smile.safetensors"
    write_attribute(path, HEADER, np.array([1, 0, -3], np.float32))
    before = read_attribute(path, n_codes=4, code_size=3)
    rewrite_header(path, lambda header: replace(header, video_gain=0.5))
    after = read_attribute(path, n_codes=4, code_size=3)
    assert after.header == replace(HEADER, video_gain=0.5)
    np.testing.assert_array_equal(after.direction, before.direction)
    for video, motion in ((0.0, 0.0), (-1.0, 1.0), (1.0, -0.5)):
        with pytest.raises(ValueError, match="neither of video_gain and motion_gain may be below 0, nor both 0"):
            rewrite_header(path, lambda header: replace(header, video_gain=video, motion_gain=motion))  # noqa: B023
    assert read_attribute(path, n_codes=4, code_size=3).header == after.header


def test_an_attribute_may_bring_how_it_moves_the_landmarks(tmp_path: Path) -> None:
    path, motion = tmp_path / "jaw.safetensors", np.linspace(-0.5, 0.5, 1912, dtype=np.float32).reshape(2, 478, 2)
    write_attribute(path, HEADER, np.array([1, 0, -3], np.float32), motion=motion)
    rewrite_header(path, lambda header: replace(header, video_gain=0.0, motion_gain=0.8))
    stored = read_attribute(path, n_codes=4, code_size=3)
    assert stored.header.motion_gain == 0.8 and stored.direction.any()
    np.testing.assert_array_equal(stored.motion, motion)
    rewrite_header(path, lambda header: header, 2 * motion)
    np.testing.assert_array_equal(read_attribute(path, n_codes=4, code_size=3).motion, 2 * motion)
    with pytest.raises(ValueError, match=r"the motion is \(478, 2\), but landmarks take \(2, 478, 2\)"):
        rewrite_header(path, lambda header: header, motion[0])
    with pytest.raises(ValueError, match="by more than 1, the crop's side"):
        rewrite_header(path, lambda header: header, 3 * motion)
    with pytest.raises(ValueError, match="motion_gain is 101; give at most 100"):
        rewrite_header(path, lambda header: replace(header, motion_gain=101.0))
    with pytest.raises(ValueError, match="'motion' holds NaN"):
        rewrite_header(path, lambda header: header, np.full_like(motion, np.nan))
    with pytest.raises(ValueError, match="neither a direction nor a map"):
        write_attribute(tmp_path / "nothing.safetensors", HEADER, None, motion=motion)


def test_negative_strengths_may_have_a_direction_of_their_own(tmp_path: Path) -> None:
    path, back = tmp_path / "smile.safetensors", np.array([0, 5, 0], np.float32)
    write_attribute(path, HEADER, np.array([1, 0, -3], np.float32))
    rewrite_header(path, lambda header: header, back=back)
    attribute = load_attribute(path, n_codes=4, code_size=3)
    np.testing.assert_array_equal(attribute.offset(1.0)[1], [2, 0, -6])
    np.testing.assert_array_equal(attribute.offset(-0.5), 0.25 * np.array([[0] * 3, [0, 10, 0], [0, 10, 0], [0] * 3]))
    assert attribute.digest != replace(attribute, back=None).digest
    with pytest.raises(ValueError, match=r"the direction_back is \(2,\), but"):
        rewrite_header(path, lambda header: header, back=back[:2])
        read_attribute(path, n_codes=4, code_size=3)


@pytest.mark.parametrize("shape", [(2,), (3, 3), (1, 4, 3), ()])
def test_a_wrong_shape_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = tmp_path / "smile.safetensors"
    write_attribute(path, HEADER, np.ones(shape, np.float32))
    with pytest.raises(ValueError, match=r"smile\.safetensors.*direction is"):
        read_attribute(path, n_codes=4, code_size=3)


def test_too_late_a_layer_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "smile.safetensors"
    write_attribute(path, replace(HEADER, layers=(4,)), np.ones(3, np.float32))
    with pytest.raises(ValueError, match=r"smile\.safetensors: code 4"):
        read_attribute(path, n_codes=4, code_size=3)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_direction_that_is_not_finite_is_neither_written_nor_read(tmp_path: Path, bad: float) -> None:
    path = tmp_path / "smile.safetensors"
    direction = np.array([1, bad, 0], np.float32)
    with pytest.raises(ValueError, match=r"smile\.safetensors.*NaN"):
        write_attribute(path, HEADER, direction)
    assert not path.exists()
    save_file({"direction": direction}, path, metadata={"attribute": json.dumps(asdict(HEADER))})
    with pytest.raises(ValueError, match=r"smile\.safetensors.*NaN"):
        read_attribute(path, n_codes=4, code_size=3)


def test_a_direction_of_zeros_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="all zero"):
        write_attribute(tmp_path / "smile.safetensors", HEADER, np.zeros(3, np.float32))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"name": "Big Smile"}, "Big Smile"),
        ({"strength_scale": 0.0}, "strength_scale"),
        ({"opposite": 0.0}, "opposite"),
        ({"max": float("nan")}, "finite"),
        ({"min": 0.5}, "must hold 0"),
        ({"default": 3.0}, "default"),
        ({"layers": ()}, "layers"),
        ({"layers": (-1,)}, "layers"),
        ({"group": "mood"}, "group 'mood'; choose one of: expression"),
        ({"label": " "}, "label"),
        ({"effect": "x" * 501}, "500"),
        ({"target": float("inf")}, "target"),
        ({"calibration": {"clips": float("nan")}}, "calibration"),
        ({"codes": 65}, "codes"),
        ({"name": "s" * 41}, "name"),
        ({"min": 0.0, "max": 0.0}, "range"),
    ],
)
def test_a_senseless_header_is_refused(tmp_path: Path, change: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=rf"smile\.safetensors.*{problem}"):
        write_attribute(tmp_path / "smile.safetensors", replace(HEADER, **change), np.ones(3, np.float32))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": "smile"', '{"name": "smile", "layers": 3}'])
def test_a_broken_header_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "smile.safetensors"
    save_file({"direction": np.ones(3, np.float32)}, path, metadata={"attribute": text})
    with pytest.raises(ValueError, match=r"smile\.safetensors.*header"):
        read_attribute(path, n_codes=4, code_size=3)


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.safetensors"
    save_file({"weight": np.ones(3, np.float32)}, foreign)
    with pytest.raises(ValueError, match=r"foreign\.safetensors is not an attribute file"):
        read_attribute(foreign, n_codes=4, code_size=3)
    for content in (b"", b"PK\x03\x04 no safetensors at all", b"\xff" * 64):
        foreign.write_bytes(content)
        with pytest.raises(ValueError, match=r"foreign\.safetensors cannot be read"):
            read_attribute(foreign, n_codes=4, code_size=3)
    with pytest.raises(ValueError, match=r"missing\.safetensors cannot be read"):
        read_attribute(tmp_path / "missing.safetensors", n_codes=4, code_size=3)


@pytest.mark.parametrize("n_codes", [14, 16])
def test_a_direction_for_the_published_codes_serves_every_profile(tmp_path: Path, n_codes: int) -> None:
    path = tmp_path / "smile.safetensors"
    published = np.arange(18, dtype=np.float32)[:, None] + np.ones((18, 3), np.float32)
    header = replace(HEADER, codes=18, layers=(4, 5, 17), strength_scale=1.0)
    write_attribute(path, header, published)
    _, edit, *_ = read_attribute(path, n_codes=n_codes, code_size=3)
    # by resolution: the published codes 4 and 5 are the second convolution at 16² and the first at 32²
    expected = {14: {4: 5, 5: 6}, 16: {5: 5, 6: 6, 7: 6}}[n_codes]
    assert {code: float(row[0]) for code, row in enumerate(edit) if row.any()} == expected


def test_another_number_of_codes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "smile.safetensors"
    write_attribute(path, replace(HEADER, codes=14), np.ones(3, np.float32))
    with pytest.raises(ValueError, match=r"smile\.safetensors: it is made for a generator with 14 codes, .* has 16"):
        read_attribute(path, n_codes=16, code_size=3)


def test_another_generator_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "smile.safetensors"
    write_attribute(path, HEADER, np.ones(3, np.float32))
    with pytest.raises(ValueError, match="it is for the generator stylegan2-ffhq-1024, but this profile's is other"):
        read_attribute(path, n_codes=4, code_size=3, family="other")
    assert read_attribute(path, n_codes=4, code_size=3, family="stylegan2-ffhq-1024").header == HEADER
