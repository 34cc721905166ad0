#!/usr/bin/env python3
"""What must hold before a release, besides the tests: `make release-check` runs this at its end.

The version is named once and has its section in the changelog; every distribution that is installed with the program
has a licence that is known and is named in THIRD_PARTY.md; the wheel, installed into a clean environment, runs and
holds the page and the weights; all that it needs comes as wheels for each system.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

from scripts.wheels import find_missing_wheels

ROOT = Path(__file__).resolve().parent.parent
NEEDED_IN_WHEEL = (
    "client/demo.webm",
    "client/index.html",
    "rigid/assets/manifest.json",
    "rigid/graphs/mobile-256/invert.onnx",
    "rigid/weights/mobile-256/generator.safetensors",
    "server/app.py",
)
NOTICES = ("LICENSE", "NOTICE", "THIRD_PARTY.md")
LICENCE_WORDS = ("license", "licence")


def project() -> dict[str, object]:
    """The [project] table."""
    table: dict[str, object] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return table


def version_problems(version: str, changelog: str) -> Iterator[str]:
    """What keeps `version` from being released, a sentence each."""
    sections = re.findall(r"^## \[(.+?)\](?: - (\S+))?$", changelog, re.MULTILINE)
    names = [name for name, _ in sections]
    if version not in names:
        yield f"CHANGELOG.md has no section [{version}]; move what is under [Unreleased] there, with the date."
    for name, date in sections:
        if name != "Unreleased" and not re.fullmatch(r"\d{4}-\d\d-\d\d", date):
            yield f"The section [{name}] of CHANGELOG.md has no date; write ## [{name}] - YYYY-MM-DD."
    unreleased = re.search(r"^## \[Unreleased\]\n(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL)
    if version in names and unreleased and re.search(r"^- ", unreleased[1], re.MULTILINE):
        yield f"CHANGELOG.md still has entries under [Unreleased]; move them to [{version}]."


def runtime_distributions() -> dict[str, Distribution]:
    """Everything that `pip install rigid-live` brings, by normalised name, as it is installed here."""
    found: dict[str, Distribution] = {}
    waiting = [str(text) for text in distribution("rigid-live").requires or []]
    while waiting:
        requirement = Requirement(waiting.pop())
        name = normalise(requirement.name)
        if name in found or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            continue
        waiting += [str(text) for text in found[name].requires or []]
    return dict(sorted(found.items()))


def normalise(name: str) -> str:
    """Normalise a name as package indexes compare them."""
    return re.sub(r"[-_.]+", "-", name).lower()


def licence(of: Distribution) -> str:
    """What a distribution says of its licence; empty where it says nothing."""
    metadata = of.metadata
    fields = {name: metadata[name] for name in ("License-Expression", "License") if name in metadata}
    stated = fields.get("License-Expression", "")
    classifiers = [line.split(" :: ")[-1] for line in metadata.get_all("Classifier") or [] if "License ::" in line]
    lines = fields.get("License", "").strip().splitlines()
    return stated or "; ".join(classifiers) or (lines[0].strip() if lines else "") or _from_file(of)


def _from_file(of: Distribution) -> str:
    """The first words of a licence file, for distributions whose metadata is silent."""
    for file in of.files or []:
        if any(word in file.name.lower() for word in LICENCE_WORDS):
            lines = [line.strip() for line in file.read_text("utf-8").splitlines() if line.strip()]
            return lines[0] if lines else ""
    return ""


def licence_problems(third_party: str) -> Iterator[str]:
    """Distributions without a licence, or that THIRD_PARTY.md does not name."""
    words = {normalise(word) for word in re.findall(r"[A-Za-z0-9][\w.-]*[\w]", third_party)}
    for name, found in runtime_distributions().items():
        if not licence(found):
            yield f"{name} states no licence; find it out, and name it in THIRD_PARTY.md."
        # what PyTorch brings for CUDA comes with it and is NVIDIA's
        if name not in words and not name.startswith(("nvidia-", "cuda-", "triton")):
            yield f"THIRD_PARTY.md does not name {name} ({licence(found)})."


def build_problems(version: str) -> Iterator[str]:
    """Build the wheel, look into it, and run it from a clean environment that borrows the libraries of this one."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
        done = subprocess.run([*command, "--wheel-dir", name, str(ROOT)], capture_output=True, text=True, check=False)
        wheels = list(folder.glob("*.whl"))
        if done.returncode != 0 or not wheels:
            yield f"The wheel cannot be built: {(done.stderr or done.stdout).strip().splitlines()[-1]}"
            return
        names = zipfile.ZipFile(wheels[0]).namelist()
        for wanted in NEEDED_IN_WHEEL:
            if wanted not in names:
                yield f"The wheel lacks {wanted}."
        for notice in NOTICES:
            if not any(path.endswith(f"licenses/{notice}") for path in names):
                yield f"The wheel lacks {notice}."
        yield from _run_problems(wheels[0], folder / "clean", version)


def _run_problems(wheel: Path, environment: Path, version: str) -> Iterator[str]:
    venv.create(environment, with_pip=True)
    python = environment / "bin/python"
    libraries = next(Path(sys.prefix).glob("lib/python*/site-packages"))
    install = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(install, check=True)
    # the libraries alone: an editable install's own .pth is not read from PYTHONPATH
    told = subprocess.run(
        [str(environment / "bin/rigid-live"), "--version"],
        env={"PYTHONPATH": str(libraries), "PATH": "/usr/bin:/bin"}, cwd=environment, capture_output=True, text=True,
    )  # fmt: skip
    if told.stdout.strip() != f"rigid-live {version}":
        yield f"rigid-live --version of the wheel said {(told.stdout + told.stderr).strip()!r}."


def write_licences(path: Path) -> None:
    """A table of everything that is installed with the program, and its licence."""
    rows = [f"| {name} | {found.version} | {licence(found)} |" for name, found in runtime_distributions().items()]
    lines = ["# What is installed with RIGID Live", "", "| distribution | version | licence |", "|---|---|---|", *rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", "utf-8")


def main() -> None:
    """Print every problem; exit with 1 where there is one. `--licences FILE` only writes the table."""
    if sys.argv[1:2] == ["--licences"]:
        write_licences(Path(sys.argv[2]))
        return
    version = str(project()["version"])
    problems = [
        *version_problems(version, (ROOT / "CHANGELOG.md").read_text("utf-8")),
        *licence_problems((ROOT / "THIRD_PARTY.md").read_text("utf-8")),
        *build_problems(version),
        *find_missing_wheels(),
    ]
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"rigid-live {version}: " + (f"{len(problems)} problems" if problems else "ready to be released"))
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
