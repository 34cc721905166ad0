"""`rigid-live bench`: how fast this machine edits live video."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.errors import BAD_INPUT, FAILED, fail

if TYPE_CHECKING:
    from rigid.assets import AssetStore
    from rigid.models.contract import Runtime
    from server.backend import Backend
    from server.benchmark import BenchmarkJob, Measure


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("bench")(bench)


def bench(
    sessions: Annotated[str, typer.Option(metavar="N,…", help="How many viewers at once, one figure each.")] = "1,2,4",
    seconds: Annotated[float, typer.Option(min=0.1, help="How long each figure is measured.")] = 10.0,
    profile: Annotated[str, typer.Option(help="The networks' profile.")] = "mobile-256",
    engine: Annotated[str, typer.Option(help="What runs the networks: auto, openvino, onnxruntime or torch.")] = "auto",
    clip: Annotated[
        Path | None,
        typer.Option("--input", metavar="VIDEO", help="A clip with a face; without it, one is rendered."),
    ] = None,
    report: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the figures here.")] = None,
) -> None:
    """Measure the whole path of a frame at 640×480, beside eager PyTorch in the same run."""
    from engines import check_engine
    from rigid.edit import check_folder
    from server.benchmark import run_benchmark

    try:
        counts = _counts(sessions)
        check_engine(engine)
        if report is not None:
            check_folder(report)
        store, runtime = _load(profile, engine)
        job = _job(profile, clip, counts, seconds, store, runtime)
        done = run_benchmark(job, _backend(profile, store, runtime), lambda: _eager(profile, store), _print_measure)
        runtime.close()
    except ValueError as error:
        fail(str(error), BAD_INPUT)
    typer.echo(f"{done['speedup_vs_eager']} times as fast as eager PyTorch.")
    if report is not None:
        _write(report, done)


def _counts(text: str) -> list[int]:
    """`1,2,4` as numbers; ValueError when it is not of that form."""
    counts = [int(part) if part.strip().isdecimal() else 0 for part in text.split(",")]
    if min(counts) < 1:
        raise ValueError(
            f"--sessions is {text!r}; give whole numbers from 1 on with commas between them, such as 1,2,4."
        )
    return counts


def _load(profile: str, engine: str) -> tuple[AssetStore, Runtime]:
    from engines import load_runtime
    from export import ensure_exported
    from rigid.assets import AssetStore

    store = AssetStore()
    if engine != "torch":
        ensure_exported(profile, store, lambda line: typer.echo(line, err=True))
    return store, load_runtime(profile, engine, store=store)


def _job(
    profile: str, clip: Path | None, counts: list[int], seconds: float, store: AssetStore, runtime: Runtime
) -> BenchmarkJob:
    from rigid.models.build import build_mapping, mean_code
    from server.benchmark import BenchmarkJob
    from server.benchmark_clip import read_clip, render_clip

    frames = render_clip(runtime, build_mapping(store), mean_code(profile)) if clip is None else read_clip(clip)
    return BenchmarkJob(profile, frames, counts, seconds)


def _backend(profile: str, store: AssetStore, runtime: Runtime) -> Backend:
    from rigid.attributes.library import load_library
    from server.backend import Backend

    return Backend(runtime, load_library(profile), store.file("face-landmarks", "face_landmarker.task"))


def _eager(profile: str, store: AssetStore) -> Backend:
    from engines import load_runtime

    return _backend(profile, store, load_runtime(profile, "torch", store=store))


def _print_measure(engine: str, measured: Measure) -> None:
    stages = ", ".join(f"{stage} {milliseconds:.1f}" for stage, milliseconds in measured.stage_ms().items())
    p50, p95 = measured.frame_percentiles().values()
    typer.echo(
        f"{engine}, {measured.n} session{'s' * (measured.n > 1)}: {measured.fps:.2f} fps, "
        f"a frame {p50:.0f} ms (p95 {p95:.0f}); {stages} ms; process {measured.process_mb:.0f} MB"
    )


def _write(path: Path, done: dict[str, object]) -> None:
    try:
        path.write_text(json.dumps(done, indent=1), "utf-8")
    except OSError as error:
        fail(f"{path} could not be written: {error.strerror or error}.", FAILED)
