"""What docs/sdk.md shows is run as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.conftest import OpenPage
from tests.client.fakes import light_app
from tests.client.serving import serving
from tests.client.test_page import sessions, strengths
from tests.patience import eventually

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent
TEXT = (ROOT / "docs" / "sdk.md").read_text("utf-8")
SERVER = "http://localhost:8080"


def snippets(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving(light_app(4)) as url:
        yield url


@pytest.mark.parametrize("code", snippets("python"), ids=["sync", "async"])
def test_python(code: str, address: str) -> None:
    assert code.count(SERVER) == 1
    command = [sys.executable, "-W", "error", "-c", code.replace(SERVER, address)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.browser
def test_javascript(address: str, open_page: OpenPage) -> None:
    (code,) = snippets("js")
    page = open_page(f"{address}/view.html")
    # A module's own imports become dynamic ones, so that it can be run in a page that is there already.
    body = re.sub(r'import (\{.*?\}) from "(.*?)";', r'const \1 = await import("\2");', code)
    page.evaluate(f"(async () => {{ {body}; window.filtered = filtered; }})()")
    assert page.evaluate("[filtered.kind, filtered.getSource()]") == ["video", "edited"]
    eventually(lambda: strengths(address) == {"smile": 0, "age": 1}, "the edits")
    page.evaluate("filtered.stop()")
    eventually(lambda: sessions(address) == [], "the session's end")


def test_the_commands_are_there() -> None:
    (client, verify) = snippets("sh")
    for line in [*client.splitlines(), *verify.splitlines()]:
        command = [sys.executable, "-m", "cli.main", *line.split()[1 : 3 if " client " in line else 2], "--help"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        for option in re.findall(r"--[a-z-]+", line):
            assert option in done.stdout
