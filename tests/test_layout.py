"""Who may import whom, read from the sources; and what pure parts load when they are imported."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent

MAY_IMPORT = {
    "rigid": {"rigid"},
    "engines": {"engines", "rigid"},
    "export": {"export", "engines", "rigid"},
    "aiortc_fixes": {"aiortc_fixes"},
    "server": {"server", "engines", "rigid", "aiortc_fixes"},
    "client": {"client", "aiortc_fixes"},
    "cli": {"cli", "server", "client", "export", "engines", "rigid"},
}
"""Our packages, and which of them each may import."""

ROOMS = {
    "rigid": """arrays operating_system geometry fields progress reporting stopwatch atomic_files workers assets models
        checkpoints face edits inversion composite stream files training discovery evaluation""",
    "server": """errors tls logs healthcheck ice_servers setting config access webrtc frames recording readiness metrics
        uploads session http cluster backend bench app listen run""",
}
"""Folders and modules of a package in the order of the frame and of the session: each imports from those before it."""

ENGINES_TAKE_FROM_RIGID = ("rigid.arrays", "rigid.operating_system", "rigid.models", "rigid.assets")

SERVICE = {"asyncio", "fastapi", "starlette", "uvicorn", "aiortc", "typer", "http"}
ENGINES = {"openvino", "onnxruntime", "onnx", "tensorrt", "tensorrt_rtx_bindings", "torch_tensorrt"}

EXCEPTIONS = {
    ("rigid/assets/sources.py", "http"),
    ("rigid/training/fast_inference.py", "openvino"),
    ("rigid/models/openvino_core.py", "openvino"),
    ("rigid/face/task_nets.py", "openvino"),
}
"""The model store is an HTTP client; training may compute its samples with an engine; the generator's weights are
read with OpenVINO, of which a process has one core; it runs the small nets that find and follow a face, too."""

PURE_MODULES = ("rigid.models", "rigid.training", "rigid.evaluation.metrics")
"""These, and all modules below them, import without what only the running product needs."""

NOT_IN_PURE_MODULES = {"mediapipe", "fastapi", "starlette", "uvicorn", "aiortc"}


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@cache
def imports(path: Path) -> list[str]:
    """Every module that a file imports, anywhere in it; `from a import b` counts as a.b, which covers both."""
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


def dotted(path: Path) -> str:
    """A file as the module that it is."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def below(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(package + ".") for package in packages)


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_packages_import_only_what_they_may(package: str) -> None:
    forbidden = set(MAY_IMPORT) - MAY_IMPORT[package]
    found = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in sources(package)
        for module in imports(path)
        if module.partition(".")[0] in forbidden
    ]
    assert sources(package) and not found


def room_of(module: str) -> str:
    return module.split(".")[1]


@pytest.mark.parametrize("package", ROOMS)
def test_rooms_import_only_from_those_before_them(package: str) -> None:
    order = ROOMS[package].split()
    inside = (ROOT / package).iterdir()
    there = {path.stem for path in inside if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert there - {"__init__"} == set(order)
    found = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in sources(package)
        if path.parent != ROOT / package or path.stem != "__init__"
        for module in imports(path)
        if below(module, (package,)) and order.index(room_of(module)) > order.index(room_of(dotted(path)))
    ]
    assert not found


ELSEWHERE = {"tests/engines/test_contract.py", "tests/client/test_page.py", "tests/training/test_pack_training.py"}
"""What every engine must do, by what `rigid/models/contract.py` asks; what a browser shows; what a script packs of data
as training has."""


def test_tests_lie_where_their_module_does() -> None:
    """A test with the name of a module is in that module's room; others tell by theirs what they are about."""
    rooms: dict[str, set[Path]] = {}
    for path in (path for package in (*MAY_IMPORT, "scripts") for path in sources(package)):
        module = path.parent if path.stem == "__init__" else path
        for folder in {module.parent, path.parent}:
            room = folder.relative_to(ROOT).as_posix().removeprefix("rigid").strip("/.")
            rooms.setdefault(module.stem, set()).add(ROOT / "tests" / room)
    tests = [path for path in sources("tests") if path.stem.startswith("test_")]
    found = {
        path.relative_to(ROOT).as_posix()
        for path in tests
        if path.parent not in rooms.get(path.stem.removeprefix("test_"), {path.parent})
    }
    assert found == ELSEWHERE


def test_engines_take_only_arrays_networks_and_assets_from_rigid() -> None:
    found = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in sources("engines")
        for module in imports(path)
        if below(module, ("rigid",)) and not below(module, ENGINES_TAKE_FROM_RIGID)
    ]
    assert not found


def test_the_algorithm_knows_no_event_loop_server_or_engine() -> None:
    found = {
        (str(path.relative_to(ROOT)), module.partition(".")[0])
        for path in sources("rigid")
        for module in imports(path)
        if module.partition(".")[0] in SERVICE | ENGINES
    }
    assert found <= EXCEPTIONS


RAY = {"server/cluster": "server.cluster", "cli/cluster.py": "cli.cluster"}
"""Where Ray may be imported, or what imports it."""


@pytest.mark.slow
def test_a_lone_server_never_loads_ray() -> None:
    """Neither when all of it is imported, nor when it starts."""
    found = [
        (str(path.relative_to(ROOT)), module)
        for package in MAY_IMPORT
        for path in sources(package)
        if not str(path.relative_to(ROOT)).startswith(tuple(RAY))
        for module in imports(path)
        if below(module, ("ray", "server.cluster"))
    ]
    assert not found
    modules = [
        dotted(path)
        for package in ("server", "cli")
        for path in sources(package)
        if not str(path.relative_to(ROOT)).startswith("server/cluster")
    ]
    code = f"""
import asyncio, importlib, sys
for name in {modules!r}:
    importlib.import_module(name)
from server.app import create_app
from server.config import ServerConfig
from tests.server.world import LIBRARY, PaintingStream
async def live():
    app = create_app(ServerConfig(), PaintingStream, LIBRARY)
    async with app.router.lifespan_context(app):
        await asyncio.sleep(0)
asyncio.run(live())
assert "ray" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def pure_modules() -> list[str]:
    return [name for name in map(dotted, sources("rigid")) if below(name, PURE_MODULES)]


@pytest.mark.slow
def test_pure_modules_load_no_face_detector_or_server() -> None:
    """Imported for real, all in one process, as a module may load another that loads it."""
    code = f"""
import importlib, sys
for name in {pure_modules()!r}:
    importlib.import_module(name)
    loaded = {sorted(NOT_IN_PURE_MODULES)!r}
    assert not set(loaded) & set(sys.modules), f"{{name}} loads {{set(loaded) & set(sys.modules)}}"
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["server.backend, server.app, engines.backends.openvino_engine", "rigid.files.edit, rigid.stream.face_stream"],
)
def test_what_serves_and_edits_starts_without_pytorch(name: str) -> None:
    code = f"import sys, {name}; print([name for name in ('torch', 'onnx', 'export') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_every_package_is_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) == set(MAY_IMPORT)
    assert all((ROOT / package / "__init__.py").exists() for package in MAY_IMPORT)


def declared(*, dev: bool, gpus: bool = False) -> set[str]:
    """The distributions that the project file asks for, those of its extras too, names normalised.

    `gpus`: those for NVIDIA GPUs too, which no lock file for all machines can pin.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = (
        project["dependencies"]
        + extras["train"]
        + extras["evaluate"]
        + extras["virtualcam"]
        + extras["cluster"]
        + (extras["dev"] if dev else [])
        + (extras["tensorrt"] + extras["torch-tensorrt"] + extras["tensorrt-rtx"] if gpus else [])
    )
    return {normalised(re.split(r"[<>=!~\[; ]", requirement)[0]) for requirement in wanted}


def normalised(distribution: str) -> str:
    return distribution.lower().replace("_", "-")


FOR_GPUS = {"tensorrt_rtx_bindings": ["tensorrt-rtx-cu13-bindings"], "torch_tensorrt": ["torch-tensorrt"]}
"""Modules of extras that are installed where there is such a GPU, and what brings them."""


def test_what_is_imported_is_declared() -> None:
    """Nothing is used only because another library happens to bring it."""
    # dlib-bin lists only its compiled part as a module of its own
    known = {**packages_distributions(), "dlib": ["dlib-bin"], **FOR_GPUS}
    for dev, packages in ((False, list(MAY_IMPORT)), (True, ["tests"])):
        tops = {
            module.partition(".")[0] for package in packages for path in sources(package) for module in imports(path)
        }
        foreign = tops - set(sys.stdlib_module_names) - set(MAY_IMPORT) - {"tests", "scripts", "__future__"}
        undeclared = {
            top for top in foreign if not set(map(normalised, known.get(top, [top]))) & declared(dev=dev, gpus=True)
        }
        assert not undeclared


LOCKS = ("requirements.lock", "requirements-dev.lock")


def locked(name: str) -> dict[str, tuple[str, list[str]]]:
    """The version of each distribution that a lock file pins, and the SHA-256 of its files; every line is looked at."""
    text = re.sub(r"\\\n", " ", re.sub(r"^ *#.*\n", "", (ROOT / name).read_text("utf-8"), flags=re.MULTILINE))
    pins: dict[str, tuple[str, list[str]]] = {}
    for line in text.splitlines():
        pinned = re.fullmatch(r"([a-z0-9-]+)==(\S+)((?: +--hash=sha256:[0-9a-f]{64})*) *", line)
        assert pinned is not None, f"{name}: {line}"
        pins[pinned[1]] = (pinned[2], pinned[3].split())
    return pins


@pytest.mark.parametrize("name", LOCKS)
def test_the_lock_has_the_hashes_of_everything_but_torch(name: str) -> None:
    pins = locked(name)
    assert [distribution for distribution, (_, hashes) in pins.items() if not hashes] == []
    assert "torch" not in pins
    assert list(locked("requirements-torch.lock")) == ["torch"]


def test_the_lock_pins_every_dependency_within_its_bounds() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = {
        "requirements.lock": [*project["dependencies"], "hatchling", "editables"],
        "requirements-dev.lock": project["dependencies"] + extras["dev"] + extras["train"] + extras["release"],
    }
    for name in LOCKS:
        pins = locked(name) | locked("requirements-torch.lock")
        for requirement in [one for one in map(Requirement, wanted[name]) if one.name != "pip"]:
            assert requirement.specifier.contains(pins[normalised(requirement.name)][0], prereleases=True), requirement
    # pip is what installs them
    assert declared(dev=True) <= set(locked("requirements-dev.lock")) | {"torch", "pip"}


def test_serving_installs_nothing_that_only_training_needs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    training = {normalised(Requirement(text).name) for text in project["optional-dependencies"]["train"]}
    assert {"torch", "mediapipe", "matplotlib", "onnx"} < training
    assert not training & set(locked("requirements.lock"))
    assert training <= set(locked("requirements-dev.lock")) | {"torch"}


def test_both_locks_agree() -> None:
    assert locked("requirements.lock").items() <= locked("requirements-dev.lock").items()


def test_the_locks_name_no_host() -> None:
    assert not [name for name in (*LOCKS, "requirements-torch.lock") if "://" in (ROOT / name).read_text("utf-8")]
