"""What the numbers of a film's frames mean as colours, and the frames as RGB."""

from __future__ import annotations

import av
import av.filter
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation

from rigid.arrays import Pixels

SWS_FLAGS = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
"""Without accurate rounding the conversion to RGB darkens the picture by about 1/255."""
UNTAGGED = (0, 2)
"""AVCOL_SPC_RGB and AVCOL_SPC_UNSPECIFIED: the file does not say which matrix its luma and chroma follow."""
MATRICES = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}
"""The matrices by AVColorSpace, the number in the file's tags."""
BT2020 = 9
"""AVCOL_PRI_BT2020 and AVCOL_SPC_BT2020_NCL."""


def matrix_of(frame: av.VideoFrame, jpeg: bool = False) -> Colorspace:
    """The matrix the frame's colours follow: its tag, else BT.601 for JPEG and SD and BT.709 for HD."""
    if frame.colorspace not in UNTAGGED:
        return MATRICES.get(frame.colorspace, Colorspace.ITU709)
    if frame.color_primaries == BT2020:
        return Colorspace.BT2020
    high = is_high_definition(frame.width, frame.height) and not jpeg
    return Colorspace.ITU709 if high else Colorspace.ITU601


def is_high_definition(width: int, height: int) -> bool:
    """Whether a picture of this size counts as HD, so that BT.709 is meant where nothing is said."""
    return max(width, height) >= 1280 or min(width, height) >= 720


def is_full_range(frame: av.VideoFrame, jpeg: bool = False) -> bool:
    """Whether black is 0 and white the largest code; `jpeg` says that the codec is Motion JPEG."""
    return jpeg or frame.format.name.startswith("yuvj") or frame.color_range == ColorRange.JPEG


def to_rgb(frame: av.VideoFrame, jpeg: bool = False) -> Pixels:
    """The frame's signal as RGB (H, W, 3) uint8, not rotated; `jpeg` says that the codec is Motion JPEG."""
    return np.asarray(convert(frame, "rgb24", jpeg).to_ndarray(), np.uint8)


def convert(frame: av.VideoFrame, form: str, jpeg: bool) -> av.VideoFrame:
    return frame.reformat(
        format=form,
        src_colorspace=matrix_of(frame, jpeg),
        src_color_range=ColorRange.JPEG if is_full_range(frame, jpeg) else ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG,
        interpolation=SWS_FLAGS,
    )
