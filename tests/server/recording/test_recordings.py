"""Films that the server keeps: only where it was told to, whole or not at all, and no longer than it may."""

from __future__ import annotations

import resource
import shutil
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av import VideoFrame
from numpy.typing import NDArray

from cli.main import run
from rigid.files.credentials import own_credentials
from rigid.files.provenance_reading import read
from server.config import ServerConfig
from server.errors import ApiError
from server.recording.disk_space import MB, UNBOUNDED, DiskSpace
from server.recording.mp4_writer import FilmLimits, Mp4Writer
from server.recording.recording import MOST_WAITING, Recording
from server.recording.recordings import Recordings, usable_folder
from server.recording.unfinished_films import UnfinishedFilm
from server.session import session_outputs
from tests.patience import HANGING_SECONDS, PATIENCE_SECONDS, eventually, until
from tests.server.http.test_api import assert_error
from tests.server.world import CLOCK, Viewer, World, running

PLENTY = FilmLimits(600.0, 1 << 28)


def frame(pts: int, level: int = 100, width: int = 64, height: int = 48) -> VideoFrame:
    pixels = np.full((height, width, 3), level, np.uint8)
    made = VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p")
    made.pts, made.time_base = pts, CLOCK
    return made


def noise(pts: int, seed: int) -> VideoFrame:
    """A picture that takes many bytes."""
    pixels = np.random.default_rng(seed).integers(0, 255, (240, 320, 3), np.uint8)
    made = VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p")
    made.pts, made.time_base = pts, CLOCK
    return made


def shown(path: Path) -> tuple[list[float], list[NDArray[np.uint8]]]:
    """The times and pictures of a film."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        return [float(one.time or 0) for one in frames], [
            one.to_ndarray(format="rgb24").astype(np.uint8) for one in frames
        ]


# ---- the file


def test_a_film_keeps_the_pictures_times_and_passes_over_what_is_out_of_order(tmp_path: Path) -> None:
    film = Mp4Writer(tmp_path / "a.mp4", PLENTY)
    for pts in (90_000, 93_000, 92_000, 108_000):
        assert film.write(frame(pts)) == ""
    film.close()
    film.close()
    times, pictures = shown(tmp_path / "a.mp4")
    assert times == pytest.approx([0.0, 1 / 30, 0.2], abs=1e-3)
    assert film.frames == 3 and film.seconds == pytest.approx(0.2)
    assert all(abs(float(one.mean()) - 100) < 2 for one in pictures)


def test_a_camera_that_turns_gets_bars(tmp_path: Path) -> None:
    film = Mp4Writer(tmp_path / "a.mp4", PLENTY)
    film.write(frame(0, 200, 64, 48))
    film.write(frame(3000, 200, 48, 64))
    film.close()
    _, (_, turned) = shown(tmp_path / "a.mp4")
    assert turned.shape == (48, 64, 3)
    assert float(turned[:, 24:40].mean()) > 180 and float(turned[:, :8].mean()) < 30


def test_a_film_ends_by_its_length(tmp_path: Path) -> None:
    film = Mp4Writer(tmp_path / "a.mp4", FilmLimits(1.0, 1 << 28))
    ends = [film.write(frame(9000 * i)) for i in range(12)]
    film.close()
    assert ends == [""] * 11 + ["max_seconds"]
    assert shown(tmp_path / "a.mp4")[0][-1] == pytest.approx(1.0)


def test_a_film_ends_by_its_size(tmp_path: Path) -> None:
    most = 1 << 20
    film = Mp4Writer(tmp_path / "a.mp4", FilmLimits(600.0, most))
    ends = [film.write(noise(3000 * i, i)) for i in range(100)]
    film.close()
    assert "max_bytes" in ends
    assert 0.5 * most < (tmp_path / "a.mp4").stat().st_size <= most


# ---- the recording


@contextmanager
def recorded(path: Path, limits: FilmLimits = PLENTY) -> Iterator[tuple[Recording, list[int]]]:
    dropped: list[int] = []
    recording = Recording(path, "", limits, None, lambda: dropped.append(1))
    yield recording, dropped
    recording.stop("stopped")
    recording.finished.result(PATIENCE_SECONDS)


def test_nothing_is_seen_of_a_film_until_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with recorded(path) as (recording, _):
        for i in range(5):
            recording.offer(frame(3000 * i), {})
        assert recording.state == "recording" and not path.exists()
    assert [one.name for one in tmp_path.iterdir()] == ["a.mp4"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    told = recording.describe()
    assert (told["state"], told["frames"], told["ended"]) == ("done", 5, "stopped")
    assert told["bytes"] == path.stat().st_size


def test_where_writing_is_behind_the_newest_pictures_are_left_out_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, write = threading.Event(), Mp4Writer.write

    def slow(self: Mp4Writer, one: VideoFrame) -> str:
        held.wait(PATIENCE_SECONDS)
        return write(self, one)

    monkeypatch.setattr(Mp4Writer, "write", slow)
    with recorded(tmp_path / "a.mp4") as (recording, dropped):
        for i in range(MOST_WAITING + 10):
            recording.offer(frame(3000 * i), {})
        held.set()
    told = recording.describe()
    # one more may be in hand already
    assert told["frames_dropped"] == len(dropped) and len(dropped) in (9, 10)
    assert shown(tmp_path / "a.mp4")[0] == pytest.approx([i / 30 for i in range(MOST_WAITING + 10 - len(dropped))])


def test_a_film_without_a_picture_is_none(tmp_path: Path) -> None:
    with recorded(tmp_path / "a.mp4") as (recording, _):
        pass
    assert (recording.state, recording.describe()["ended"]) == ("failed", "no_picture")
    assert list(tmp_path.iterdir()) == []


def test_a_film_that_cannot_be_written_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with recorded(tmp_path / "gone" / "a.mp4") as (recording, _):
        recording.offer(frame(0), {})
    assert (recording.state, recording.describe()["ended"]) == ("failed", "failed")
    assert "could not be written" in caplog.text


def test_a_folder_that_is_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert usable_folder(tmp_path / "new").is_dir()
    (tmp_path / "file").write_text("")
    assert run(["serve", "--recordings", str(tmp_path / "file" / "below")]) == 2
    assert "cannot hold recordings" in capsys.readouterr().err
    assert run(["serve", "--recordings", str(tmp_path), "--max-recording-mb", "0.1"]) == 2
    assert "max_recording_bytes" in capsys.readouterr().err


# ---- over HTTP


async def test_without_a_folder_nothing_is_recorded() -> None:
    async with running() as world:
        for method in ("POST", "DELETE", "GET"):
            answer = await world.http.request(method, "/api/v1/sessions/x/recording")
            assert_error(answer, 403, "recordings_off")


async def until_recorded(world: World, viewer: Viewer, what: str, least: float) -> dict[str, Any]:
    """Wait for so many `frames` or `seconds`."""
    told: dict[str, Any] = {}

    async def has_as_many() -> bool:
        answer = await world.http.get(f"{viewer.url}/stats")
        assert answer.status_code == 200, answer.text
        told.update(answer.json()["recording"])
        return bool(told[what] >= least)

    await until(has_as_many)
    return told


async def test_a_session_is_recorded_signed_and_fetched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "films"
    config = ServerConfig(recordings=folder)
    async with running(config, credentials=own_credentials(tmp_path / "signing")) as world:
        await world.ready()
        async with world.viewer(edits={"smile": 0.5}, options={"badge": True}) as viewer:
            url = f"{viewer.url}/recording"
            assert_error(await world.http.get(url), 404, "no_recording")
            begun = await world.http.post(url)
            assert begun.status_code == 201 and begun.headers["Location"] == url
            assert begun.json()["state"] == "recording"
            assert_error(await world.http.post(url), 409, "recording")
            await until_recorded(world, viewer, "frames", 10)
            assert_error(await world.http.get(url), 409, "recording")
            place = (await world.http.get(f"{viewer.url}/stats")).json()["badge"]
            ended = (await world.http.delete(url)).json()
            assert (ended["state"], ended["ended"]) == ("done", "stopped")
            assert (await world.http.delete(url)).json() == ended, "it may be asked for twice"
        fetched = await world.http.get(url)
        assert_error(await world.http.post(url), 410, "session_closed")
    assert fetched.headers["Content-Type"] == "video/mp4" and ended["file"] in fetched.headers["Content-Disposition"]
    path = folder / ended["file"]
    assert [one.name for one in folder.iterdir()] == [path.name]
    assert fetched.content == path.read_bytes() and len(fetched.content) == ended["bytes"]
    times, pictures = shown(path)
    assert len(times) == ended["frames"] >= 10 and all(later > earlier for earlier, later in pairwise(times))
    left, top, width, height = place
    badge = pictures[-1][top : top + height, left : left + width]
    assert int(badge.max()) - int(badge.min()) > 100, "the words are in it"
    told = read(path)
    assert told is not None and told.intact and told.edited_with_ai and told.edits == {"smile": 0.5}
    assert run(["verify", str(path)]) == 0
    assert "edited with AI" in capsys.readouterr().out


async def test_a_recording_ends_with_its_session_and_says_nothing_where_nothing_was_edited(tmp_path: Path) -> None:
    config = ServerConfig(recordings=tmp_path / "films")
    async with running(config, credentials=own_credentials(tmp_path / "signing")) as world:
        await world.ready()
        async with world.viewer() as viewer:
            await world.http.post(f"{viewer.url}/recording")
            await until_recorded(world, viewer, "frames", 3)
            assert (await world.http.delete(viewer.url)).status_code == 204
            (path,) = (tmp_path / "films").iterdir()
        assert (await world.http.get(f"{viewer.url}/recording")).content == path.read_bytes()
    assert read(path) is None
    assert len(shown(path)[0]) >= 3


async def test_another_key_cannot_fetch_a_recording(tmp_path: Path) -> None:
    config = ServerConfig(recordings=tmp_path, api_keys=("ann", "bob"))
    async with running(config) as world:
        await world.ready()
        world.http.headers["Authorization"] = "Bearer ann"
        async with world.viewer() as viewer:
            url = f"{viewer.url}/recording"
            await world.http.post(url)
            await until_recorded(world, viewer, "frames", 1)
            await world.http.delete(url)
            assert (await world.http.get(url)).status_code == 200
            world.http.headers["Authorization"] = "Bearer bob"
            assert_error(await world.http.get(url), 404, "no_recording")
            assert_error(await world.http.delete(url), 404, "no_recording")
            assert_error(await world.http.post(url), 404, "unknown_session")
            world.http.headers["Authorization"] = "Bearer ann"


# ---- what goes wrong


KILLED = """
import os, signal, sys, time
from pathlib import Path
from server.recording.recording import Recording
from tests.server.recording.test_recordings import PLENTY, frame
recording = Recording(Path(sys.argv[1]), "", PLENTY, None, lambda: None)
for i in range(90):
    recording.offer(frame(3000 * i, 50 + i), {"smile": 0.5} if i > 40 else {})
    while i - recording.describe()["frames"] > 5:
        time.sleep(0.001)
while recording.describe()["frames"] < 90:
    time.sleep(0.001)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a film whose server was killed three seconds after its begin."""
    folder = tmp_path_factory.mktemp("killed")
    done = subprocess.run([sys.executable, "-c", KILLED, str(folder / "a.mp4")], timeout=HANGING_SECONDS)
    assert done.returncode == -signal.SIGKILL
    return folder


def kept(folder: Path, room: DiskSpace = UNBOUNDED) -> Recordings:
    return Recordings(folder, PLENTY, own_credentials(folder.parent / "signing"), lambda: None, room)


def test_a_film_of_a_killed_server_is_finished_at_the_next_start(tmp_path: Path, killed: Path) -> None:
    folder = Path(shutil.copytree(killed, tmp_path / "films"))
    (left,) = folder.glob(".*.mp4")
    with left.open("ab") as file:  # the begin of a fragment
        file.write((4096).to_bytes(4, "big") + b"moof" + bytes(100))
    kept(folder).recover()
    (path,) = folder.iterdir()
    assert path.name == "a.mp4" and stat.S_IMODE(path.stat().st_mode) == 0o600
    times, pictures = shown(path)
    assert len(times) >= 55 and times == pytest.approx([i / 30 for i in range(len(times))], abs=1e-3)
    assert all(abs(float(one.mean()) - 50 - i) < 4 for i, one in enumerate(pictures))
    told = read(path)
    assert told is not None and told.intact and told.edits == {"smile": 0.5}
    kept(folder).recover()
    assert [one.name for one in folder.iterdir()] == ["a.mp4"]


def test_what_holds_no_picture_is_removed_and_what_is_written_still_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "films"
    folder.mkdir()
    (folder / ".b.999.plain.mp4").write_bytes(b"\0\0\0\x1cftypisom")
    (folder / ".c.plain.mp4").write_bytes(b"somebody else's")
    with recorded(folder / "a.mp4") as (recording, _):
        recording.offer(frame(0), {})
        eventually(lambda: recording.describe()["frames"] == 1, "a picture")
        kept(folder).recover()
        assert sorted(one.suffix for one in folder.iterdir()) == [".lock", ".mp4", ".mp4"]
    assert {one.name for one in folder.iterdir()} == {"a.mp4", ".c.plain.mp4"}
    assert len(shown(folder / "a.mp4")[0]) == 1


async def test_a_server_finishes_at_its_start_what_another_left(tmp_path: Path, killed: Path) -> None:
    folder = Path(shutil.copytree(killed, tmp_path / "films"))
    async with running(ServerConfig(recordings=folder)):
        assert [one.name for one in folder.iterdir()] == ["a.mp4"]
    assert len(shown(folder / "a.mp4")[0]) >= 55


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """Nothing is written beyond that, as where a disk is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def has_room(recording: Recording, offered: int) -> bool:
    """Whether fewer than ten of the pictures offered wait to be written, or none will be."""
    frames = recording.describe()["frames"]
    assert isinstance(frames, int)
    return offered - frames < 10 or recording.finished.done()


def test_a_full_disk_leaves_what_was_written_before(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.mp4"
    with files_up_to(1 << 20), recorded(path) as (recording, _):
        for i in range(120):
            recording.offer(noise(3000 * i, i), {"smile": 1.0})
            eventually(lambda: has_room(recording, i + 1), "room")  # noqa: B023
        recording.finished.result(PATIENCE_SECONDS)
        assert (recording.state, recording.describe()["ended"]) == ("done", "disk_full")
    times, _ = shown(path)
    assert len(times) > 5 and times[-1] > 0.2
    assert [one.name for one in tmp_path.iterdir()] == ["a.mp4"]


def test_a_film_ends_while_there_is_room_to_complete_it(tmp_path: Path) -> None:
    answers = iter([True, False])
    recording = Recording(tmp_path / "a.mp4", "", PLENTY, None, lambda: None, has_room=lambda: next(answers))
    for i in range(90):
        recording.offer(frame(3000 * i), {})
        eventually(lambda: has_room(recording, i + 1), "room")  # noqa: B023
    recording.finished.result(PATIENCE_SECONDS)
    assert (recording.state, recording.describe()["ended"]) == ("done", "disk_full")
    assert 1.9 < shown(tmp_path / "a.mp4")[0][-1] < 2.1


def test_what_has_no_room_is_not_begun(tmp_path: Path) -> None:
    size = 100 * MB
    DiskSpace(0, None).check(tmp_path, size, 5)
    with pytest.raises(ApiError, match="only .* MB left") as refused:
        DiskSpace(1 << 60, None).check(tmp_path, size, 0)
    assert (refused.value.status, refused.value.code) == (507, "disk_full")
    with (tmp_path / "old.mp4").open("wb") as file:
        file.truncate(150 * MB)
    DiskSpace(0, 250 * MB).check(tmp_path, size, 0)
    for quota, going_on in ((249, 0), (349, 1)):
        with pytest.raises(ApiError, match=f"may take {quota} MB, and {150 + 100 * going_on} are taken") as refused:
            DiskSpace(0, quota * MB).check(tmp_path, size, going_on)
        assert (refused.value.status, refused.value.code) == (507, "quota_full")


async def test_a_full_disk_is_told_before_anything_is_recorded(tmp_path: Path) -> None:
    async with running(ServerConfig(recordings=tmp_path, min_free_bytes=1 << 60)) as world:
        await world.ready()
        async with world.viewer() as viewer:
            assert_error(await world.http.post(f"{viewer.url}/recording"), 507, "disk_full")
            assert list(tmp_path.iterdir()) == []


async def test_who_gives_up_waiting_for_a_film_does_not_end_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_outputs, "FINISH_SECONDS", 0.05)
    begun, go_on, complete = threading.Event(), threading.Event(), UnfinishedFilm.complete

    def slow(self: UnfinishedFilm, *given: Any) -> int:
        begun.set()
        go_on.wait(PATIENCE_SECONDS)
        return complete(self, *given)

    monkeypatch.setattr(UnfinishedFilm, "complete", slow)
    async with running(ServerConfig(recordings=tmp_path)) as world:
        await world.ready()
        async with world.viewer() as viewer:
            url = f"{viewer.url}/recording"
            await world.http.post(url)
            await until_recorded(world, viewer, "frames", 2)
            # the session's end waits for it as long as it may, and gives up
            assert (await world.http.delete(viewer.url)).status_code == 204
        assert begun.is_set()
        assert_error(await world.http.get(url), 409, "recording")
        go_on.set()
        assert (await world.http.delete(url)).json()["state"] == "done"
        assert len(shown(tmp_path / (await world.http.delete(url)).json()["file"])[0]) >= 2
