"""`rigid-live bench` and `bench scale`: how fast this machine edits live video."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.bench_networks import bench_export, bench_networks, print_bounds
from cli.choices import Engine, Profile
from cli.errors import bad_input, say
from cli.tables import AsJson, Column, print_json, print_rows

if TYPE_CHECKING:
    from rigid.assets.store import AssetStore
    from rigid.models.contract import Runtime
    from server.backend import Backend
    from server.bench.benchmark import BenchmarkJob
    from server.bench.measure import Measure

Clip = Annotated[
    Path | None, typer.Option("--input", metavar="VIDEO", help="A clip with a face; without it, one is rendered.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    commands = typer.Typer(
        invoke_without_command=True,
        help="Measure how fast this machine edits live video: without a command, a frame's whole path.",
    )
    commands.callback()(bench)
    commands.command("export")(bench_export)
    commands.command("scale")(bench_scale)
    commands.command("networks")(bench_networks)
    app.add_typer(commands, name="bench")


def bench(
    context: typer.Context,
    sessions: Annotated[
        str, typer.Option(metavar="N,…", help="How many viewers at once, one figure each.")
    ] = "1,2,4,8",
    seconds: Annotated[float, typer.Option(min=0.1, help="How long each figure is measured.")] = 10.0,
    profile: Profile = "mobile-256",
    engine: Engine = "auto",
    clip: Clip = None,
    as_json: AsJson = False,
    picture: Annotated[Path | None, typer.Option("--plot", metavar="FILE.png", help="Draw the figures.")] = None,
) -> None:
    """Measure the whole path of a frame at 640×480, beside eager PyTorch and the machine's bounds in the same run."""
    if context.invoked_subcommand is not None:
        return
    from engines import ENGINES, check_engine
    from rigid.atomic_files import check_folder
    from server.bench.benchmark import run_benchmark

    with bad_input():
        counts = _counts(sessions)
        check_engine(engine)
        if picture is not None:
            check_folder(picture)
        store, runtime = _load(profile, engine)
        job = _job(profile, clip, counts, seconds, store, runtime)
        load_eager = partial(_eager, profile, store) if ENGINES["torch"].installed else None
        done = run_benchmark(job, _backend(profile, store, runtime), load_eager, _tell)
        runtime.close()
        done |= _bounds(profile, engine, store)
    if load_eager is None:
        say("PyTorch is not installed, so there is no ratio to it; `pip install 'rigid-live[train]'` brings it.")
    if as_json:
        print_json(done)
    else:
        _print_benchmark(done)
    if picture is not None:
        from server.bench.plot import plot

        plot(done, picture)


def bench_scale(
    profile: Profile = "mobile-256", engine: Engine = "auto", clip: Clip = None, as_json: AsJson = False
) -> None:
    """Measure how cost grows with the batch and with the frame's size."""
    from engines import check_engine
    from server.bench.benchmark import machine, strong_edit
    from server.bench.scale import scale_batches, scale_resolutions

    with bad_input():
        check_engine(engine)
        store, runtime = _load(profile, engine)
        backend = _backend(profile, store, runtime)
        frames = _job(profile, clip, [1], 1.0, store, runtime).frames
        by_batch = scale_batches(runtime)
        by_size = scale_resolutions(backend.make_stream, frames, strong_edit(backend.library))
    name = runtime.name
    runtime.close()
    if as_json:
        print_json({"machine": machine(), "engine": name, "profile": profile, "batches": by_batch, "sizes": by_size})
        return
    for rows in (by_batch, by_size):
        print_rows(rows, {key.replace("_", " "): key for key in rows[0]})


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
    from rigid.assets.store import AssetStore

    store = AssetStore()
    return store, load_runtime(profile, engine, store=store, shared=True)


def _job(
    profile: str, clip: Path | None, counts: list[int], seconds: float, store: AssetStore, runtime: Runtime
) -> BenchmarkJob:
    from rigid.models.mapping import read_map
    from rigid.models.profiles import mean_code
    from server.bench.benchmark import BenchmarkJob
    from server.bench.clip import read_clip, render_clip

    frames = render_clip(runtime, read_map(profile, store), mean_code(profile)) if clip is None else read_clip(clip)
    return BenchmarkJob(profile, frames, counts, seconds)


def _backend(profile: str, store: AssetStore, runtime: Runtime) -> Backend:
    from rigid.edits.library import load_library
    from server.backend import Backend

    return Backend(runtime, load_library(profile), store.file("face-landmarks", "face_landmarker.task"))


def _eager(profile: str, store: AssetStore) -> Backend:
    from engines import load_runtime

    return _backend(profile, store, load_runtime(profile, "torch", store=store, shared=True))


def _bounds(profile: str, engine: str, store: AssetStore) -> dict[str, Any]:
    """What this machine could do at best; nothing where no networks are exported."""
    from engines.exports import export_folder
    from engines.peak import measure_peak
    from server.bench.bounds import bounds_of

    if engine == "torch":
        return {}
    return {"bounds": bounds_of(export_folder(profile, store), measure_peak())}


def _tell(engine: str, measured: Measure) -> None:
    """How far it is: a figure takes seconds, and the table comes last."""
    say(f"{engine}, {measured.n} session{'s' * (measured.n > 1)}: {measured.fps:.2f} frames a second")


def _print_benchmark(done: dict[str, Any]) -> None:
    rows = [{"engine": done["engine"], **one} for one in done["sessions"]]
    rows += [] if done["eager"] is None else [{"engine": "eager", **done["eager"]}]
    columns: dict[str, Column] = {
        "engine": "engine",
        "sessions": "n",
        "frames a second": "fps",
        "ms": lambda row: row["frame_ms"]["p50"],
        "p95": lambda row: row["frame_ms"]["p95"],
        "MB": "process_mb",
        "of these ms": "stage_ms",
    }
    print_rows(rows, columns)
    if done["eager"] is not None:
        typer.echo(f"{done['speedup_vs_eager']} times as fast as eager PyTorch.")
    if "bounds" in done:
        print_bounds(done["bounds"])
