"""What a checkpoint must be to be imported, and what is said of one that is not."""

from __future__ import annotations

import argparse
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from rigid.checkpoints import CheckpointError, Family, import_checkpoint
from rigid.checkpoints.reading import Published, read_checkpoint
from rigid.models.profiles import PAPER, weights_files


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RIGID_LIVE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def saved(content: object, tmp_path: Path) -> Path:
    path = tmp_path / "some.pt"
    torch.save(content, path)
    return path


def said_of(content: object, family: Family, tmp_path: Path) -> str:
    """The sentence with which an import is refused; nothing may have been written."""
    with pytest.raises(CheckpointError) as caught:
        import_checkpoint(saved(content, tmp_path), family)
    assert not weights_files(PAPER)
    return str(caught.value)


def layers(names: str, count: int) -> dict[str, torch.Tensor]:
    return {names.format(i): torch.zeros(1) for i in range(count)}


class Trap:
    """Leaves a trace where it is unpickled."""

    def __init__(self, trace: Path):
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.trace),)


def test_code_in_a_file_never_runs(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    assert "which could run code" in said_of({"g_ema": {}, "extra": Trap(trace)}, "stylegan2", tmp_path)
    assert not trace.exists()


def test_saved_command_line_options_are_read(tmp_path: Path) -> None:
    options = argparse.Namespace(size=256)
    assert read_checkpoint(saved({"opts": options}, tmp_path)) == {"opts": options}


def test_files_of_old_pytorch_are_read(tmp_path: Path) -> None:
    path = tmp_path / "old.pt"
    torch.save({"a": torch.ones(2)}, path, _use_new_zipfile_serialization=False)
    assert torch.equal(read_checkpoint(path)["a"], torch.ones(2))


@pytest.mark.parametrize("data", [b"", b"not a checkpoint", pickle.dumps(None)[:3], b"PK\x03\x04 half a zip"])
def test_what_is_no_checkpoint_is_called_so(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "some.pt"
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="some.pt .*is damaged; download it again"):
        import_checkpoint(path, "e4e")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="There is no file .*nowhere.pt"):
        import_checkpoint(tmp_path / "nowhere.pt", "e4e")


def test_a_list_is_no_checkpoint(tmp_path: Path) -> None:
    assert said_of([1], "e4e", tmp_path) == "some.pt holds a list, not a checkpoint's dictionary."


def test_another_family_is_named(tmp_path: Path) -> None:
    e4e = {"state_dict": layers("encoder.styles.{}.linear.bias", 14), "latent_avg": torch.zeros(512)}
    expected = "some.pt holds an e4e encoder, not a StyleGAN2 generator; import it with --as e4e."
    assert said_of(e4e, "stylegan2", tmp_path) == expected


def test_an_unknown_checkpoint_shows_its_keys(tmp_path: Path) -> None:
    sentence = said_of({"model": {}, "epoch": 3}, "rigid", tmp_path)
    assert sentence.endswith("(stylegan2, e4e, rigid, visible); its keys begin with 'model', 'epoch'.")


@pytest.mark.parametrize(("levels", "side"), [(8, 1024), (5, 128)])
def test_a_generator_of_another_size_is_named(levels: int, side: int, tmp_path: Path) -> None:
    sentence = said_of({"g_ema": layers("to_rgbs.{}.bias", levels)}, "stylegan2", tmp_path)
    assert sentence == f"The generator in some.pt makes {side}² images; this profile needs one for 256²."


def test_an_encoder_of_another_size_is_named(tmp_path: Path) -> None:
    content = {"state_dict": layers("encoder.styles.{}.linear.bias", 18), "latent_avg": torch.zeros(18, 512)}
    expected = "The encoder in some.pt gives 18 codes, for 1024² images; this profile has 14, for 256²."
    assert said_of(content, "e4e", tmp_path) == expected


def test_an_encoder_without_its_mean_code_is_refused(tmp_path: Path) -> None:
    content = {"state_dict": layers("encoder.styles.{}.linear.bias", 14)}
    assert said_of(content, "e4e", tmp_path).startswith("some.pt lacks the key 'latent_avg'")


def test_keys_of_neither_encoder_nor_decoder_are_named(tmp_path: Path) -> None:
    content = {"state_dict": layers("encoder.styles.{}.linear.bias", 14) | {"head.bias": torch.zeros(1)}}
    assert "'head.bias' is of neither encoder nor decoder" in said_of(content, "e4e", tmp_path)


def test_another_profile_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="are for the profile rigid-256; mobile-256 has weights of its own"):
        import_checkpoint(saved({}, tmp_path), "e4e", "mobile-256")
    with pytest.raises(ValueError, match="no profile 'rigid-512'"):
        import_checkpoint(saved({}, tmp_path), "e4e", "rigid-512")


def test_every_entry_must_be_there_once_and_fit() -> None:
    entries = {"module.a": torch.zeros(2, 3), "b": torch.tensor([1.0, float("nan")]), "c": [1], "d": torch.zeros(1)}
    source = Published(entries, "The net")
    with pytest.raises(CheckpointError, match="^The net lacks the key 'e'.$"):
        source.take("e", (1,))
    with pytest.raises(CheckpointError, match=r"^The net: 'a' has the shape \(2, 3\), not \(3, 2\).$"):
        source.take("a", (3, 2))
    with pytest.raises(CheckpointError, match="'b' holds values that are not finite"):
        source.take("b", (2,))
    with pytest.raises(CheckpointError, match="'c' is a list, not a tensor"):
        source.take("c", (1,))
    with pytest.raises(CheckpointError, match="^The net has a key too many: 'd'.$"):
        source.finish()
    assert source.take("d", (1,)).dtype == torch.float32
    source.finish()
