"""What an engine keeps on its device of arrays that lie on the host too, so that they need not go there again."""

from __future__ import annotations

import weakref

import numpy as np
from torch import Tensor

from rigid.arrays import Array


class DeviceCopies:
    """Copies on a device, found by the array on the host, or by some rows of it, for as long as that array lives.

    A stream's state holds what engines gave or were given for the frame before: the same arrays, or rows of them. Where
    it holds others (saved and loaded again, come from another engine, at its beginning), nothing is found, and they
    are uploaded. So sessions are not bound to an engine, and nothing has to be fetched to save them.
    """

    def __init__(self) -> None:
        self._entries: dict[int, tuple[weakref.ref[Array], Tensor]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def keep(self, array: Array, copy: Tensor) -> None:
        """`copy` holds what `array` does, (B, …); neither may be written to from here on."""
        key, entries = id(array), self._entries
        # Only this: what the entry itself refers to would keep it for ever.
        entries[key] = (weakref.ref(array, lambda _: entries.pop(key, None)), copy)

    def find(self, array: Array) -> Tensor | None:
        """The device's copy of `array`, float32 and contiguous; None where there is none."""
        for owner in (array, array.base):
            entry = self._entries.get(id(owner))
            if entry is not None and isinstance(owner, np.ndarray):
                return _rows(entry[1], owner, array)
        return None


def _rows(copy: Tensor, owner: Array, array: Array) -> Tensor | None:
    """Those of `copy` that `array`, a view of `owner`, holds; None where it holds anything but whole rows in order."""
    if array.shape[1:] != owner.shape[1:] or array.strides != owner.strides:
        return None
    # the axis of a single row may have no stride: what NumPy adds with None has none
    first, beside = divmod(_address(array) - _address(owner), owner.strides[0] or owner.nbytes)
    return None if beside else copy[first : first + len(array)]


def _address(array: Array) -> int:
    address: int = array.__array_interface__["data"][0]
    return address
