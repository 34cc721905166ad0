"""The program in a world that stands in for Windows: it serves, edits, records, and is stopped by Ctrl+C."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import av
import cv2
import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from rigid.assets.store import AssetStore
from rigid.operating_system import TOO_MUCH
from tests.clips import write_clip
from tests.face.test_alignment import generated_face
from tests.patience import PATIENCE_SECONDS
from tests.systems.windows_like import FORBIDDEN, OURS, PROCESSOR
from tests.systems.worlds import needs_proc, windows_environment

pytestmark = needs_proc

SERVER = """
from pathlib import Path
from server.app import create_app
from server.config import ServerConfig
from server.listen import listen
from server.run import run
from tests.client.fakes import LightStream, attributes
listener = listen("127.0.0.1", 0)
print(listener.getsockname()[1], flush=True)
run(create_app(ServerConfig(recordings=Path("films")), LightStream, attributes()), listener, None)
print("ended")
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return windows_environment(tmp_path / "world")


PROGRAM = """
import json, sys
from cli.main import main
for words in json.loads(sys.argv[1]):
    sys.argv[1:] = words
    try:
        main()
    except SystemExit as ended:
        if ended.code:
            raise
"""


def run_commands(environment: dict[str, str], *commands: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
    """Run commands of the program one after another in one process."""
    words = json.dumps([[str(word) for word in command] for command in commands])
    command = [sys.executable, "-c", PROGRAM, words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, encoding="utf-8", timeout=400)


@pytest.mark.slow
def test_a_server_edits_what_a_client_sends_and_is_stopped_by_ctrl_c(
    environment: dict[str, str], tmp_path: Path
) -> None:
    source, target = write_clip(tmp_path / "in.mp4", (0, 100, 200)), tmp_path / "out.mp4"
    command = [sys.executable, "-c", SERVER]
    with subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = f"http://127.0.0.1:{int(server.stdout.readline())}"
        done = run_commands(environment, ["client", "file", source, target, "--server", address, "--set", "smile=1"])
        assert done.returncode == 0 and "3 frames" in done.stdout, done.stderr
        server.send_signal(signal.SIGINT)
        assert server.stdout.read() == "ended\n"
        assert server.wait() == 0
    assert pictures_of(target).mean() > pictures_of(source).mean() + 40


def pictures_of(film: Path) -> NDArray[np.uint8]:
    with av.open(str(film)) as container:
        return np.stack([frame.to_ndarray(format="gray") for frame in container.decode(video=0)]).astype(np.uint8)


RECORD = """
import sys
from pathlib import Path
from rigid.files.credentials import own_credentials
from server.recording.recording import Recording
from tests.server.recording.test_recordings import PLENTY, frame, kept
folder = Path(sys.argv[1])
recording = Recording(folder / "a.mp4", "", PLENTY, own_credentials(folder.parent / "signing"), lambda: None)
for i in range(30):
    recording.offer(frame(3000 * i, 50 + i), {"smile": 0.5})
    while i - recording.describe()["frames"] > 5:
        pass
while recording.describe()["frames"] < 30:
    pass
kept(folder).recover()
assert not recording.finished.done() and len(list(folder.iterdir())) == 3, list(folder.iterdir())
if sys.argv[2] == "end":
    recording.stop("asked")
    recording.finished.result(60)
    assert recording.state == "done"
else:
    import os
    os.kill(os.getpid(), 9)
"""
RECOVER = """
import sys
from pathlib import Path
from cli.main import run
from tests.server.recording.test_recordings import kept
kept(Path(sys.argv[1])).recover()
run(["verify", sys.argv[1] + "/a.mp4"])
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", ["end", "kill"])
def test_a_film_is_recorded_signed_and_finished(how: str, environment: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "films"
    folder.mkdir()
    command = [sys.executable, "-c", RECORD, str(folder), how]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == (0 if how == "end" else -signal.SIGKILL), done.stderr
    command = [sys.executable, "-c", RECOVER, str(folder)]
    told = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8")
    assert "smile 0.5" in told.stdout, told.stderr
    assert [path.name for path in folder.iterdir()] == ["a.mp4"]


GIVE_UP = """
import signal
import sys
from pathlib import Path
from rigid.workers import work_through
from tests.systems.half_done import open_begun
if __name__ == "__main__":
    folder = Path(sys.argv[1])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in a shell's background job
    work = work_through([folder / "first", folder / "second"], open_begun, 2)
    assert next(work).result == "seen"
    work.close()
"""


def test_work_that_is_given_up_leaves_nothing_half_done(environment: dict[str, str], tmp_path: Path) -> None:
    script, folder = tmp_path / "give_up.py", tmp_path / "work"
    script.write_text(GIVE_UP, "utf-8")
    folder.mkdir()
    subprocess.run([sys.executable, str(script), str(folder)], env=environment, check=True, timeout=PATIENCE_SECONDS)
    assert [path.name for path in folder.iterdir()] == ["begun"]


@pytest.mark.parametrize(
    ("work", "memory", "seconds"),
    [("kept = [b'x' * 2**24 for _ in range(64)]", 300 << 20, 60), ("while True: pass", 1 << 40, 1)],
)
def test_a_process_is_ended_where_the_system_does_not_bound_it(
    work: str, memory: int, seconds: int, environment: dict[str, str]
) -> None:
    limit = f"from rigid.operating_system import limit_process\nlimit_process({memory}, {seconds})\n"
    command = [sys.executable, "-c", f"{limit}{work}\nwhile True: pass"]
    done = subprocess.run(command, env=environment, timeout=PATIENCE_SECONDS)
    assert done.returncode == TOO_MUCH


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, store: AssetStore) -> Path:
    """A picture, a film whose long name holds what no code page has, and a cache with the models alone."""
    made = tmp_path_factory.mktemp("windows")
    face = generated_face(store.cache_dir)
    cv2.imwrite(str(made / "face.png"), face[..., ::-1])
    size = face.shape[1], face.shape[0]
    write_clip(made / f"{'微笑' * 35}.mp4", (0, 40), size=size, picture=lambda number, size: face)
    store.ensure_all(["generator", "face-landmarks"])
    for path in (store.cache_dir / "assets").rglob("*"):
        target = made / "cache" / path.relative_to(store.cache_dir)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            os.link(path, target)
    return made


@pytest.mark.slow
def test_files_are_edited_from_the_first_start_on(folder: Path, environment: dict[str, str]) -> None:
    environment |= {"RIGID_LIVE_CACHE": str(folder / "cache")}
    film = next(folder.glob("*.mp4"))
    options = ["--set", "smile=1", "--engine", "openvino"]
    commands: list[Sequence[str | Path]] = []
    for source, target in ((folder / "face.png", "smile.png"), (film, f"{film.stem}2.mp4")):
        commands += [("edit", source, folder / target, *options), ("verify", folder / target)]
    done = run_commands(environment, *commands)
    assert done.returncode == 0 and done.stdout.count("edited with AI") == 2, done.stderr
    names = [path.name for path in folder.rglob("*")]
    assert not [name for name in names if FORBIDDEN.search(name) or ".part" in name or "unfinished" in name]


@pytest.mark.slow
def test_it_serves_and_is_stopped_by_ctrl_c(environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "cli.main", "serve", "--port", "0"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None and server.stderr is not None
        ready = re.match(r"Ready \(.*\): open (\S+)", server.stdout.readline())
        assert ready is not None, server.stderr.read()
        assert httpx.get(f"{ready[1]}/readyz", timeout=PATIENCE_SECONDS).status_code == 200
        server.send_signal(signal.SIGINT)
        assert (server.stdout.read(), server.stderr.read(), server.wait()) == ("", "", 0)


def test_other_commands_run(environment: dict[str, str]) -> None:
    commands = ["bench", "--help"], ["attributes", "list"], ["models", "list"], ["engines", "list"]
    done = run_commands(environment, *commands)
    assert done.returncode == 0, done.stderr


IMPORT_ALL = """
import importlib, json, pkgutil, sys
for package in sys.argv[1:]:
    found = importlib.import_module(package)
    for module in pkgutil.walk_packages(found.__path__, f"{package}."):
        # what needs an extra, or a GPU's libraries
        if not module.name.startswith(("server.cluster", "engines.backends.tensorrt", "engines.backends.torch_")):
            importlib.import_module(module.name)
from rigid.assets.store import AssetStore
from server.bench.diagnosis import Checks, diagnose
# All but how fast it is.
print(json.dumps(diagnose("mobile-256", "auto", AssetStore(), Checks(measure_path=lambda *_: {}))))
"""


@pytest.mark.slow
def test_every_module_is_imported_and_the_machine_is_diagnosed(environment: dict[str, str]) -> None:
    command = [sys.executable, "-c", IMPORT_ALL, *OURS]
    done = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["machine"]["processor"] == PROCESSOR and report["problems"] == []
