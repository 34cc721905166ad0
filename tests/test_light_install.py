"""What serves, edits, measures and verifies runs without the extra `train`, and libraries keep quiet meanwhile."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from cli.errors import EXTRAS
from client import DEMO_FILM
from rigid.assets.store import AssetStore
from tests.face.test_alignment import generated_face

pytestmark = pytest.mark.slow

WITHOUT = {"torch", "mediapipe", "matplotlib", "onnx", "onnxscript", "tensorboardX", "dlib", "ray", "pyvirtualcam"}
PROGRAM = f"""
import importlib.machinery, json, sys

find = importlib.machinery.PathFinder.find_spec

class Light(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in {WITHOUT!r} else find(name, path, target)

sys.meta_path[:] = [Light if finder is importlib.machinery.PathFinder else finder for finder in sys.meta_path]
from cli.main import run
statuses = [run(arguments) for arguments in json.loads(sys.argv[1])]
assert not {WITHOUT!r} & set(sys.modules)
print(json.dumps(statuses))
"""


def run_light(*commands: list[str]) -> tuple[list[int], str, str]:
    """The exit statuses of commands in a process without what `WITHOUT` names, what they print, and what they warn."""
    command = [sys.executable, "-c", PROGRAM, json.dumps(commands)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    *printed, statuses = done.stdout.splitlines()
    return json.loads(statuses), "\n".join(printed), done.stderr


def test_files_are_edited_and_verified(store: AssetStore, tmp_path: Path) -> None:
    picture, edited, report = (tmp_path / name for name in ("face.png", "edited.png", "report.json"))
    cv2.imwrite(str(picture), generated_face(store.cache_dir)[..., ::-1])
    statuses, printed, warned = run_light(
        ["edit", str(picture), str(edited), "--set", "smile=1", "--report", str(report)],
        ["verify", str(edited)],
        ["client", "--help"],
        ["attributes", "list"],
        ["models", "verify"],
        ["engines", "list"],
    )
    assert statuses == [0] * 6 and json.loads(report.read_text())["face_frames"] == 1
    assert "edited with AI" in printed
    assert [line for line in warned.splitlines() if not line.startswith("Editing face.png")] == []


def test_this_machine_is_diagnosed_and_measured() -> None:
    options = ["--engine", "openvino", "--input", str(DEMO_FILM), "--sessions", "1", "--seconds", "0.2"]
    statuses, printed, warned = run_light(["doctor"], ["bench", *options, "--json"])
    diagnosis, brace, measured = printed.partition("{")
    assert statuses == [0, 0] and "One viewer" in diagnosis and "face parser ready" in diagnosis
    done = json.loads(brace + measured)
    assert done["sessions"][0]["edited_frames"] > 0 and done["speedup_vs_eager"] is None
    told = [line for line in warned.splitlines() if "1 session: " not in line]
    assert len(told) == 1 and told[0].startswith("PyTorch is not installed, so there is no ratio to it; ")


def test_it_serves() -> None:
    command = [sys.executable, "-c", PROGRAM, json.dumps([["serve", "--port", "0"]])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline().startswith("Ready (")
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == "[0]\n"
        assert process.stderr.read() == ""
        assert process.wait() == 0


def test_what_needs_an_extra_says_which() -> None:
    missing = {
        "train generator --preset smoke": "torch",
        "models import nothing.pt --as e4e": "torch",
        "attributes discover --out .": "torch",
        "export --precision int8": "onnx",
        "bench export": "onnx",
    }
    statuses, printed, warned = run_light(*map(str.split, missing))
    assert statuses == [1] * len(missing) and printed == ""
    for line, (command, library) in zip(warned.splitlines(), missing.items(), strict=True):
        assert f"run `pip install 'rigid-live[{EXTRAS[library]}]'`." in line, command
