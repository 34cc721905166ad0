"""What happens to the codes between the encoders and the generator: sharing the late ones, adding the edit."""

from __future__ import annotations

import numpy as np

from rigid.models.contract import Array


def share_late_codes(codes: Array, late_codes: Array | None, n_shared_codes: int) -> tuple[Array, Array]:
    """Eq. 3: keep a frame's early codes, take the late ones from the first frame of its stream.

    `codes` (B, n_codes, code_size); `late_codes` (B, n_shared_codes, code_size), None on the first frame.
    Returns the codes to synthesize and the late codes to hand to the next frame, both float32.
    """
    early, own_late = np.split(codes, [codes.shape[1] - n_shared_codes], axis=1)
    late = own_late.copy() if late_codes is None else late_codes
    return np.concatenate([early, late], axis=1), late


def add_edit(codes: Array, offset: Array, n_shared_codes: int) -> Array:
    """Eq. 5: move `codes` (B, n_codes, code_size) by `offset` (n_codes, code_size).

    The shared late codes stay as they are, as in the authors' training: they carry the texture that every
    frame has in common, and an edit there would change grain and colour rather than the face.
    """
    edited = codes.copy()
    n_early = codes.shape[1] - n_shared_codes
    edited[:, :n_early] += offset[:n_early]
    return edited
