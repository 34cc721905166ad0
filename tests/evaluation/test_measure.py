"""A clip under a method: what is measured, and on which frames."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from rigid.arrays import Array, Pixels
from rigid.evaluation.fvd import PICTURE_SIZE
from rigid.evaluation.measure import MEASURES, EvaluationError, Measured, Source, measure_clip
from rigid.evaluation.methods import MethodOptions, Prepared, prepare
from rigid.evaluation.runtimes import Encoded
from rigid.evaluation.strength import changes, measure_of
from rigid.evaluation.strips import CAPTION, STRIP_SIDE, FaceWindow, strip
from rigid.evaluation.warp_error import crop_area
from rigid.files.clips import Clip, find_clips, read_frames, track_clip
from tests.clips import write_clip
from tests.evaluation.world import SIZE as FRAME_SIZE
from tests.evaluation.world import make_clip, meters, networks, scene
from tests.fakes import TINY, FakeRuntime
from tests.worlds import FaultyRuntime, FixedTracker, textured_frame

LIGHT = {"light": 0.4}


class Perfect(FakeRuntime):
    """Inverts without a loss: the inverted face is the crop itself, the edited one too."""

    def synthesize(self, codes: Array, noise: Array) -> Array:
        return np.concatenate([self.inputs, self.inputs])

    def invert(self, inputs: Array, state):  # type: ignore[no-untyped-def]
        self.inputs = inputs
        return super().invert(inputs, state)


def source_of(path: Path, tracker: FixedTracker | None = None, frames: int = 5) -> Source:
    clip = Clip("clip", make_clip(path / "clip.mp4", frames))
    return Source(clip, track_clip(clip, tracker or FixedTracker(), limit=100))


def measured(source: Source, method: str = "rigid", every: int = 1, runtime: FakeRuntime | None = None) -> Measured:
    prepared = prepare(method, networks(runtime), MethodOptions(), source.clip, source.track)
    return measure_clip(source, prepared, LIGHT, meters(), every)


def test_every_measure_has_a_value(tmp_path: Path) -> None:
    found = measured(source_of(tmp_path))
    assert set(MEASURES) == set(found.means) and all(map(math.isfinite, found.means.values()))
    assert found.means["mse"] > 0 and found.means["ms_per_frame"] > 0
    assert list(found.frames["mse"]) == [0, 1, 2, 3, 4] and list(found.frames["warp_error"]) == [1, 2, 3, 4]
    assert found.means["mse"] == pytest.approx(np.mean(list(found.frames["mse"].values())))


def test_the_edit_strength_is_the_change_in_the_delivered_picture(tmp_path: Path) -> None:
    found = measured(source_of(tmp_path), "per-frame")
    assert found.strengths == {"light": found.means["edit_strength"]}
    assert 0.01 < found.means["edit_strength"] < 0.4


def test_a_perfect_inversion_is_measured_as_one(tmp_path: Path) -> None:
    source = source_of(tmp_path)
    runtime = Perfect()
    means = measure_clip(source, Prepared(runtime, networks().library), LIGHT, meters()).means
    assert means["mse"] == 0 and means["lpips"] == 0
    assert means["edit_strength"] == pytest.approx(0, abs=2e-3)
    assert means["tl_id"] == pytest.approx(1, abs=1e-4) and means["tg_id"] == pytest.approx(1, abs=1e-4)
    assert means["id_source_edited"] == pytest.approx(1, abs=1e-3)
    assert means["warp_ratio"] == pytest.approx(1, abs=0.15)


def test_frames_without_a_face_are_left_out(tmp_path: Path) -> None:
    tracker = FixedTracker()
    tracker.blind = {2}
    source = source_of(tmp_path, tracker)
    found = measured(source)
    assert source.track.face_frames == 4 and source.track.pairs == 2
    assert list(found.frames["mse"]) == [0, 1, 3, 4] and list(found.frames["warp_error"]) == [1, 4]


def test_costly_measures_are_taken_of_every_so_many_frames(tmp_path: Path) -> None:
    found = measured(source_of(tmp_path, frames=8), every=3)
    assert list(found.frames["lpips"]) == list(found.frames["edit_strength"]) == [0, 3, 6]
    assert list(found.frames["id_source_edited"]) == [0, 1, 3, 4, 6, 7]
    assert list(found.frames["mse"]) == list(range(8))


def test_the_source_is_embedded_once_for_all_methods(tmp_path: Path) -> None:
    source = source_of(tmp_path)
    measured(source)
    kept = dict(source.embeddings)
    measured(source, "per-frame")
    assert all(source.embeddings[i] is kept[i] for i in kept)


def test_all_methods_see_the_same_faces(tmp_path: Path) -> None:
    source = source_of(tmp_path)
    ours, theirs = measured(source), measured(source, "per-frame")
    assert np.array_equal(ours.rows.source, theirs.rows.source)
    assert ours.means["warp_error_source"] == theirs.means["warp_error_source"]


def test_a_failing_frame_ends_the_measurement(tmp_path: Path) -> None:
    runtime = FaultyRuntime()
    runtime.raising = set(range(2, 100))
    with pytest.raises(EvaluationError, match=r"of clip could not be edited: RuntimeError: the engine broke"):
        measured(source_of(tmp_path), runtime=runtime)


def test_preparing_counts_among_the_time_of_each_frame(tmp_path: Path) -> None:
    source = source_of(tmp_path)
    runtime = Encoded(FakeRuntime(), networks().encode)
    quick = measure_clip(source, Prepared(runtime, networks().library), LIGHT, meters())
    slow = measure_clip(source, Prepared(runtime, networks().library, seconds=50.0), LIGHT, meters())
    assert slow.means["ms_per_frame"] - quick.means["ms_per_frame"] == pytest.approx(10_000, rel=0.1)


def test_windows_of_frames_go_to_i3d(tmp_path: Path) -> None:
    shapes: list[tuple[int, ...]] = []

    class Counting:
        def __call__(self, frames: Pixels) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
            shapes.append(frames.shape)
            return np.zeros((1, 4))

    source = source_of(tmp_path)
    prepared = prepare("rigid", networks(), MethodOptions(), source.clip, source.track)
    with_i3d = type(meters())(meters().lpips, meters().embedder, meters().labeller, Counting())  # type: ignore[arg-type]
    found = measure_clip(source, prepared, LIGHT, with_i3d)
    assert shapes == [(5, PICTURE_SIZE, PICTURE_SIZE, 3)] * 3
    assert set(found.features) == {"source", "inverted", "edited"}


def test_strength_is_positive_in_the_edits_direction() -> None:
    names = ("smile", "age")
    source, edited = np.array([0.2, 40], np.float32), np.array([0.5, 30], np.float32)
    found = changes(source, edited, {"age": -1.0, "smile": 0.5, "wings": 1.0}, names)
    assert found["age"] == 10 and found["smile"] == pytest.approx(0.3) and math.isnan(found["wings"])
    assert measure_of("mouth_open", ("mouth_open",)) == "mouth_open" and measure_of("wings", names) is None


def test_strips_show_the_same_frames_in_every_row(tmp_path: Path) -> None:
    found = measured(source_of(tmp_path, frames=12))
    picture = strip({"rigid": found.rows, "per-frame": found.rows})
    assert found.rows.source.shape == (STRIP_SIDE, 8 * STRIP_SIDE, 3)
    assert picture.shape == (5 * (STRIP_SIDE + CAPTION), 8 * STRIP_SIDE, 3)
    assert np.array_equal(picture[CAPTION : CAPTION + STRIP_SIDE], found.rows.source)


def test_the_window_holds_every_crop() -> None:
    left, right = FixedTracker((30, 48), 40), FixedTracker((90, 48), 40)
    frame = textured_frame()
    faces = [tracker.track(frame, 0.0) for tracker in (left, right)]
    track = type("T", (), {"faces": faces})()
    shown = FaceWindow(track, TINY.image_size).show(frame, 100)
    area = crop_area(left.transform, TINY.image_size, frame.shape)
    assert shown.shape == (100, 100, 3)
    assert area[30:66, 12:48].all() and not area[:, 52:].any() and not area[:25].any()


def test_clips_of_a_folder(tmp_path: Path) -> None:
    for name in ("b.mp4", "a.mp4", "a.mkv", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    assert [clip.name for clip in find_clips(tmp_path)] == ["a.mkv", "a.mp4", "b"]
    assert [clip.path.name for clip in find_clips(tmp_path, names=["b"])] == ["b.mp4"]
    with pytest.raises(ValueError, match="There is no clip 'c'; choose from: a.mkv, a.mp4, b"):
        find_clips(tmp_path, names=["c"])


@pytest.mark.parametrize("beside", [True, False])
def test_a_split_is_chosen_by_the_index(tmp_path: Path, beside: bool) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    for name in ("one", "two"):
        (clips / f"{name}.mp4").write_bytes(b"")
    index = '{"clips": [{"name": "one", "split": "train"}, {"name": "two", "split": "val"}]}'
    (tmp_path / "index.json").write_text(index)
    assert [clip.name for clip in find_clips(clips if beside else tmp_path, "val")] == ["two"]
    with pytest.raises(ValueError, match="has no split 'test'; it has: train, val"):
        find_clips(clips, "test")


def test_a_bad_or_missing_index_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "clips"
    folder.mkdir(parents=True)
    (folder / "one.mp4").write_bytes(b"")
    with pytest.raises(ValueError, match="There is no index.json .* leave --split out"):
        find_clips(folder, "val")
    (folder / "index.json").write_text('{"clips": [{"name": "one"}]}')
    with pytest.raises(ValueError, match="is not an index of clips"):
        find_clips(folder, "val")


def test_frames_come_with_their_times_up_to_the_limit(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", (0, 40, 120, 200), size=FRAME_SIZE, picture=scene, sound=None, start=80)
    frames = list(read_frames(tmp_path / "clip.mp4", 3))
    assert [seconds for _, seconds in frames] == pytest.approx([0, 0.04, 0.12])
    assert frames[0][0].shape == (FRAME_SIZE[1], FRAME_SIZE[0], 3)
