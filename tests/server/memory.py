"""How much memory this process uses, by two measures."""

from __future__ import annotations

import ctypes
import gc
import sys

import psutil

MEAN_BLOCK = 100
"""Bytes of an object in Python's own heap, about."""


def resident_mb() -> float:
    """What the system counts as this process's."""
    gc.collect()
    return psutil.Process().memory_info().rss / 2**20


class Allocated(ctypes.Structure):
    """What `mallinfo2` of the GNU C library tells, bytes."""

    _fields_ = [
        *((name, ctypes.c_size_t) for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks")),
        *((name, ctypes.c_size_t) for name in ("uordblks", "fordblks", "keepcost")),
    ]


def allocated_mb() -> float:
    """What is asked for and not given back, of the C library's heaps and of Python's own; what is free is not in it.

    The resident memory of a process is no measure of a leak: freed memory stays with it, cut up between the heaps of
    its threads, and how much that is differs from run to run.
    """
    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = Allocated
    gc.collect()
    heaps = mallinfo2()
    return float(heaps.uordblks + heaps.hblkhd + sys.getallocatedblocks() * MEAN_BLOCK) / 2**20
