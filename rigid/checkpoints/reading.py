"""Published PyTorch checkpoints, read without running any code that a file may hold."""

from __future__ import annotations

import argparse
import pickle
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rigid.models.filters import TAPS


class CheckpointError(ValueError):
    """A checkpoint cannot be used; the text is one sentence for the user."""


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What `torch.save` wrote to `path`: tensors, numbers, texts and containers of them, nothing that runs."""
    content = read_anything(path)
    if not isinstance(content, dict):
        raise CheckpointError(f"{path.name} holds a {type(content).__name__}, not a checkpoint's dictionary.")
    return content


def read_anything(path: Path) -> Any:
    """Read as `read_checkpoint` does, for files that hold a tensor alone, or a list of them, too."""
    if not path.is_file():
        raise CheckpointError(f"There is no file {path}; name the checkpoint to import.")
    try:
        return _load(path)
    except pickle.UnpicklingError as error:
        raise CheckpointError(f"{path.name} is not read: {_reason(error)}.") from error
    except (RuntimeError, EOFError, ValueError, KeyError, AttributeError, TypeError, IndexError) as error:
        raise CheckpointError(f"{path.name} is no PyTorch checkpoint, or is damaged; download it again.") from error


def _load(path: Path) -> Any:
    # e4e and RIGID save their command line options, which are data and no more.
    with torch.serialization.safe_globals([argparse.Namespace]), warnings.catch_warnings():
        # Of a newer pickle protocol: what cannot be read is refused all the same.
        warnings.simplefilter("ignore", UserWarning)
        try:
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError as error:
            # Files of before PyTorch 1.6 cannot be mapped into memory.
            if "mmap" not in str(error):
                raise
            return torch.load(path, map_location="cpu", weights_only=True)


def _reason(error: pickle.UnpicklingError) -> str:
    """What the safe reader objects to, without its advice to read the file unsafely."""
    text = str(error)
    for mark in ("Unsupported global: GLOBAL ", "GLOBAL "):
        if mark in text:
            name = text.split(mark, 1)[1].split()[0]
            return f"besides tensors it holds {name}, which could run code; save its state dict alone and import that"
    # the frame that pickles of protocol 4 and later begin with, and PyTorch's never do
    if "Unsupported operand 149" in text:
        return (
            "it is no PyTorch checkpoint but another pickle, or damaged; a pickle could run code, so save tensors alone"
        )
    return "it is no PyTorch checkpoint, or is damaged; download it again"


class Published:
    """A published state dict, whose every entry must be taken exactly once and in the shape expected."""

    def __init__(self, tensors: Mapping[str, Any], what: str):
        """`tensors` by name, with or without `module.` in front; `what` they are, for messages."""
        self.what = what
        self._left = {name.removeprefix("module."): value for name, value in tensors.items()}

    def take(self, name: str, shape: Iterable[int]) -> Tensor:
        """The entry `name` as float32; CheckpointError when it is missing, of another shape or not finite."""
        if name not in self._left:
            raise CheckpointError(f"{self.what} lacks the key {name!r}.")
        value, expected = self._left.pop(name), tuple(shape)
        if not isinstance(value, Tensor):
            raise CheckpointError(f"{self.what}: {name!r} is a {type(value).__name__}, not a tensor.")
        if tuple(value.shape) != expected:
            raise CheckpointError(f"{self.what}: {name!r} has the shape {tuple(value.shape)}, not {expected}.")
        value = value.detach().float()
        if not value.isfinite().all():
            raise CheckpointError(f"{self.what}: {name!r} holds values that are not finite.")
        return value

    def drop(self, name: str) -> None:
        """Leave out an entry that says nothing, where it is there."""
        self._left.pop(name, None)

    def check_filter(self, name: str, gain: float) -> None:
        """CheckpointError when the fixed filter `name` is there and is not (1, 3, 3, 1) along both axes."""
        value, taps = self._left.pop(name, None), torch.tensor(TAPS)
        if isinstance(value, Tensor) and not (
            value.shape == (4, 4) and torch.allclose(value.float(), gain * torch.outer(taps, taps))
        ):
            raise CheckpointError(f"{self.what}: {name!r} is another filter than StyleGAN2's (1, 3, 3, 1).")

    def finish(self) -> None:
        """CheckpointError when an entry is left that nothing asked for."""
        if self._left:
            more = f" and {len(self._left) - 1} more" if len(self._left) > 1 else ""
            raise CheckpointError(f"{self.what} has a key too many: {next(iter(self._left))!r}{more}.")
