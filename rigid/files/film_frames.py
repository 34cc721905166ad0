"""The frames of an edited film: those that were decoded, changed where the edit changed them."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from rigid.arrays import Pixels
from rigid.files.film_colours import FilmColours, change_of
from rigid.files.film_formats import Encoding, Format
from rigid.files.frame_colours import BT2020, SWS_FLAGS, is_full_range, is_high_definition, matrix_of
from rigid.files.notes import Notes
from rigid.files.planes import Planes, planes_of
from rigid.files.video_reader import Picture, VideoReader

BT709 = 1
"""AVCOL_PRI_BT709 and AVCOL_TRC_BT709."""
TAGS = {Colorspace.ITU709: 1, Colorspace.FCC: 4, Colorspace.ITU601: 6, Colorspace.SMPTE240M: 7, Colorspace.BT2020: 9}
"""AVColorSpace by swscale's matrix."""


class FrameMaker:
    """Makes the frames to encode, all of the first one's size and colours."""

    def __init__(
        self, reader: VideoReader, form: Format, encoding: Encoding, first: Picture, *, compare: bool, notes: Notes
    ) -> None:
        """`compare` shows each picture on the left of its edit; `notes` takes what cannot be kept."""
        assert first.frame is not None
        self._reader, self._format, self._encoding = reader, form, encoding
        self._compare, self._notes, self._first = compare, notes, first
        height, width = first.image.shape[:2]
        self._size = (width * (1 + compare), height)
        self._matrix, self._full_range = self._matrix_and_range(first.frame)
        self._range = ColorRange.JPEG if self._full_range else ColorRange.MPEG

    @property
    def padded_size(self) -> tuple[int, int]:
        """Width and height of what is encoded: even where the format wants it."""
        width, height = self._size
        return (width + width % 2, height + height % 2) if self._format.even_size else (width, height)

    def describe(self, encoder: av.VideoCodecContext) -> None:
        """Tell an encoder of the size, the pixels and the colours of the frames it will get."""
        frame = self._first.frame
        assert frame is not None
        encoder.width, encoder.height = self.padded_size
        encoder.pix_fmt = self._encoding.pixel_format
        if self._encoding.in_own_colours:
            encoder.color_primaries, encoder.color_trc = frame.color_primaries, frame.color_trc
        else:
            encoder.color_primaries = encoder.color_trc = BT709
        encoder.colorspace, encoder.color_range = TAGS[self._matrix], self._range
        encoder.sample_aspect_ratio = self._pixel_aspect()

    def make(self, edited: Pixels, picture: Picture) -> av.VideoFrame:
        """The frame of `edited`, which is `picture.image` with its edit."""
        assert picture.frame is not None
        if self._format.full_range:
            return self._fit(self._from_rgb(np.hstack([picture.image, edited]) if self._compare else edited))
        return self._fit(self._from_planes(edited, picture, picture.frame))

    def _matrix_and_range(self, frame: av.VideoFrame) -> tuple[Colorspace, bool]:
        """Those of the film; Motion JPEG is always read as full range and BT.601, and what was RGB is as its size."""
        if self._format.full_range:
            return Colorspace.ITU601, True
        if frame.format.is_rgb or len(frame.format.components) < 3:
            by_size = Colorspace.ITU709 if is_high_definition(*self._size) else Colorspace.ITU601
            return (matrix_of(frame) if frame.color_primaries == BT2020 else by_size), False
        jpeg = self._reader.is_jpeg
        return matrix_of(frame, jpeg), is_full_range(frame, jpeg)

    def _pixel_aspect(self) -> Fraction:
        """The shape of the input's pixels, turned with the picture; 0 where it is not known."""
        aspect = self._reader.stream.codec_context.sample_aspect_ratio
        if not aspect or aspect <= 0:
            return Fraction(0)
        return 1 / aspect if self._first.turn.sideways else aspect

    def _from_rgb(self, image: Pixels) -> av.VideoFrame:
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        return frame.reformat(
            format=self._encoding.pixel_format,
            dst_colorspace=self._matrix,
            src_color_range=ColorRange.JPEG,
            dst_color_range=self._range,
            interpolation=SWS_FLAGS,
        )

    def _from_planes(self, edited: Pixels, picture: Picture, source: av.VideoFrame) -> av.VideoFrame:
        before = self._planes(source, picture).turn(*picture.turn)
        colours = FilmColours(source.color_trc, source.color_primaries)
        after = before.patch(picture.image, edited, change_of(colours))
        return (before.beside(after) if self._compare else after).as_frame()

    def _planes(self, source: av.VideoFrame, picture: Picture) -> Planes:
        """The source's planes in the pixel format of the output, or in one of whole chroma where it will be turned."""
        working = self._encoding.pixel_format
        if picture.turn.sideways:
            working = working.replace("422", "444")
        hidden = any(part.is_alpha for part in source.format.components) and not working.startswith("yuva")
        if hidden:
            working = working.replace("yuv", "yuva").replace("12le", "10le")
        if source.format.name != working:
            source = self._reformat(source, working)
        planes = planes_of(source, TAGS[self._matrix], self._full_range)
        if not hidden:
            return planes
        if planes.parts[3].min() < (1 << planes.bits) - 1:
            container = self._format.container
            self._notes.add(f"The {container} format holds no transparency; what was transparent is black.")
        return planes.on_black()

    def _reformat(self, source: av.VideoFrame, form: str) -> av.VideoFrame:
        jpeg = self._reader.is_jpeg
        full = is_full_range(source, jpeg) or source.format.is_rgb
        return source.reformat(
            format=form,
            src_colorspace=matrix_of(source, jpeg) if not source.format.is_rgb else self._matrix,
            dst_colorspace=self._matrix,
            src_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
            dst_color_range=self._range,
            interpolation=SWS_FLAGS,
        )

    def _fit(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Bring a frame to the video's pixel format and size: an odd one filled up, another one between black bars."""
        width, height = self._size
        same = (frame.width, frame.height) == self._size
        if not same:
            self._notes.add(
                "The picture's size changes in the film; it was fitted into the first one's, between black bars."
            )
            scale = min(width / frame.width, height / frame.height)
            inner = [max(2, round(side * scale / 2) * 2) for side in (frame.width, frame.height)]
            frame = self._scale(frame, min(inner[0], width), min(inner[1], height))
        elif frame.format.name != self._encoding.pixel_format:
            frame = self._scale(frame, width, height)
        if (frame.width, frame.height) == self.padded_size:
            return frame
        planes = planes_of(frame, TAGS[self._matrix], self._full_range)
        if not same:
            planes = planes.pad(width, height, centred=True)
        return planes.pad(*self.padded_size, centred=False).as_frame()

    def _scale(self, frame: av.VideoFrame, width: int, height: int) -> av.VideoFrame:
        return frame.reformat(
            width,
            height,
            self._encoding.pixel_format,
            src_colorspace=self._matrix,
            dst_colorspace=self._matrix,
            src_color_range=self._range,
            dst_color_range=self._range,
            interpolation=SWS_FLAGS,
        )
