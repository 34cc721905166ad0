"""Reading and writing still images."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from rigid.replacing import replacing

Pixels = NDArray[np.uint8]
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
_QUALITY = {
    ".jpg": [cv2.IMWRITE_JPEG_QUALITY, 95],
    ".jpeg": [cv2.IMWRITE_JPEG_QUALITY, 95],
    ".webp": [cv2.IMWRITE_WEBP_QUALITY, 95],
}


def is_image(path: Path) -> bool:
    """Whether the name says that `path` is a still image."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def read_image(path: Path) -> tuple[Pixels, Pixels | None]:
    """RGB (H, W, 3) uint8, upright, and the alpha channel (H, W) uint8 where there is one.

    ValueError when the file cannot be read as an image.
    """
    data = np.frombuffer(_bytes(path), np.uint8)
    image = _decode(data, cv2.IMREAD_COLOR_RGB)
    if image is None:
        raise ValueError(f"{path} is not an image that can be read (png, jpg or webp); check the file.")
    raw = _decode(data, cv2.IMREAD_UNCHANGED)
    if raw is None or raw.ndim != 3 or raw.shape != (*image.shape[:2], 4):
        return image, None
    return image, raw[:, :, 3] if raw.dtype == np.uint8 else (raw[:, :, 3] // 257).astype(np.uint8)


def write_image(path: Path, image: Pixels, alpha: Pixels | None = None) -> None:
    """Write RGB (H, W, 3) uint8, with `alpha` (H, W) where the format can hold it, whole or not at all."""
    suffix = path.suffix.lower()
    if alpha is None or suffix in (".jpg", ".jpeg"):
        pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    else:
        pixels = np.dstack([image[:, :, ::-1], alpha])
    _, data = cv2.imencode(suffix, pixels, _QUALITY.get(suffix, []))
    with replacing(path) as part:
        part.write_bytes(data.tobytes())


def _bytes(path: Path) -> bytes:
    data = path.read_bytes()
    if not data:
        raise ValueError(f"{path} is empty (0 bytes); give an image that holds a picture.")
    return data


def _decode(data: Pixels, flags: int) -> Pixels | None:
    try:
        image = cv2.imdecode(data, flags)
    except cv2.error:
        return None
    return None if image is None else np.asarray(image)
