"""Edits that depend on the codes: against the same networks written in PyTorch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from torch import Tensor, nn

from rigid.arrays import Array
from rigid.edits.attribute_file import read_attribute, write_attribute
from rigid.edits.attribute_header import AttributeHeader
from rigid.edits.code_layouts import FROM_PUBLISHED, PUBLISHED_CODES, TO_PUBLISHED
from rigid.edits.code_map import CodeMap, MapPart
from rigid.edits.library import AttributeLibrary, load_attribute

SIZE = 6
RANDOM = np.random.default_rng(5)
HEADER = AttributeHeader(
    name="grin",
    label="Grin",
    group="expression",
    source="made by hand",
    strength_scale=0.5,
    layers=tuple(range(PUBLISHED_CODES)),
    codes=PUBLISHED_CODES,
)


def normal(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return RANDOM.standard_normal(shape).astype(np.float32)


def affine() -> tuple[MapPart, ...]:
    """One affine map a code, as the Latent-Transformer has."""
    n = PUBLISHED_CODES
    return (MapPart(tuple(range(n)), (normal(n, SIZE, SIZE),), (normal(n, SIZE),)),)


def levels() -> tuple[MapPart, ...]:
    """Two levels of four layers, as StyleCLIP's mappers have, without the fine one."""
    layers = [(tuple(normal(SIZE, SIZE) for _ in range(4)), tuple(normal(SIZE) for _ in range(4))) for _ in range(2)]
    spans = (range(4), range(4, 8))
    return tuple(MapPart(tuple(s), w, b, "leaky_relu", True) for s, (w, b) in zip(spans, layers, strict=True))


def in_torch(parts: tuple[MapPart, ...], codes: Tensor) -> Tensor:
    """(B, 18, D) → what is added, (B, 18, D)."""
    delta = torch.zeros_like(codes)
    for part in parts:
        x = codes[:, list(part.codes)]
        if part.normalise:
            x = x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)
        for weight, bias in zip(map(torch.from_numpy, part.weights), map(torch.from_numpy, part.biases), strict=True):
            x = torch.einsum("bki,koi->bko", x, weight.expand(x.shape[1], SIZE, SIZE)) + bias
            x = nn.functional.leaky_relu(x, 0.2) * 2**0.5 if part.activation == "leaky_relu" else x
        delta[:, list(part.codes)] = x
    return delta


@pytest.mark.parametrize("parts", [affine(), levels()], ids=["affine", "levels"])
@pytest.mark.parametrize("n_codes", [14, 16, 18])
def test_a_map_for_the_published_codes_serves_every_profile(
    tmp_path: Path, parts: tuple[MapPart, ...], n_codes: int
) -> None:
    path = tmp_path / "grin.safetensors"
    write_attribute(path, HEADER, None, parts)
    stored = read_attribute(path, n_codes=n_codes, code_size=SIZE)
    assert stored.code_map is not None and not stored.direction.any()
    codes = normal(3, n_codes, SIZE)
    same = tuple(range(n_codes))
    taken, given = TO_PUBLISHED.get(n_codes, same), FROM_PUBLISHED.get(n_codes, same)
    expected = 0.5 * in_torch(parts, torch.from_numpy(codes[:, taken]))[:, given]
    np.testing.assert_allclose(stored.code_map(codes), expected.numpy(), rtol=1e-4, atol=1e-5)


def test_only_the_layers_named_change(tmp_path: Path) -> None:
    path = tmp_path / "grin.safetensors"
    write_attribute(path, replace(HEADER, layers=(4, 5)), normal(PUBLISHED_CODES, SIZE), affine())
    attribute = load_attribute(path, n_codes=16, code_size=SIZE)
    codes = normal(1, 16, SIZE)
    assert [i for i, row in enumerate(attribute.offset(1.0, codes)[0]) if row.any()] == [5, 6, 7]
    assert attribute.kind == "map"
    assert attribute.code_map is not None
    np.testing.assert_allclose(
        attribute.offset(-2.0, codes), -2 * (attribute.direction + attribute.code_map(codes)), rtol=1e-6
    )


def test_the_way_there_and_back_agrees() -> None:
    for n_codes in (14, 16):
        taken, given = TO_PUBLISHED[n_codes], FROM_PUBLISHED[n_codes]
        assert len(taken) == PUBLISHED_CODES and len(given) == n_codes
        assert list(taken) == sorted(taken) and list(given) == sorted(given)
        convolutions = [code for code in range(n_codes) if n_codes == 14 or code == 0 or code % 3]
        assert [taken[given[code]] for code in convolutions] == convolutions


def test_a_map_and_a_direction_add_up_in_a_library(tmp_path: Path) -> None:
    for name, direction, parts in (("grin", None, affine()), ("smile", normal(SIZE), ())):
        write_attribute(tmp_path / f"{name}.safetensors", replace(HEADER, name=name), direction, parts)
    attributes = [load_attribute(path, n_codes=14, code_size=SIZE) for path in sorted(tmp_path.iterdir())]
    library = AttributeLibrary(attributes, n_codes=14, code_size=SIZE)
    codes = normal(2, 14, SIZE)
    both = library.effect({"grin": 0.1, "smile": 0.2}).offsets[0](codes)
    assert both.shape == codes.shape and both.dtype == np.float32
    alone = library["grin"].offset(0.1, codes) + library["smile"].offset(0.2)
    np.testing.assert_allclose(both, alone, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="'grin' depends on the codes"):
        library["grin"].offset(0.1)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"map.0.weight.0": normal(SIZE, SIZE + 1)}, r"'map.0.weight.0' is \(6, 7\), not \(6, 6\)"),
        ({"map.0.bias.0": normal(3, SIZE)}, r"'map.0.bias.0' is \(3, 6\)"),
        ({"map.7.weight.0": normal(SIZE, SIZE)}, "a tensor too many: 'map.7.weight.0'"),
        ({"map.0.bias.0": np.full(SIZE, np.nan, np.float32)}, "'map.0.bias.0' holds NaN"),
        ({"map.1.weight.3": None}, "lacks the tensor 'map.1.weight.3'"),
    ],
)
def test_a_map_that_does_not_fit_is_refused(tmp_path: Path, change: dict[str, Array | None], problem: str) -> None:
    path = tmp_path / "grin.safetensors"
    write_attribute(path, HEADER, None, levels())
    metadata = _metadata(path)
    tensors = {**load_file(path), **change}
    save_file({name: value for name, value in tensors.items() if value is not None}, path, metadata=metadata)
    with pytest.raises(ValueError, match=rf"grin\.safetensors: .*{problem}"):
        read_attribute(path, n_codes=14, code_size=SIZE)


@pytest.mark.parametrize("text", ["[]", "{}", "[3]", '[{"codes": [0]}]', "not json"])
def test_a_map_that_is_described_badly_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "grin.safetensors"
    write_attribute(path, HEADER, None, affine())
    save_file(load_file(path), path, metadata={**_metadata(path), "map": text})
    with pytest.raises(ValueError, match=r"grin\.safetensors: "):
        read_attribute(path, n_codes=14, code_size=SIZE)


def _metadata(path: Path) -> dict[str, str]:
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        found: dict[str, str] = file.metadata()
    return found


def test_half_a_network_costs_nothing_where_it_is_not_asked_for() -> None:
    counted: list[int] = []

    class Counted(MapPart):
        def __call__(self, codes: Array, kept: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> Array:
            counted.append(int(kept[list(self.codes)].sum()))
            return super().__call__(codes, kept)

    first, second = (Counted(p.codes, p.weights, p.biases, p.activation, p.normalise) for p in levels())
    carried = np.arange(PUBLISHED_CODES) < 2
    same = np.arange(PUBLISHED_CODES)
    CodeMap((first, second), same, same, carried)(normal(1, PUBLISHED_CODES, SIZE))
    assert counted == [2]
