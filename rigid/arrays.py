"""The arrays that all rooms speak of; what a function's are shaped like, its docstring says."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
"""Numbers as networks take and give them: pictures in [-1, 1], codes, flows, soft masks in [0, 1]."""
Pixels = NDArray[np.uint8]
"""Pictures with values from 0 to 255, mostly RGB (H, W, 3)."""
Region = NDArray[np.bool_]
"""Where something is: (H, W) in a picture, (n,) in a row."""
Labels = NDArray[np.uint8]
"""The class of each place of pictures, (..., H, W)."""


def check_frame(frame: Pixels) -> None:
    """ValueError unless `frame` is uint8 RGB (H, W, 3) with pixels in it."""
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or 0 in frame.shape:
        raise ValueError(f"A frame is uint8 RGB (H, W, 3), but this one is {frame.dtype} {frame.shape}.")
