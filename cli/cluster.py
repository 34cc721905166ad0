"""`rigid-live cluster`, and `rigid-live serve --cluster`: the service on many machines."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from cli.errors import BAD_INPUT, FAILED, bad_input, fail, say
from cli.tables import AsJson, print_rows

if TYPE_CHECKING:
    from pathlib import Path
    from types import FrameType, ModuleType

    from fastapi import FastAPI

    from rigid.files.batch import OpenWorker, Report, Through
    from rigid.files.edit_job import EditJob
    from rigid.workers import Outcome
    from server.cluster.messages import Share
    from server.config import ServerConfig
    from server.tls import CertificateFiles

Given = TypeVar("Given")
AUTO = "auto"
"""The cluster that this machine is a node of."""
Address = Annotated[
    str, typer.Option(metavar="ADDRESS", help="Of the Ray cluster, HOST:PORT; auto for the one of this machine.")
]
commands = typer.Typer(help="Look after a service that runs on a Ray cluster.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.add_typer(commands, name="cluster")


@commands.command()
def status(address: Address = AUTO, as_json: AsJson = False) -> None:
    """List the workers, how they are, and what they carry."""
    service = join_cluster(address)
    found = _ask(service.workers)
    named = ("state", "address", "version", "sessions", "free")
    print_rows(found, {"worker": "name", **{name: name for name in named}}, as_json=as_json)
    for one in found:
        if one["problem"]:
            say(f"Warning: {one['problem']}")


@commands.command()
def drain(
    worker: Annotated[str, typer.Argument(metavar="WORKER", help="Its name; `cluster status` lists them.")],
    address: Address = AUTO,
    leave: Annotated[
        bool, typer.Option("--leave", help="Start no other worker on its node, which is to be taken away.")
    ] = False,
) -> None:
    """Move a worker's sessions to others and end it; another one begins in its place."""
    service = join_cluster(address)
    moved = _ask(lambda: service.drain(worker, replace=not leave))
    typer.echo(f"Worker {worker} has ended; {moved} sessions were moved.")


@commands.command()
def stop(address: Address = AUTO) -> None:
    """End the service on all nodes; the Ray cluster itself stays."""
    service = join_cluster(address)
    _ask(service.stop)
    typer.echo("The service has ended.")


def serve_on(
    address: str,
    config: ServerConfig,
    workers: str | None,
    cpus: float,
    gpus: float | None,
    host: str,
    port: int,
    files: CertificateFiles | None,
    signing: tuple[Path | None, Path | None],
) -> None:
    """Put the service on a cluster and attend to it until SIGINT or SIGTERM."""
    from server.cluster import service
    from server.cluster.messages import Share
    from server.cluster.roster import WorkerBounds
    from server.cluster.upkeep import Plan
    from server.listen import urls

    with bad_input():
        bounds = None if workers is None else WorkerBounds.parse(workers)
        Share(cpus, gpus or 0.0)
    join_cluster(address)
    share = Share(cpus, service.gpus_each() if gpus is None else gpus)
    plan = Plan(config, share, partial(build, signing=signing), bounds)
    _ask(lambda: service.start(plan, service.ListenAddress(host, port, files)))
    ended, at_once = _listen_for_signals()
    say("The workers load their networks ...")
    if not service.attend(ended, typer.echo, " or ".join(urls(host, port, secure=files is not None))):
        typer.echo("The service was ended from elsewhere.")
        return
    if config.drain_seconds > 0 and not at_once.is_set():
        say(f"Draining: no new sessions are taken, and those that run have {config.drain_seconds:g} s to end.")
    _ask(lambda: service.stop(at_once))


def _listen_for_signals() -> tuple[threading.Event, threading.Event]:
    """Set at SIGINT or SIGTERM, and set where it is to end at once: at SIGINT, or a second signal."""
    ended, at_once = threading.Event(), threading.Event()

    def end(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT or ended.is_set():
            at_once.set()
        ended.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    return ended, at_once


def build(config: ServerConfig, share: Share, signing: tuple[Path | None, Path | None] = (None, None)) -> FastAPI:
    """A worker's server, on its node: fetches, exports and loads there what is missing.

    `signing`: the certificate and the key that edited pictures are signed with, files of the node.
    """
    from cli.serve import app_of
    from rigid.assets.store import AssetStore
    from rigid.files.provenance import choose_credentials
    from server.backend import open_backend
    from server.recording.recordings import usable_folder

    store = AssetStore()
    if config.recordings is not None:
        usable_folder(config.recordings)
    credentials = choose_credentials(*signing, store.cache_dir / "signing")
    threads = max(1, int(share.cpus))
    backend = open_backend(config.profile, config.engine, store, threads, config.max_faces)
    return app_of(backend, config, store, credentials)


def batch_on(address: str, cpus: float) -> Through:
    """What does a batch's files on a cluster, each with so many processors; ends the program where it cannot."""
    service = join_cluster(address)
    share = _ask(lambda: service.batch_share(cpus))

    def through(jobs: Sequence[EditJob], open_worker: OpenWorker) -> Iterator[Outcome[EditJob, Report]]:
        from server.cluster.batch import work_through

        return work_through(jobs, open_worker, share)

    return through


def join_cluster(address: str) -> ModuleType:
    """Return the part of the server that needs Ray, once this process has joined the cluster; else ends the program."""
    from server.cluster import service

    _ask(lambda: service.connect(address))
    return service


def _ask(ask: Callable[[], Given]) -> Given:
    """Return what `ask` gives; ends the program in one sentence where the cluster does not go along."""
    from server.cluster.service import ClusterError

    try:
        return ask()
    except ValueError as error:
        fail(str(error), BAD_INPUT)
    except ClusterError as error:
        fail(str(error), FAILED)
