"""What a descent sees of an edit is what the composite draws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from rigid.arrays import Array
from rigid.composite.compositor import Faces, compose
from rigid.composite.edit_masks import masks_by_parser
from rigid.discovery.shots import Shot, Shots
from rigid.discovery.shown import show
from rigid.edits.attribute_header import FEATURES
from rigid.edits.edit_effect import EditEffect
from rigid.fields import blur
from rigid.models.contract import CLASSES
from tests.worlds import landmarks_in_crop

SIZE = 256
CHANGES = {name: float(name in ("eyes", "brows")) for name in FEATURES}


def picture(random: np.random.Generator) -> Array:
    """Soft colours, (S, S, 3)."""
    return np.clip(blur(random.normal(0, 8, (SIZE, SIZE, 3)).astype(np.float32), 6), -1, 1)


def parts() -> Array:
    """A face with lips and eyes, (C, 64, 64)."""
    found = np.zeros((len(CLASSES), 64, 64), np.float32)
    names = np.zeros((64, 64), np.intp)
    names[8:60, 12:52] = CLASSES.index("skin")
    names[40:46, 22:42] = CLASSES.index("lips")
    names[24:28, 16:26] = names[24:28, 38:48] = CLASSES.index("eyes")
    np.put_along_axis(found, names[None], 1, 0)
    return found


def test_an_edit_is_shown_as_the_composite_draws_it() -> None:
    random = np.random.default_rng(0)
    real, inverted = picture(random), picture(random)
    edited = np.clip(inverted + 0.7 * picture(random), -1, 1)
    masks = replace(masks_by_parser(np.stack([parts()] * 2), real, hair=False), free=np.ones((SIZE, SIZE), np.float32))
    drawn = compose(
        "change", Faces(real, inverted, edited), masks, EditEffect(changes=CHANGES), landmarks_in_crop(SIZE)
    )
    planes = [np.ascontiguousarray(one.transpose(2, 0, 1)) for one in (real, inverted, edited)]
    codes = np.zeros((16, 512), np.float32)
    shots = Shots.of([Shot(planes[0], planes[1], codes, codes, masks, (128.0, 128.0, 200.0), 0.0)], CHANGES)
    shown = show(shots, [0], torch.from_numpy(planes[2])[None])[0].permute(1, 2, 0).numpy()
    inside = slice(16, -16)
    difference = np.abs(shown - drawn.over(real))[inside, inside]
    assert np.abs(drawn.over(real) - real).mean() > 0.05, "there is something to be seen"
    assert difference.mean() < 0.002 and np.quantile(difference, 0.99) < 0.02
