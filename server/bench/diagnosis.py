"""What `rigid-live doctor` tells: the machine, what is installed, what was fetched and exported, and what limits."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines import EngineError, find_installed_engines, load_runtime
from engines.exports import weights_hash
from engines.fastest_engine import list_measurements
from engines.filling import require_exports
from engines.machine import features, gpus, processor_problem
from engines.registry import ENGINES
from rigid.assets.store import AssetError, AssetStore
from rigid.edits.library import load_library
from rigid.models.graph_weights import check_weights
from rigid.models.mapping import read_map
from rigid.models.profiles import mean_code, optional_networks
from server.backend import Backend
from server.bench.benchmark import machine, strong_edit
from server.bench.clip import render_clip
from server.bench.measure import STAGES, measure

MEASURE_SECONDS = 3.0
"""How long one session is measured."""
CLIP_FRAMES = 12


def diagnose(profile: str, engine: str, store: AssetStore, checks: Checks | None = None) -> dict[str, Any]:
    """Diagnose all, for JSON; what cannot be told is a sentence under `problems`. ValueError for unknown names."""
    checks = checks or Checks()
    problems: list[str] = []

    def attempt(work: Callable[[], Any]) -> Any:
        try:
            return work()
        except (AssetError, EngineError, OSError, ImportError) as error:
            problems.append(str(error))
            return None

    report: dict[str, Any] = {
        "machine": {**machine(), "python": platform.python_version(), "features": features(), "gpus": gpus()},
        "note": processor_problem() or "",
        "engines": {name: name in find_installed_engines() for name in ENGINES},
        "providers": providers(),
        "profile": profile,
        "weights": attempt(lambda: checks.hash_weights(profile, store)),
        "exports": attempt(lambda: str(checks.find_exports(profile, store))),
        "fastest": list_measurements(store),
    }
    problems += checks.check_weights(profile)
    report["path"] = attempt(lambda: checks.measure_path(profile, engine, store))
    report["problems"] = problems
    return report


def providers() -> dict[str, list[str]]:
    """What the engines' own runtimes offer here."""
    found: dict[str, list[str]] = {}
    if ENGINES["onnxruntime"].installed:
        import onnxruntime

        found["onnxruntime"] = list(onnxruntime.get_available_providers())
    if ENGINES["openvino"].installed:
        from rigid.models.openvino_core import get_shared_core

        core = get_shared_core()
        found["openvino"] = [
            f"{device}: {', '.join(core.get_property(device, 'OPTIMIZATION_CAPABILITIES'))}"
            for device in core.available_devices
        ]
    return found


def measure_path(profile: str, engine: str, store: AssetStore) -> dict[str, Any]:
    """Measure one session for a few seconds: the stages' medians, and the one that limits."""
    runtime = load_runtime(profile, engine, store=store, shared=True)
    try:
        library = load_library(profile)
        clip = render_clip(runtime, read_map(profile, store), mean_code(profile), CLIP_FRAMES)
        backend = Backend(runtime, library, store.file("face-landmarks", "face_landmarker.task"))
        backend.warm_up()
        measured = measure(backend.make_stream, clip, strong_edit(library), 1, MEASURE_SECONDS)
        stages = measured.stage_ms()
        limit = max(STAGES, key=lambda stage: stages[stage])
        return {
            "engine": runtime.name,
            "networks": optional_networks(profile, runtime.sizes),
            "fps": round(measured.fps, 1),
            "stage_ms": stages,
            "limit": limit,
        }
    finally:
        runtime.close()


@dataclass(frozen=True)
class Checks:
    """What a diagnosis asks of the networks; each may be stood in for."""

    hash_weights: Callable[[str, AssetStore], str] = weights_hash
    find_exports: Callable[[str, AssetStore], Path] = require_exports
    check_weights: Callable[[str], list[str]] = check_weights
    measure_path: Callable[[str, str, AssetStore], dict[str, Any]] = measure_path


def lines(report: dict[str, Any]) -> list[str]:
    """The report for a reader."""
    found = report["machine"]
    told = [
        f"Processor  {found['processor']}, {found['cores']} cores, {found['memory_gb']} GB",
        f"Features   {', '.join(found['features']) or 'none known'}",
        f"GPUs       {', '.join(found['gpus']) or 'none'}",
        f"Versions   Python {found['python']}, {', '.join(' '.join(item) for item in found['versions'].items())}",
        f"Engines    {', '.join(name for name, there in report['engines'].items() if there)}",
        *(f"Providers  {name}: {'; '.join(offered)}" for name, offered in report["providers"].items()),
        f"Weights    {report['profile']} {str(report['weights'])[:16]}",
        f"Exports    {report['exports'] or 'none'}",
        *(
            f"Measured   {', '.join(f'{name} {ms:.0f} ms' for name, ms in times.items())}"
            for times in report["fastest"]
        ),
    ]
    if report["path"]:
        path = report["path"]
        told += [f"Network    {name.replace('_', ' ')} {state}" for name, state in path["networks"].items()]
        stages = ", ".join(f"{stage} {taken:.0f} ms" for stage, taken in path["stage_ms"].items())
        told.append(f"One viewer {path['fps']} frames a second on {path['engine']}: {stages}")
        told.append(f"Limit      {path['limit']}")
    told += [f"Note       {report['note']}"] if report["note"] else []
    return told + [f"Problem    {problem}" for problem in report["problems"]]
