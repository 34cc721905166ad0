"""Release habits: one version, one list of checks, licences that are known."""

from __future__ import annotations

import json
import re
import tomllib
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from scripts.release_check import licence_problems, runtime_distributions, version_problems, write_licences
from scripts.wheels import PYTHONS, find_missing_wheels

ROOT = Path(__file__).parent.parent
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]


def test_the_version_stands_in_one_place() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", VERSION)
    assert version("rigid-live") == VERSION
    named = re.compile(rf"(?<![\d.]){re.escape(VERSION)}(?![\d.])")
    sources = [path for name in ("rigid", "engines", "export", "server", "cli") for path in (ROOT / name).rglob("*.py")]
    assert not [path for path in sources if named.search(path.read_text("utf-8"))]
    # npm wants its own; it must be the same
    assert json.loads((ROOT / "client" / "package.json").read_text("utf-8"))["version"] == VERSION


def test_the_commit_hook_checks_what_make_check_checks() -> None:
    recipes = re.findall(r"^(?:lint|types): .*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert len(recipes) == 2
    commands = [line.strip().replace("$(BIN)", ".venv/bin") for line in "".join(recipes).splitlines()]
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"][0]["hooks"]
    assert [hook["entry"] for hook in hooks] == [command for command in commands if command.startswith(".venv/bin")]


def test_every_library_has_a_licence_and_is_named(tmp_path: Path) -> None:
    assert len(runtime_distributions()) > 40
    assert list(licence_problems((ROOT / "THIRD_PARTY.md").read_text("utf-8"))) == []
    told = list(licence_problems("numpy and nothing else"))
    assert any("does not name openvino" in problem for problem in told)
    assert not any("numpy" in problem for problem in told)
    write_licences(tmp_path / "made" / "licences.md")
    assert "| numpy | " in (tmp_path / "made" / "licences.md").read_text("utf-8")


CHANGELOG = "# Changelog\n\n## [Unreleased]\n\n{unreleased}## [1.2.0]{date}\n\n- Something.\n"


@pytest.mark.parametrize(
    ("number", "unreleased", "date", "said"),
    [
        ("1.2.0", "", " - 2026-01-31", []),
        ("1.3.0", "- New.\n\n", " - 2026-01-31", ["has no section [1.3.0]"]),
        ("1.2.0", "", "", ["has no date"]),
        ("1.2.0", "- New.\n\n", " - 2026-01-31", ["still has entries under [Unreleased]"]),
    ],
)
def test_what_keeps_a_version_from_being_released(number: str, unreleased: str, date: str, said: list[str]) -> None:
    problems = list(version_problems(number, CHANGELOG.format(unreleased=unreleased, date=date)))
    assert len(problems) == len(said)
    assert all(words in problem for words, problem in zip(said, problems, strict=True))


def test_forms_for_issues_are_well_formed() -> None:
    forms = [path for path in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml"]
    assert len(forms) == 2
    for path in forms:
        form = yaml.safe_load(path.read_text("utf-8"))
        assert form["name"] and form["description"]
        assert all(field["type"] == "textarea" and field["attributes"]["label"] for field in form["body"])


def test_no_version_with_a_known_hole_may_be_installed() -> None:
    """The first versions without what is named beside them."""
    mended = {
        "torch": "2.6",  # CVE-2025-32434: torch.load ran code with weights_only=True
        "starlette": "0.49.1",  # CVE-2025-62727: a Range header took quadratic time
        "h11": "0.16",  # CVE-2025-43859: chunked bodies could hide a second request
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    required = [*project["dependencies"], *project["optional-dependencies"]["train"]]
    bounds = {Requirement(text).name: Requirement(text) for text in required}
    for name, first in mended.items():
        (bound,) = [one for one in bounds[name].specifier if one.operator == ">="]
        assert Version(bound.version) >= Version(first), name


@pytest.mark.slow
def test_what_is_no_wheel_for_a_system_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for tag in ("py3-none-any", "py3-none-manylinux_2_28_x86_64", "py3-none-win_amd64"):
        name = "everywhere" if tag.endswith("any") else "somewhere"
        with zipfile.ZipFile(tmp_path / f"{name}-1.0-{tag}.whl", "w") as wheel:
            info = f"{name}-1.0.dist-info"
            wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
            wheel.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
            wheel.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path))
    asked = tmp_path / "asked.lock"
    asked.write_text("everywhere==1.0\n", "utf-8")
    assert list(find_missing_wheels([("--requirement", str(asked))])) == []
    asked.write_text("everywhere==1.0\nsomewhere==1.0\n", "utf-8")
    told = list(find_missing_wheels([("--requirement", str(asked))]))
    assert len(told) == len(PYTHONS)
    assert all("asked.lock cannot be installed on macOS (Apple silicon) with Python 3.1" in line for line in told)
    assert all("somewhere==1.0 has no wheels" in line for line in told)
