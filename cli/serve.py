"""`rigid-live serve`: the live service and its page."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from importlib import import_module
from threading import Thread
from typing import TYPE_CHECKING, Any

import typer

from cli import serve_options as options
from cli.choices import Engine, Profile
from cli.errors import BAD_INPUT, fail
from server.config import ServerConfig

if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket

    from fastapi import FastAPI

    from rigid.assets.store import AssetStore
    from rigid.files.credentials import Credentials
    from server.backend import Backend
    from server.tls import CertificateFiles


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("serve")(serve)


@options.ask_for_settings
def serve(
    host: options.Host = "127.0.0.1",
    port: options.Port = 8080,
    profile: Profile = "mobile-256",
    engine: Engine = "auto",
    https: options.Https = False,
    certificate: options.Certificate = None,
    private_key: options.PrivateKey = None,
    expect_gpu: options.ExpectGpu = False,
    c2pa_certificate: options.C2paCertificate = None,
    c2pa_key: options.C2paKey = None,
    cluster: options.Cluster = None,
    workers: options.Workers = None,
    worker_cpus: options.WorkerCpus = 2.0,
    worker_gpus: options.WorkerGpus = None,
    log_level: options.LogLevel = "warning",
    **settings: Any,
) -> None:
    """Edit live video: serve the page, the HTTP interface and WebRTC."""
    from rigid.assets.store import AssetStore
    from rigid.files.provenance import choose_credentials
    from server.listen import listen, urls
    from server.tls import load_given, names_for, self_signed

    try:
        check_choices(profile, engine, log_level)
        store = AssetStore()
        files = load_given(certificate, private_key)
        config = ServerConfig(profile=profile, engine=engine, **options.read_settings(settings))
        config = replace(config, allow_hosts=(*names_for(host, files), *config.allow_hosts))
        if config.recordings is not None:
            # it brings what serves, which is imported beside the loading of networks
            from server.recording.recordings import usable_folder

            usable_folder(config.recordings)
        credentials = choose_credentials(c2pa_certificate, c2pa_key, store.cache_dir / "signing")
        if cluster is not None and https and files is None:
            raise ValueError("--https makes a certificate for this machine; with --cluster give --certificate a file.")
        listener = listen(host, port)
    except ValueError as error:
        fail(str(error), BAD_INPUT)
    _warn_of_strangers(host, config)
    if cluster is not None:
        from cli.cluster import serve_on

        # Ray Serve is to listen there.
        listener.close()
        signing = (c2pa_certificate, c2pa_key)
        serve_on(cluster, config, workers, worker_cpus, worker_gpus, host, port, files, signing)
        return
    if expect_gpu:
        _warn_without_gpu()
    renew: Callable[[], object] = lambda: None  # noqa: E731
    if https and files is None:
        renew = partial(self_signed, store.cache_dir / "tls", [host])
        files = self_signed(store.cache_dir / "tls", [host])
    addresses = urls(host, listener.getsockname()[1], secure=files is not None)
    serve_here(config, store, credentials, listener, files, addresses, log_level, renew)


def serve_here(
    config: ServerConfig,
    store: AssetStore,
    credentials: Credentials | None,
    listener: socket,
    files: CertificateFiles | None,
    addresses: list[str],
    log_level: str,
    renew: Callable[[], object] = lambda: None,
    ready: Callable[[], object] = lambda: None,
) -> None:
    """Load the networks and serve until SIGINT or SIGTERM; `ready` is called on a thread once the page is."""
    from server.backend import open_backend

    # What serves is imported while the networks are loaded, most of which is done without Python's lock.
    importing = Thread(target=import_module, args=("server.app",), daemon=True)
    importing.start()
    backend = open_backend(config.profile, config.engine, store, max_faces=config.max_faces)
    importing.join()
    _warn_of_processor()

    def warm_up() -> None:
        backend.warm_up()
        typer.echo(f"Ready ({backend.runtime.name}): open {' or '.join(addresses)}")
        ready()

    from server.run import run

    run(app_of(backend, config, store, credentials, warm_up), listener, files, log_level, config.drain_seconds, renew)
    backend.runtime.close()


def check_choices(profile: str, engine: str, log_level: str) -> None:
    """Set up the log; ValueError where there is no such profile, engine or level."""
    from engines import check_engine
    from rigid.models.profiles import sizes_of
    from server.logs import LEVELS, set_up

    sizes_of(profile)
    check_engine(engine)
    if log_level not in LEVELS:
        raise ValueError(f"There is no log level {log_level!r}; choose one of: {', '.join(LEVELS)}.")
    set_up(log_level)


def app_of(
    backend: Backend,
    config: ServerConfig,
    store: AssetStore,
    credentials: Credentials | None,
    warm_up: Callable[[], None] | None = None,
) -> FastAPI:
    """The server with presets, pictures of the attributes, and a place for more of them."""
    from rigid.edits.importing import target_of
    from rigid.edits.presets import PresetStore, own_folder
    from rigid.models.profiles import optional_networks
    from server.app import create_app
    from server.backend import gallery_of

    runtime, presets = backend.runtime, PresetStore(backend.library, own_folder())
    for problem in presets.problems:
        typer.echo(f"Warning: {problem}", err=True)
    return create_app(
        replace(config, engine=runtime.name, networks=optional_networks(config.profile, runtime.sizes)),
        backend.make_stream,
        backend.library,
        warm_up=warm_up or backend.warm_up,
        presets=presets,
        gallery=gallery_of(backend, config.profile, store.cache_dir),
        uploads=target_of(config.profile),
        credentials=credentials,
        batches=backend.batches,
    )


def _warn_of_strangers(host: str, config: ServerConfig) -> None:
    from server.tls import is_loopback

    if not config.api_keys and not is_loopback(host):
        warning = f"Warning: everybody who reaches {host} may open and watch sessions; ask for a key with --api-key."
        typer.echo(warning, err=True)


def _warn_of_processor() -> None:
    from engines.machine import processor_problem

    problem = processor_problem()
    if problem is not None:
        typer.echo(f"Warning: {problem}", err=True)


def _warn_without_gpu() -> None:
    from engines.nvidia import gpu_problem

    problem = gpu_problem()
    if problem is not None:
        typer.echo(f"Warning: {problem} The processor does the work until then.", err=True)
