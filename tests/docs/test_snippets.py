"""Every command and snippet of README and docs is run here, or says why it cannot be.

A block that no test can run carries the reason in a comment on the line above it, `<!-- not run: REASON -->`, and one
that another test runs names it, `<!-- run by tests/PATH -->`.

- `rigid-live` lines go through the program's own parser, with the work itself left out; those that only tell are run.
- `curl` lines are sent, to a server without sessions.
- `make` lines must name a target; those below are the ones that CI itself, or a person, runs.
- Python runs, JSON and YAML are read.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer.main
import yaml

from cli.main import app, run
from rigid.edits.library import load_library
from rigid.stream.face_stream import FaceStream
from server.app import create_app
from server.config import ServerConfig

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>[^\n]*?) -->\n+)?^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^ *```$", re.M | re.S
)
TELLING = ("attributes list", "models list")
"""What only prints, and fetches nothing."""
NOT_RUN = {
    "docker": "needs a container engine; the files it reads are linted",
    "pip": "installs packages",
    "pipx": "installs packages",
    "uv": "installs packages",
    "cp": "copies a file that is there",
    "python": "tests/training calls what these scripts are made of",
    "tar": "opens what a script packs; its test opens it too",
    "torchrun": "tests/training runs the same code in two processes",
    "openssl": "makes a secret",
    "git": "changes a repository",
    "ffmpeg": "makes or shows a file of the reader's",
    "ffplay": "makes or shows a file of the reader's",
    "gst-launch-1.0": "sends a camera or a file of the reader's",
    "npm": "tests/client runs the packages' own checks",
    "node": "tests/client runs the packages' own checks",
    "nvidia-smi": "needs an NVIDIA GPU",
    "pre-commit": "installs a hook; its commands are held to those of `make check`",
}
"""Programs of others, and why their lines are not run."""
ELSEWHERE = {"docs/sdk.md": "tests/client/test_sdk_docs.py"}
"""Pages whose Python and JavaScript another test runs as it stands."""


@dataclass(frozen=True)
class Snippet:
    """A fenced block."""

    page: str
    line: int
    language: str
    text: str
    mark: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def snippets() -> list[Snippet]:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [snippet for page in pages for snippet in _of(page.relative_to(ROOT).as_posix(), page.read_text("utf-8"))]


def _of(page: str, text: str) -> Iterator[Snippet]:
    for found in BLOCK.finditer(text):
        line = text.count("\n", 0, found.start("language")) + 1
        yield Snippet(page, line, found["language"], found["text"], found["mark"] or "")


ALL = snippets()
SCRIPTS = ("python", "py", "js", "javascript", "ts", "html")
RUN = [
    snippet
    for snippet in ALL
    if not snippet.mark.startswith(("not run: ", "run by "))
    and not (snippet.page in ELSEWHERE and snippet.language in SCRIPTS)
]


def commands(snippet: Snippet) -> Iterator[list[str]]:
    """Each command's words; comments and continued lines as a shell sees them."""
    text = snippet.text.replace("\\\n", " ")
    for line in text.splitlines():
        for part in re.split(r"\s&&\s", line):
            words = shlex.split(part, comments=True)
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                words.pop(0)
            if words[1:3] == ["-m", "cli.main"]:
                words = ["rigid-live", *words[3:]]
            if words:
                yield words


def of_kind(*languages: str) -> list[Any]:
    return [pytest.param(snippet, id=str(snippet)) for snippet in RUN if snippet.language in languages]


def test_there_are_snippets_and_marks_have_reasons() -> None:
    assert len(ALL) >= 15
    for snippet in ALL:
        if snippet.mark.startswith("run by "):
            assert (ROOT / snippet.mark.removeprefix("run by ").split()[0]).exists(), snippet
        elif snippet.mark.startswith("not run:"):
            assert len(snippet.mark) > 25, f"{snippet}: say why"
    assert all((ROOT / test).exists() for page, test in ELSEWHERE.items() if (ROOT / page).exists())
    unknown = [str(snippet) for snippet in RUN if snippet.language in SCRIPTS[2:]]
    assert not unknown, "name the test that runs them"


@pytest.fixture
def idle(monkeypatch: pytest.MonkeyPatch) -> Callable[..., object]:
    """The program, each of whose commands parses its arguments and then does nothing."""

    def empty(command: Any) -> None:
        for inner in getattr(command, "commands", {}).values():
            empty(inner)
        # Groups too: some do something by themselves.
        monkeypatch.setattr(command, "callback", lambda **_: None)

    group = typer.main.get_command(app)
    empty(group)
    return group


@pytest.mark.parametrize("snippet", of_kind("sh", "bash", "console"))
def test_the_program_takes_its_commands(
    snippet: Snippet, idle: Callable[..., object], capsys: pytest.CaptureFixture[str]
) -> None:
    for words in commands(snippet):
        if Path(words[0]).name == "rigid-live":
            assert run(words[1:], idle) == 0, f"{shlex.join(words)}: {capsys.readouterr().err}"


@pytest.mark.parametrize("snippet", of_kind("sh", "bash", "console"))
def test_every_other_command_is_known(snippet: Snippet) -> None:
    targets = re.findall(r"^([a-z-]+):(?!=)", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    for words in commands(snippet):
        name = Path(words[0]).name
        if name == "make":
            assert words[1] in targets, f"there is no target {words[1]}"
        else:
            assert name in ("rigid-live", "curl", *NOT_RUN), f"{snippet}: {name} is not run, and nothing says why"


@pytest.mark.parametrize("words", [word.split() for word in TELLING], ids=TELLING)
def test_commands_that_only_tell_run(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) == 0
    assert capsys.readouterr().out


def curl_lines() -> list[Any]:
    found = [words for snippet in RUN if snippet.language == "sh" for words in commands(snippet) if words[0] == "curl"]
    return [pytest.param(words, id=shlex.join(words)[:70]) for words in found]


@pytest.mark.parametrize("words", curl_lines())
async def test_curl_lines_are_answered(words: list[str]) -> None:
    request = as_request(words)
    transport = httpx.ASGITransport(create_app(ServerConfig(), no_stream, load_library("mobile-256")))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8080") as client:
        answer = await client.send(client.build_request(**request))
    if answer.status_code == 404:
        assert "ID" in shlex.join(words) and "session" in answer.json()["error"]["message"].lower(), answer.text
    elif request.get("content") == b"":
        # what a file of the reader's would hold is not here
        assert answer.status_code not in (405, 415), answer.text
    else:
        assert answer.status_code < 400 or answer.status_code == 503, answer.text


def no_stream() -> FaceStream:
    raise AssertionError("no session is opened")


def as_request(words: list[str]) -> dict[str, Any]:
    """What curl would send; fails on an option that is not known here."""
    request: dict[str, Any] = {"method": "GET", "headers": {}}
    rest = iter(words[1:])
    for word in rest:
        if word in ("-X", "--request"):
            request["method"] = next(rest)
        elif word in ("-H", "--header"):
            name, _, value = next(rest).partition(": ")
            request["headers"][name] = value
        elif word in ("-d", "--data", "--data-binary"):
            request["content"] = next(rest)
            request["method"] = "POST" if request["method"] == "GET" else request["method"]
            if request["content"].startswith("@"):
                request["content"] = b""
        elif word in ("-o", "--output"):
            next(rest)
        elif word not in ("-s", "-f", "-i", "-k", "-L", "-N", "--silent", "--fail", "--insecure"):
            assert not word.startswith("-"), f"{word} is not known here"
            request["url"] = re.sub(r"^(https?://)?[^/]+", "", word).replace("$ID", "an-ID")
    return request


@pytest.mark.parametrize("snippet", of_kind("python", "py"))
def test_python_runs(snippet: Snippet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(snippet.text, str(snippet), "exec"), {"__name__": "snippet"})


@pytest.mark.parametrize("snippet", of_kind("json"))
def test_json_is_json(snippet: Snippet) -> None:
    json.loads(snippet.text)


@pytest.mark.parametrize("snippet", of_kind("yaml", "yml"))
def test_yaml_is_yaml(snippet: Snippet) -> None:
    assert yaml.safe_load(snippet.text)
