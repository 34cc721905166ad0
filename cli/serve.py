"""`rigid-live serve`: the live service and its page."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import typer

from cli import serve_options as options
from cli.choices import Engine, Profile
from cli.errors import BAD_INPUT, fail

if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket

    from fastapi import FastAPI

    from rigid.assets.store import AssetStore
    from rigid.files.provenance import Credentials
    from server.backend import Backend
    from server.config import ServerConfig
    from server.tls import CertificateFiles


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("serve")(serve)


def serve(
    host: options.Host = "127.0.0.1",
    port: options.Port = 8080,
    profile: Profile = "mobile-256",
    engine: Engine = "auto",
    max_sessions: options.MaxSessions = 4,
    max_watchers: options.MaxWatchers = 8,
    min_fps: options.MinFps = 4.0,
    latency_budget_ms: options.LatencyBudgetMs = None,
    https: options.Https = False,
    certificate: options.Certificate = None,
    private_key: options.PrivateKey = None,
    api_key: options.ApiKey = None,
    max_sessions_per_key: options.MaxSessionsPerKey = None,
    requests_per_minute: options.RequestsPerMinute = None,
    allow_origin: options.AllowOrigin = None,
    allow_host: options.AllowHost = None,
    ice_server: options.IceServer = None,
    turn_secret: options.TurnSecret = None,
    turn_seconds: options.TurnSeconds = 3600.0,
    udp_port_range: options.UdpPortRange = None,
    start_bitrate: options.StartBitrate = 1_500_000,
    min_bitrate: options.MinBitrate = 600_000,
    max_bitrate: options.MaxBitrate = 4_000_000,
    max_picture_side: options.MaxPictureSide = 4096,
    idle_seconds: options.IdleSeconds = 60.0,
    max_session_seconds: options.MaxSessionSeconds = None,
    resume_seconds: options.ResumeSeconds = 60.0,
    drain_seconds: options.DrainSeconds = 5.0,
    expect_gpu: options.ExpectGpu = False,
    allow_uploads: options.AllowUploads = False,
    recordings: options.Recordings = None,
    max_recording_seconds: options.MaxRecordingSeconds = 600.0,
    max_recording_mb: options.MaxRecordingMb = 256.0,
    min_free_mb: options.MinFreeMb = 512.0,
    recordings_quota_mb: options.RecordingsQuotaMb = None,
    no_badge: options.NoBadge = False,
    c2pa_certificate: options.C2paCertificate = None,
    c2pa_key: options.C2paKey = None,
    cluster: options.Cluster = None,
    workers: options.Workers = None,
    worker_cpus: options.WorkerCpus = 2.0,
    worker_gpus: options.WorkerGpus = None,
    log_level: options.LogLevel = "warning",
) -> None:
    """Edit live video: serve the page, the HTTP interface and WebRTC."""
    from rigid.assets.store import AssetStore
    from rigid.files.provenance import choose_credentials
    from server.recording.recordings import usable_folder
    from server.run import listen, urls
    from server.tls import load_given, names_for, self_signed

    try:
        _check_choices(profile, engine, log_level)
        config = _config(
            ice_server or [],
            udp_port_range,
            profile=profile,
            engine=engine,
            max_sessions=max_sessions,
            max_watchers=max_watchers,
            min_fps=min_fps,
            latency_budget_ms=latency_budget_ms,
            api_keys=tuple(api_key or ()),
            max_sessions_per_key=max_sessions_per_key,
            requests_per_minute=requests_per_minute,
            allow_origins=tuple(allow_origin or ()),
            allow_hosts=(*names_for(host, load_given(certificate, private_key)), *(allow_host or ())),
            turn_secret=turn_secret,
            turn_seconds=turn_seconds,
            start_bitrate=start_bitrate,
            min_bitrate=min_bitrate,
            max_bitrate=max_bitrate,
            max_picture_side=max_picture_side,
            idle_seconds=idle_seconds,
            max_session_seconds=max_session_seconds,
            resume_seconds=resume_seconds,
            drain_seconds=drain_seconds,
            allow_uploads=allow_uploads,
            badge=not no_badge,
            recordings=None if recordings is None else usable_folder(recordings),
            max_recording_seconds=max_recording_seconds,
            max_recording_bytes=round(max_recording_mb * 2**20),
            min_free_bytes=round(min_free_mb * 2**20),
            recordings_quota_bytes=None if recordings_quota_mb is None else round(recordings_quota_mb * 2**20),
        )
        store = AssetStore()
        credentials = choose_credentials(c2pa_certificate, c2pa_key, store.cache_dir / "signing")
        files = load_given(certificate, private_key)
        if cluster is not None:
            _check_for_cluster(https=https and files is None)
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
    _serve_here(config, store, credentials, listener, files, addresses, log_level, renew)


def _serve_here(
    config: ServerConfig,
    store: AssetStore,
    credentials: Credentials | None,
    listener: socket,
    files: CertificateFiles | None,
    addresses: list[str],
    log_level: str,
    renew: Callable[[], object],
) -> None:
    """Load the networks and serve until SIGINT or SIGTERM."""
    from server.run import run

    backend = load_backend(config, store)

    def warm_up() -> None:
        backend.warm_up()
        typer.echo(f"Ready ({backend.runtime.name}): open {' or '.join(addresses)}")

    run(app_of(backend, config, store, credentials, warm_up), listener, files, log_level, config.drain_seconds, renew)
    backend.runtime.close()


def _config(ice_servers: list[str], ports: str | None, **settings: Any) -> ServerConfig:
    """The settings, all checked; ValueError says what is wrong."""
    from server.config import ServerConfig, parse_udp_ports
    from server.ice_servers import IceServer

    return ServerConfig(
        ice_servers=tuple(IceServer.parse(text) for text in ice_servers),
        udp_ports=None if ports is None else parse_udp_ports(ports),
        **settings,
    )


def _check_choices(profile: str, engine: str, log_level: str) -> None:
    from engines import check_engine
    from rigid.models.profiles import sizes_of

    sizes_of(profile)
    check_engine(engine)
    _check_log_level(log_level)


def _check_log_level(name: str) -> None:
    from server.logs import LEVELS, set_up

    if name not in LEVELS:
        raise ValueError(f"There is no log level {name!r}; choose one of: {', '.join(LEVELS)}.")
    set_up(name)


def _check_for_cluster(*, https: bool) -> None:
    if https:
        raise ValueError("--https makes a certificate for this machine; with --cluster give --certificate a file.")


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


def _warn_without_gpu() -> None:
    from engines.nvidia import gpu_problem

    problem = gpu_problem()
    if problem is not None:
        typer.echo(f"Warning: {problem} The processor does the work until then.", err=True)


def load_backend(config: ServerConfig, store: AssetStore, threads: int | None = None) -> Backend:
    """Fetch, export and load what is missing; the listening socket keeps early visitors waiting meanwhile."""
    from engines.exports import is_exported
    from server.backend import open_backend

    if config.engine != "torch" and not is_exported(config.profile, store):
        from export import ensure_exported

        ensure_exported(config.profile, store, lambda line: typer.echo(line, err=True))
    return open_backend(config.profile, config.engine, store, threads)
