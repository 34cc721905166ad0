"""The arrays that all rooms speak of; what a function's are shaped like, its docstring says."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
"""Numbers as networks take and give them: pictures in [-1, 1], codes, flows, soft masks in [0, 1]."""
Pixels = NDArray[np.uint8]
"""Pictures with values from 0 to 255, mostly RGB (H, W, 3)."""
Region = NDArray[np.bool_]
"""Where in a picture something is, (H, W)."""
Labels = NDArray[np.uint8]
"""The class of each place of pictures, (..., H, W)."""
