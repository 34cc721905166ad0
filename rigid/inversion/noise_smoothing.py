"""How the noise map n_t goes from frame to frame: where nothing moves it settles, where something does it follows.

The recurrent encoder sees what was wrong with the frame before (I_{t-1} beside O_{t-1}), not what had been done
about it. A map made of that alone would correct too much in every other frame and shimmer. Taken in parts, it comes
to rest where it leaves nothing to correct: a recursive filter that backs off where the picture moves.
"""

from __future__ import annotations

import cv2
import numpy as np

from rigid.arrays import Array

STILL, MOVING = 0.02, 0.1
"""Mean change of a patch's RGB, in [-1, 1] values, up to which it stands still, and from which on it moves."""
MOVING_SHARE = 0.6
"""How much of the newest map a moving place takes. With 0.7 everywhere four training clips began to swing (flicker
0.033), taking all of it they swung ten times as wide; 0.4 to 0.6 flickered by 0.0215, 0.55 everywhere by 0.0228."""


def settle(
    noise: Array, previous: Array | None, inputs: Array, previous_inputs: Array | None, newest_share: float
) -> Array:
    """The noise map to generate with, (B, C, R, R).

    `noise`, `previous`: what the encoder gives for this frame, and what the frame before was generated with;
    `inputs`, `previous_inputs`: their aligned faces (B, 3, S, S) in [-1, 1]. `newest_share`: how much of `noise`
    a still place takes; moving ones take `MOVING_SHARE`. Without a frame before, `noise` itself.
    """
    if previous is None or previous_inputs is None or newest_share == 1:
        return noise
    moving = np.clip((_change(inputs, previous_inputs, noise.shape[-1]) - STILL) / (MOVING - STILL), 0, 1)
    weight = (newest_share + (MOVING_SHARE - newest_share) * moving).astype(np.float32)
    mixed: Array = noise - previous
    mixed *= weight[:, None]
    mixed += previous
    return mixed


def _change(inputs: Array, previous: Array, side: int) -> Array:
    """The mean change of each of `side`² square patches, (B, side, side)."""
    batch, channels = inputs.shape[:2]
    # all channels below one another: OpenCV averages whole blocks several times faster than NumPy
    now, then = (pictures.reshape(-1, pictures.shape[-1]) for pictures in (inputs, previous))
    means = cv2.resize(cv2.absdiff(now, then), (side, batch * channels * side), interpolation=cv2.INTER_AREA)
    change: Array = means.reshape(batch, channels, side, side).mean(1)
    return change
