#!/usr/bin/env python3
"""Run the commands of a Dockerfile's target without a container engine: `scripts/try_dockerfile.py cpu`.

Everything happens in a folder of its own, which stands for the image's root: a clean virtual environment, only the
Dockerfile's own variables, the RUN lines in their order, then ENTRYPOINT and CMD until HEALTHCHECK is content, then the
stop signal. Lines that change the system itself are named and left out; what is written outside the cache volume while
the server runs is an error, as the image's root is read-only.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

NOT_RUN = {
    "system-packages": "installs Debian packages; `make test` runs the same script",
    "useradd": "adds a user to the system",
}
"""RUN lines that hold these words would change the machine itself."""
KEPT = ("LANG", "SSL_CERT_FILE", "http_proxy", "https_proxy", "no_proxy")
"""Of this machine's variables, with pip's, so that the network is found as it is here."""
START_SECONDS = 900
STOP_SECONDS = 20


@dataclass
class Stage:
    """One FROM with the lines below it."""

    name: str
    base: str
    lines: list[tuple[str, str]] = field(default_factory=list)
    """Instruction and its arguments."""


def read(path: Path) -> tuple[dict[str, str], list[Stage]]:
    """The global ARGs and the stages of a Dockerfile."""
    text = re.sub(r"\\\n", " ", re.sub(r"^\s*#.*\n", "", path.read_text("utf-8"), flags=re.MULTILINE))
    arguments: dict[str, str] = {}
    stages: list[Stage] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            stages.append(Stage(name.strip(), base.strip()))
        elif stages:
            stages[-1].lines.append((word, rest.strip()))
        else:
            arguments |= dict([rest.partition("=")[::2]])
    return arguments, stages


def chain(stages: list[Stage], target: str) -> list[Stage]:
    """The stages that `target` is made of, in the order to run them in."""
    known = {stage.name: stage for stage in stages}
    if target not in known:
        sys.exit(f"Error: there is no target {target!r}; choose one of: {', '.join(known)}.")
    needed: list[str] = []

    def need(name: str) -> None:
        stage = known.get(name)
        if stage is None or name in needed:
            return
        need(stage.base)
        for word, rest in stage.lines:
            if word == "COPY" and rest.startswith("--from="):
                need(rest.split()[0].removeprefix("--from="))
        needed.append(name)

    need(target)
    return [known[name] for name in needed]


class Image:
    """The folder that stands for the image, and the variables that its commands see."""

    def __init__(self, root: Path, arguments: dict[str, str]) -> None:
        self.root = root
        kept = {name: value for name, value in os.environ.items() if name in KEPT or name.startswith("PIP_")}
        self.outside = kept | {"PATH": "/usr/local/bin:/usr/bin:/bin"}
        self.arguments = arguments
        self.environment: dict[str, str] = {}
        self.folder = root
        self.image_lines: dict[str, str] = {}
        (root / "tmp").mkdir()

    def start(self, stage: Stage, bases: dict[str, tuple[dict[str, str], Path]]) -> None:
        """Begin a stage with the variables and in the folder of its base."""
        environment, self.folder = bases.get(stage.base, ({}, self.root))
        self.environment = dict(environment)
        print(f"== {stage.name} (from {stage.base})", flush=True)

    def path(self, text: str) -> Path:
        """Return where a path of the image lies here."""
        return self.root / text.lstrip("/") if text.startswith("/") else self.folder / text

    def variables(self) -> dict[str, str]:
        return self.outside | self.environment

    def do(self, word: str, rest: str) -> None:
        """Carry out one instruction."""
        if word in ("ENV", "ARG"):
            self._set(word, rest)
        elif word == "WORKDIR":
            self.folder = self.path(rest)
            self.folder.mkdir(parents=True, exist_ok=True)
        elif word == "COPY":
            self._copy([part for part in rest.split() if not part.startswith("--")], "--from=" in rest)
        elif word == "RUN":
            self._run(rest)
        else:
            self.image_lines[word] = rest

    def _set(self, word: str, rest: str) -> None:
        for name, separator, value in (part.partition("=") for part in shlex.split(rest)):
            if word == "ARG":
                value = self.arguments.get(name, value)
                if not value:
                    continue
            assert separator or word == "ARG"
            self.environment[name] = str(self.path(value)) if value.startswith("/") else self._expand(value)

    def _expand(self, text: str) -> str:
        known = self.variables()
        return re.sub(r"\$\{?(\w+)\}?", lambda match: known.get(match[1], ""), text)

    def _copy(self, paths: list[str], between: bool) -> None:
        *sources, target = paths
        if between:
            # all stages share one root, where what an earlier one made already lies in its place
            assert sources == [target] and self.path(target).exists(), f"{target} was not made"
            return
        for source in sources:
            here = Path.cwd() / source
            if here.is_file():
                place = self.path(target)
                place = place / here.name if target.endswith("/") else place
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(here, place)
            else:
                self._copy_tree(here, self.path(target))

    def _copy_tree(self, source: Path, target: Path) -> None:
        """What .dockerignore lets through: the names that it lists with `!`."""
        listed = [line[1:] for line in Path(".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")]
        for name in listed:
            place = target / name
            place.parent.mkdir(parents=True, exist_ok=True)
            if (source / name).is_dir():
                ignored = shutil.ignore_patterns("__pycache__", "*.pyc", "node_modules")
                shutil.copytree(source / name, place, dirs_exist_ok=True, ignore=ignored)
            else:
                shutil.copy2(source / name, place)

    def _run(self, command: str) -> None:
        for word, reason in NOT_RUN.items():
            if word in command:
                print(f"-- not run, as it {reason}: {command}", flush=True)
                return
        print(f"-> {command}", flush=True)
        began = time.monotonic()
        shell = ["/bin/bash", "-e", "-o", "pipefail", "-c", command]
        done = subprocess.run(shell, cwd=self.folder, env=self.variables(), check=False)
        if done.returncode != 0:
            sys.exit(f"Error: the command ended with {done.returncode}: {command}")
        print(f"   {time.monotonic() - began:.0f} s", flush=True)

    def serve(self) -> None:
        """ENTRYPOINT with CMD until HEALTHCHECK is content, then the stop signal."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = str(probe.getsockname()[1])
        environment = self.variables() | {"RIGID_LIVE_SERVE_PORT": port, "RIGID_LIVE_SERVE_HOST": "127.0.0.1"}
        command = json.loads(self.image_lines["ENTRYPOINT"]) + json.loads(self.image_lines["CMD"])
        check = json.loads(self.image_lines["HEALTHCHECK"].partition("CMD ")[2])
        before = self._list_written()
        print(f"-> {shlex.join(command)}", flush=True)
        process = subprocess.Popen([self._program(command[0]), *command[1:]], cwd=self.folder, env=environment)
        try:
            self._await_health(process, check, environment)
            process.send_signal(signal.SIGTERM)
            status = process.wait(STOP_SECONDS)
        finally:
            process.kill()
            process.wait()
        # uvicorn ends a server by the signal it was sent, once everything is closed
        if status not in (0, -signal.SIGTERM):
            sys.exit(f"Error: the server ended with {status}.")
        new = sorted(path for path, stamp in self._list_written().items() if before.get(path) != stamp)
        if new:
            sys.exit(f"Error: written on what is read-only in the image: {', '.join(new[:5])}")
        print("   ended when told to; nothing was written outside the cache and /tmp", flush=True)

    def _program(self, name: str) -> str:
        return str(shutil.which(name, path=self.variables()["PATH"]) or name)

    def _await_health(self, process: subprocess.Popen[bytes], check: list[str], environment: dict[str, str]) -> None:
        began = time.monotonic()
        while time.monotonic() - began < START_SECONDS:
            if process.poll() is not None:
                sys.exit(f"Error: the server ended with {process.returncode} before it was healthy.")
            command = [self._program(check[0]), *check[1:]]
            done = subprocess.run(command, cwd=self.folder, env=environment, check=False, capture_output=True)
            if done.returncode == 0:
                print(f"   healthy after {time.monotonic() - began:.0f} s", flush=True)
                return
            time.sleep(5)
        sys.exit(f"Error: not healthy within {START_SECONDS} s.")

    def _list_written(self) -> dict[str, int]:
        """Files that a read-only root would not let change, with their times."""
        free = (str(self.root / "tmp"), self.variables()["RIGID_LIVE_CACHE"])
        return {
            str(path): path.lstat().st_mtime_ns
            for path in self.root.rglob("*")
            if path.is_file() and not str(path).startswith(free)
        }


def main() -> None:
    """Run a target's commands; exit with 0 when all of them did what they should."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("target", help="the Dockerfile's target")
    parser.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--keep", action="store_true", help="leave the folder, and say where it is")
    options = parser.parse_args()
    os.chdir(Path(__file__).resolve().parent.parent)
    arguments, stages = read(Path("Dockerfile"))
    arguments |= dict(text.partition("=")[::2] for text in options.build_arg)
    root = Path(tempfile.mkdtemp(prefix="rigid-live-image-"))
    try:
        image = Image(root, arguments)
        finished: dict[str, tuple[dict[str, str], Path]] = {}
        for stage in chain(stages, options.target):
            image.start(stage, finished)
            for word, rest in stage.lines:
                image.do(word, rest)
            finished[stage.name] = image.environment, image.folder
        image.serve()
    finally:
        if options.keep:
            print(f"kept: {root}")
        else:
            shutil.rmtree(root)


if __name__ == "__main__":
    main()
