"""What an attribute does, as a row of small pictures: one generated face at a few strengths."""

from __future__ import annotations

import cv2
import numpy as np

from rigid.arrays import Array, Pixels
from rigid.edits.attribute import Attribute
from rigid.fields import to_pixels
from rigid.inversion.latents import add_edit
from rigid.models.contract import Runtime

STRIP_PICTURES = 5
SMALL_SIDE = 112
QUALITY = 88


def strip_strengths(attribute: Attribute, count: int = STRIP_PICTURES) -> list[float]:
    """The strengths shown, from the least natural one to the greatest."""
    return [float(strength) for strength in np.linspace(attribute.min, attribute.max, count)]


def render_face(runtime: Runtime, face: Array, attribute: Attribute, strength: float, side: int = SMALL_SIDE) -> Pixels:
    """RGB (side, side, 3): the face of the code `face` (512,) or (n_codes, 512) with `attribute` at `strength`."""
    sizes = runtime.sizes
    codes = np.broadcast_to(face, (1, sizes.n_codes, sizes.code_size)).astype(np.float32)
    edited = add_edit(codes, attribute.offset(strength, codes), sizes.n_shared_codes)
    image = runtime.synthesize(edited, np.zeros((1, *sizes.noise_shape), np.float32))[0]
    picture = to_pixels(image.transpose(1, 2, 0))
    small: Pixels = np.asarray(cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
    return small


def to_jpeg(pictures: list[Pixels]) -> bytes:
    """The pictures, RGB and equally high, beside each other as a JPEG."""
    row = np.concatenate(pictures, 1)
    _, data = cv2.imencode(".jpg", row[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return data.tobytes()
