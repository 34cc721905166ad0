"""How large an encoded picture is, read from its begin without decoding it."""

from __future__ import annotations

import re
from collections.abc import Iterator

HIGH = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244})
"""profile_idc whose sequence parameters say more of chroma (ITU-T H.264 section 7.3.2.1.1)."""


LARGEST_SIDE = 4096
"""Of a picture that is decoded; `set_largest_side` changes it for the whole process."""
SEQUENCE = rb"\x00\x00\x01[\x07\x27\x47\x67\x87\xa7\xc7\xe7](.*?)(?=\x00\x00\x01|\x00\x00\x00|\Z)"
"""NAL units of type 7, whatever else their headers say."""
Size = tuple[int, int]


def picture_size(codec_name: str, data: bytes) -> tuple[int, int] | None:
    """Width and height where `data` begins a picture that states them, as each that needs no other does; else None.

    `data`: a VP8 frame's first bytes (RFC 6386 section 9.1), or H.264 as Annex B has it, with its sequence parameters.
    """
    if codec_name == "VP8":
        if len(data) < 10 or data[0] & 1 or data[3:6] != b"\x9d\x01\x2a":
            return None
        return int.from_bytes(data[6:8], "little") & 0x3FFF, int.from_bytes(data[8:10], "little") & 0x3FFF
    if codec_name == "H264":
        return next((shown for shown, _ in _read_h264_sizes(data)), None)
    return None


def is_too_large(codec_name: str, data: bytes) -> bool:
    """Whether a frame begins pictures for which a decoder takes more than `LARGEST_SIDE` on a side.

    Of H.264 each of its sequence parameters counts, and as large as they are before anything is cropped away.
    """
    shown = picture_size(codec_name, data)
    made = [coded for _, coded in _read_h264_sizes(data)] if codec_name == "H264" else [shown] if shown else []
    return any(max(size) > LARGEST_SIDE for size in made)


def _read_h264_sizes(data: bytes) -> Iterator[tuple[Size, Size]]:
    """Read of each of the sequence parameters in it the size that is shown, and that which is decoded."""
    for found in re.finditer(SEQUENCE, data, re.DOTALL):
        sizes = _read_sequence_sizes(found[1])
        if sizes is not None:
            yield sizes


class _Bits:
    """Reads bits, the highest of each byte first; EOFError at the end."""

    def __init__(self, data: bytes) -> None:
        # Emulation prevention (section 7.4.1.1)
        self._data = data.replace(b"\x00\x00\x03", b"\x00\x00")
        self._place = 0

    def take(self, count: int) -> int:
        value = 0
        for _ in range(count):
            byte, bit = divmod(self._place, 8)
            if byte >= len(self._data):
                raise EOFError
            value = value << 1 | (self._data[byte] >> (7 - bit)) & 1
            self._place += 1
        return value

    def take_golomb(self) -> int:
        """Read an unsigned number in Exp-Golomb code (section 9.1)."""
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > 32:
                raise EOFError
        return (1 << zeros) - 1 + self.take(zeros)

    def take_signed(self) -> int:
        code = self.take_golomb()
        return (code + 1) // 2 if code & 1 else -(code // 2)


def _read_sequence_sizes(data: bytes) -> tuple[Size, Size] | None:
    """Read the two sizes from sequence parameters without their NAL header (section 7.3.2.1.1)."""
    bits = _Bits(data)
    try:
        profile = bits.take(8)
        bits.take(16)
        bits.take_golomb()
        chroma = _chroma(bits) if profile in HIGH else 1
        bits.take_golomb()
        _skip_order(bits)
        bits.take_golomb()
        bits.take(1)
        columns, rows = bits.take_golomb() + 1, bits.take_golomb() + 1
        frames_only = bits.take(1)
        if not frames_only:
            bits.take(1)
        bits.take(1)
        left, right, top, bottom = (bits.take_golomb() for _ in range(4)) if bits.take(1) else (0, 0, 0, 0)
    except EOFError:
        return None
    across = 2 if chroma in (1, 2) else 1
    down = (2 if chroma == 1 else 1) * (2 - frames_only)
    width, height = columns * 16, rows * 16 * (2 - frames_only)
    return (width - across * (left + right), height - down * (top + bottom)), (width, height)


def _chroma(bits: _Bits) -> int:
    """chroma_format_idc, and past the scaling lists that follow."""
    chroma = bits.take_golomb()
    if chroma == 3:
        bits.take(1)
    bits.take_golomb()
    bits.take_golomb()
    bits.take(1)
    if bits.take(1):
        for number in range(12 if chroma == 3 else 8):
            if bits.take(1):
                _skip_scaling(bits, 16 if number < 6 else 64)
    return chroma


def _skip_scaling(bits: _Bits, count: int) -> None:
    last = following = 8
    for _ in range(count):
        if following:
            following = (last + bits.take_signed() + 256) % 256
        last = following or last


def _skip_order(bits: _Bits) -> None:
    kind = bits.take_golomb()
    if kind == 0:
        bits.take_golomb()
    elif kind == 1:
        bits.take(1)
        bits.take_signed()
        bits.take_signed()
        for _ in range(min(bits.take_golomb(), 255)):
            bits.take_signed()
