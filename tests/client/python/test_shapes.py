"""Pictures as a player shows them: upright, in the colours their tags name, whole in another shape."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
from av import VideoFrame
from av.video.reformatter import ColorRange, Colorspace

from client.python.devices import VirtualCamera
from client.python.shapes import letterbox, upright
from rigid.files.video_reader import VideoReader


@pytest.mark.parametrize("matrix", [Colorspace.ITU709, Colorspace.ITU601])
@pytest.mark.parametrize("colour_range", [ColorRange.MPEG, ColorRange.JPEG])
def test_colours_are_those_of_the_tags(matrix: Colorspace, colour_range: ColorRange) -> None:
    told = np.full((32, 48, 3), (200, 40, 90), np.uint8)
    frame = VideoFrame.from_ndarray(told, format="rgb24").reformat(
        format="yuv420p", dst_colorspace=matrix, dst_color_range=colour_range
    )
    frame.colorspace, frame.color_range = (1 if matrix == Colorspace.ITU709 else 6), colour_range
    assert np.abs(upright(frame).astype(int) - told).max() <= 3


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_a_turned_film_is_upright(turn: int, tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:12, :16] = 255
    with av.open(str(path), "w") as output:
        film = output.add_stream("libx264", rate=10, options={"crf": "5"})
        film.width, film.height, film.pix_fmt = 64, 48, "yuv420p"
        film.set_display_rotation(turn)
        output.mux([*film.encode(VideoFrame.from_ndarray(picture, format="rgb24")), *film.encode(None)])
    with av.open(str(path)) as container:
        shown = upright(next(container.decode(video=0)))
    with VideoReader(path) as reader:
        expected = next(one for one in reader if not isinstance(one, av.Packet)).image
    assert shown.shape == expected.shape
    assert np.abs(shown.astype(int) - expected).mean() < 2


def test_another_shape_gets_bars_and_no_stretch(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = np.full((40, 20, 3), 200, np.uint8)
    fitted = letterbox(picture, 80, 40)
    assert fitted.shape == (40, 80, 3)
    assert (fitted[:, 30:50] == 200).all() and not fitted[:, :30].any() and not fitted[:, 50:].any()
    sent: list[np.ndarray] = []
    shown = SimpleNamespace(width=80, height=40, device="test", send=sent.append)
    monkeypatch.setitem(sys.modules, "pyvirtualcam", SimpleNamespace(Camera=lambda *_, **__: shown))
    VirtualCamera(80, 40, 30).show(picture)
    assert np.array_equal(sent[0], fitted)
