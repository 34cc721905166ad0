"""Which of MediaPipe's 478 face points are what; "left" and "right" are the picture's."""

from __future__ import annotations

import numpy as np

N_LANDMARKS = 478

# The whole rim of each eye: its mean lies where that of dlib's six eye points does, on which FFHQ was aligned.
LEFT_EYE = np.array([33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246])
RIGHT_EYE = np.array([263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466])
MOUTH_CORNERS = np.array([61, 291])

# fmt: off
FACE_OVAL = np.array([
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
])
# fmt: on
"""Clockwise from the top of the forehead."""
OUTER_LIPS = np.array([61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185])
"""Round the lips, from the left corner along the lower lip."""
INNER_LIPS, INNER_MOUTH_CORNERS = np.array([13, 14]), np.array([78, 308])
FOREHEAD_TOP, CHIN = 10, 152
CHEEKBONES = (234, 454)
OUTER_EYE_CORNERS = (33, 263)
BROWS_TOP = np.array([105, 334])
"""Midway along each brow's upper edge."""
