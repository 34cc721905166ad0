"""`rigid-live bench networks` and `bench export`: how fast the networks alone are, and how alike on every engine."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cli.choices import Profile
from cli.errors import bad_input, fail, say
from cli.tables import AsJson, Column, print_json, print_rows

Untrained = Annotated[
    bool, typer.Option("--untrained", help="With random weights of full size, for a profile that has none yet.")
]


def bench_export(
    profile: Profile = "mobile-256",
    untrained: Untrained = False,
    as_json: AsJson = False,
) -> None:
    """Compare the exported networks on every engine with eager PyTorch, on fresh random inputs."""
    from export import ensure_exported
    from export.compare import worst_first
    from export.parity import check_parity, check_untrained
    from rigid.assets.store import AssetStore
    from rigid.models.profiles import sizes_of

    store = AssetStore()
    with bad_input():
        sizes_of(profile)
    if untrained:
        differences = check_untrained(profile, store)
    else:
        ensure_exported(profile, store, say)
        differences = check_parity(profile, store)
    named = ("engine", "precision", "graph", "batch", "largest", "mean", "decibels", "lpips")
    columns: dict[str, Column] = {**{name: name for name in named}, "within bounds": "passed"}
    print_rows((one.as_json() for one in worst_first(differences)), columns, as_json=as_json)
    if not all(difference.passed for difference in differences):
        fail("The exported networks do not agree with PyTorch; export them anew with `rigid-live export --force`.")


def bench_networks(
    profile: Profile = "mobile-256",
    untrained: Untrained = False,
    rounds: Annotated[int, typer.Option(min=1, help="How often the engines take turns.")] = 3,
    calls: Annotated[int, typer.Option(min=1, help="Frames of each engine in a turn.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Measure a frame's networks alone on every engine, in turn with eager PyTorch, beside the machine's bounds."""
    from engines.peak import measure_peak
    from export.parity import exports_of
    from export.timing import time_networks
    from rigid.assets.store import AssetStore
    from rigid.models.profiles import sizes_of
    from server.bench.benchmark import machine
    from server.bench.bounds import bounds_of

    with bad_input():
        sizes_of(profile)
    with exports_of(profile, AssetStore(), untrained=untrained) as (networks, folder):
        timings = time_networks(networks, folder, rounds=rounds, calls=calls)
        bounds = bounds_of(folder, measure_peak())
    engines = [timing.as_json() for timing in timings]
    if as_json:
        print_json({"machine": machine(), "profile": profile, "networks": engines, "bounds": bounds})
        return
    columns = {
        "engine": "engine",
        "graph": "graph",
        "ms": "wall_ms",
        "processor ms": "processor_ms",
        "times eager": "wall_ratio",
        "by processor ms": "processor_ratio",
    }
    print_rows(engines, columns)
    print_bounds(bounds)


def print_bounds(bounds: dict[str, Any]) -> None:
    """Print what `server.bench.bounds` says of each graph."""
    rows = [{"graph": name, **one} for name, one in bounds.items() if name != "peak"]
    columns: dict[str, Column] = {
        "graph": "graph",
        "at best ms in f32": lambda row: row["bound_ms"]["f32"],
        "bf16": lambda row: row["bound_ms"]["bf16"],
        "gflop": "gflop",
    }
    print_rows(rows, columns)
