"""A stream's saved state made small enough to be sent elsewhere every second, and back.

What the networks need of the last frame are pictures, which JPEG holds in a fortieth; the noise map only steadies one
frame beside the next, and is made anew within a few.
"""

from __future__ import annotations

import cv2
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from rigid.arrays import Array
from rigid.models.contract import PICTURES

QUALITY = 95
NOT_SENT = ("previous_noise",)
PACKED = "_jpeg"
"""What a picture's name ends with."""


def pack(state: bytes) -> bytes:
    """A smaller form of what `FaceStream.save` gave; other bytes as they are."""
    arrays = _arrays(state)
    if arrays is None or not any(name.endswith("rigid_live_state") for name in arrays):
        return state
    kept: dict[str, np.ndarray] = {}
    for name, value in arrays.items():
        # of several faces, each array has its face's number before its name
        own = name.rpartition("/")[2]
        if own in PICTURES:
            kept[f"{name}{PACKED}"] = _to_jpeg(value)
        elif own not in NOT_SENT:
            kept[name] = value
    return save(kept)


def unpack(data: bytes) -> bytes:
    """What `FaceStream.restore` takes, of what `pack` gave; other bytes as they are.

    Raises ValueError where a picture is damaged.
    """
    arrays = _arrays(data)
    if arrays is None or not any(name.endswith(PACKED) for name in arrays):
        return data
    return save(
        {
            name.removesuffix(PACKED): _from_jpeg(value) if name.endswith(PACKED) else value
            for name, value in arrays.items()
        }
    )


def _arrays(data: bytes) -> dict[str, np.ndarray] | None:
    try:
        return load(data)
    except (SafetensorError, ValueError, KeyError, TypeError, OverflowError):
        return None


def _to_jpeg(image: Array) -> np.ndarray:
    """(1, 3, S, S) in [-1, 1], RGB, as the bytes of a JPEG."""
    pixels = np.clip(image[0].transpose(1, 2, 0) * 127.5 + 127.5, 0, 255).round().astype(np.uint8)
    done, data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    assert done
    return np.asarray(data).reshape(-1)


def _from_jpeg(data: np.ndarray) -> Array:
    pixels = cv2.imdecode(data, cv2.IMREAD_COLOR)
    if pixels is None:
        raise ValueError("A picture of the saved stream state is damaged; start a new stream.")
    image = pixels[..., ::-1].astype(np.float32).transpose(2, 0, 1)[None] / 127.5 - 1
    return np.ascontiguousarray(image, np.float32)
