"""Episodes cut from clips: what is chosen, that it agrees with itself, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rigid.face.alignment import Face, TrackedFace, crop
from rigid.geometry import apply, inverse, similarity
from rigid.reporting import say_nothing
from rigid.training.flow import DisFlow
from rigid.training.footage import choose_starts, clip_episodes, cut_episode
from rigid.training.framing import Cut
from tests.clips import write_clip
from tests.training.test_episodes import check_agrees
from tests.worlds import landmarks_in_crop, textured_frame

CUT = Cut(frames=4, per_clip=2, crop_size=64, window_size=32, code_size=8)
SIZE = (128, 96)


def face_at(x: float, *, new: bool = False) -> TrackedFace:
    to_crop = similarity(np.array([x, 48.0]), 60.0, 0.05, (64, 64))
    landmarks = apply(inverse(to_crop), landmarks_in_crop(64)).astype(np.float32)
    return TrackedFace(Face(landmarks), landmarks, to_crop, new)


class WanderingTracker:
    """Sees a face that moves two pixels a frame; blind in the frames (counted from 0 in each clip) it is told."""

    def __init__(self, *blind: int) -> None:
        self.blind = blind
        self.seen = 0

    def track(self, frame: NDArray[np.uint8], timestamp: float) -> TrackedFace | None:
        number = self.seen
        self.seen += 1
        return None if number in self.blind else face_at(50 + 2 * number, new=number == 0 or number - 1 in self.blind)

    def reset(self) -> None:
        self.seen = 0


def moving_frame(number: int, size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    wide = textured_frame(3, (size[1], size[0] + 60, 3))
    return np.ascontiguousarray(wide[:, 40 - 2 * number : 40 - 2 * number + size[0]])


def data_folder(folder: Path, *lengths: int) -> Path:
    (folder / "clips").mkdir()
    clips = [{"name": f"clip{i}", "split": "train", "fps": 25.0} for i in range(len(lengths))]
    for clip, length in zip(clips, lengths, strict=True):
        stamps = tuple(range(0, 40 * length, 40))
        write_clip(folder / "clips" / f"{clip['name']}.mp4", stamps, sound=None, size=SIZE, picture=moving_frame)
    (folder / "index.json").write_text(json.dumps({"clips": clips, "stills": []}))
    return folder


def test_an_episode_of_a_moving_face_agrees_with_itself() -> None:
    frames = [moving_frame(i) for i in range(4)]
    faces = [face_at(50 + 2 * i) for i in range(4)]
    episode = cut_episode("clip", frames, faces, CUT, DisFlow())
    check_agrees(episode)
    for picture, frame, face in zip(episode.crops, frames, faces, strict=True):
        assert np.array_equal(picture.transpose(1, 2, 0), crop(frame, face.transform, 64))
    assert not episode.knows_edit


def test_episodes_are_spread_over_the_frames_that_show_one_face() -> None:
    seen = [face_at(50, new=i in (0, 11)) for i in range(20)]
    faces = [None if i == 10 else face for i, face in enumerate(seen)]
    assert choose_starts(faces, 4, 100) == [*range(7), *range(11, 17)]
    assert choose_starts(faces, 4, 3) == [0, 6, 16]
    assert choose_starts(faces, 11, 3) == []


def test_a_new_face_begins_a_new_run() -> None:
    faces = [face_at(50, new=i in (0, 3)) for i in range(7)]
    assert choose_starts(faces, 4, 10) == [3]


def test_clips_give_the_episodes_asked_for(tmp_path: Path) -> None:
    said: list[str] = []
    data = data_folder(tmp_path, 8, 5)
    episodes = list(clip_episodes(data, "train", CUT, WanderingTracker(), DisFlow(), said.append))
    assert [episode.name for episode in episodes] == ["clip0", "clip0", "clip1", "clip1"]
    assert said == ["clip0: 2 episodes of 8 frames", "clip1: 2 episodes of 5 frames"]
    for episode in episodes:
        check_agrees(episode)


def test_a_clip_shorter_than_an_episode_is_named(tmp_path: Path) -> None:
    data = data_folder(tmp_path, 8, 3)
    with pytest.raises(ValueError, match=r"clip1\.mp4 has 3 frames, but an episode takes 4; leave it out"):
        list(clip_episodes(data, "train", CUT, WanderingTracker(), DisFlow(), say_nothing))


def test_clips_without_a_face_are_refused(tmp_path: Path) -> None:
    blind = WanderingTracker(*range(100))
    with pytest.raises(ValueError, match="No clip of the split 'train'.*face for 4 frames on end"):
        list(clip_episodes(data_folder(tmp_path, 8), "train", CUT, blind, DisFlow(), say_nothing))
