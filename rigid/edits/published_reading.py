"""Reads what a published file holds, arrays and containers of them, without running anything in it."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from rigid.arrays import Array
from rigid.edits.attribute_header import one_line

LARGEST_FILE = 1 << 30
NPY, ZIP = b"\x93NUMPY", b"PK\x03\x04"


def read_content(path: Path) -> Any:
    """Arrays, numbers, texts and containers of them in a file, by its first bytes; ValueError for any other file."""
    if not path.is_file():
        raise ValueError(f"there is no file {path}; name the one to import")
    if path.stat().st_size > LARGEST_FILE:
        raise ValueError(f"it is larger than {LARGEST_FILE >> 20} MiB, which no edit is")
    with path.open("rb") as file:
        start = file.read(16)
    if start.startswith(NPY) or (start.startswith(ZIP) and _is_npz(path)):
        return _read_numpy(path)
    if start[8:9] == b"{":
        return _read_safetensors(path)
    return _read_torch(path)


def _is_npz(path: Path) -> bool:
    """Whether a zip file is numpy's and not PyTorch's; ValueError where it would grow beyond all bounds."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError) as error:
        raise ValueError(f"it cannot be read ({error}); download it again") from error
    if sum(entry.file_size for entry in entries) > LARGEST_FILE:
        raise ValueError(f"unpacked it is larger than {LARGEST_FILE >> 20} MiB, which no edit is")
    return bool(entries) and all(entry.filename.endswith(".npy") for entry in entries)


def _read_numpy(path: Path) -> Any:
    try:
        content = np.load(path, allow_pickle=False)
        if isinstance(content, np.ndarray):
            return content
        with content:
            return {name: content[name] for name in content.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        if "pickle" in str(error).lower():
            raise ValueError("it holds Python objects, which could run code; save its numbers alone") from error
        raise ValueError(f"it cannot be read as a numpy file ({one_line(error)}); download it again") from error


def _read_safetensors(path: Path) -> dict[str, Array]:
    try:
        return load_file(path)
    except (SafetensorError, OSError, TypeError) as error:
        raise ValueError(f"it cannot be read as a safetensors file ({one_line(error)})") from error


def _read_torch(path: Path) -> Any:
    from rigid.checkpoints.reading import read_anything

    return _to_arrays(read_anything(path))


def _to_arrays(content: Any) -> Any:
    """`content` with PyTorch's tensors as arrays."""
    import torch

    if isinstance(content, torch.Tensor):
        return content.detach().float().cpu().numpy()
    if isinstance(content, Mapping):
        return {str(key): _to_arrays(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_to_arrays(value) for value in content]
    return content
