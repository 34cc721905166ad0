"""`rigid-live serve`: the live service and its page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.errors import BAD_INPUT, fail

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI

    from rigid.assets import AssetStore
    from rigid.provenance import Credentials
    from server.backend import Backend
    from server.config import ServerConfig


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("serve")(serve)


def serve(
    host: Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 for the whole network.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The TCP port to listen on.")] = 8080,
    profile: Annotated[str, typer.Option(help="The networks' profile.")] = "mobile-256",
    engine: Annotated[
        str, typer.Option(help="What runs the networks: auto, or one that `engines list` names.")
    ] = "auto",
    max_sessions: Annotated[int, typer.Option(metavar="N", help="More sessions than these are turned away.")] = 4,
    max_watchers: Annotated[int, typer.Option(metavar="N", help="More viewers over WHEP are turned away.")] = 8,
    min_fps: Annotated[
        float,
        typer.Option(metavar="FPS", help="Turn a session away that would leave each with less; 0 asks for nothing."),
    ] = 4.0,
    latency_budget_ms: Annotated[
        float | None, typer.Option(metavar="MS", help="Keep pictures younger than this by doing less.")
    ] = None,
    https: Annotated[bool, typer.Option("--https", help="Serve https with a self-signed certificate.")] = False,
    certificate: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Serve https with this certificate (chain), PEM.")
    ] = None,
    private_key: Annotated[Path | None, typer.Option(metavar="FILE", help="The certificate's key, PEM.")] = None,
    api_key: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY",
            envvar="RIGID_LIVE_API_KEY",
            help="Ask clients for this key, as a bearer token; may be repeated.",
        ),
    ] = None,
    max_sessions_per_key: Annotated[
        int | None, typer.Option(metavar="N", help="More sessions than these of one key are turned away.")
    ] = None,
    requests_per_minute: Annotated[
        int | None, typer.Option(metavar="N", help="More requests than these of one key, or address, are turned away.")
    ] = None,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(metavar="ORIGIN", help="Let pages of https://HOST use the API; may be repeated. None by default."),
    ] = None,
    ice_server: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL",
            help="stun:HOST:PORT, turn:USER:PASSWORD@HOST:PORT, or with --turn-secret turn:HOST:PORT; may be repeated. "
            "None by default.",
        ),
    ] = None,
    turn_secret: Annotated[
        str | None,
        typer.Option(
            metavar="SECRET",
            envvar="RIGID_LIVE_TURN_SECRET",
            help="What the TURN servers share with this one; clients get credentials that expire.",
        ),
    ] = None,
    turn_seconds: Annotated[float, typer.Option(metavar="S", help="How long those credentials are valid.")] = 3600.0,
    udp_port_range: Annotated[
        str | None, typer.Option(metavar="A-B", help="Receive video on these UDP ports only.")
    ] = None,
    start_bitrate: Annotated[int, typer.Option(metavar="BPS", help="Of the video sent, at first.")] = 1_500_000,
    min_bitrate: Annotated[int, typer.Option(metavar="BPS", help="Of the video sent, at least.")] = 600_000,
    max_bitrate: Annotated[int, typer.Option(metavar="BPS", help="Of the video sent, at most.")] = 4_000_000,
    idle_seconds: Annotated[float, typer.Option(metavar="S", help="End a session without video after these.")] = 60.0,
    max_session_seconds: Annotated[
        float | None, typer.Option(metavar="S", help="End every session after these.")
    ] = None,
    resume_seconds: Annotated[
        float, typer.Option(metavar="S", help="How long a lost session can be gone on with.")
    ] = 60.0,
    drain_seconds: Annotated[
        float, typer.Option(metavar="S", help="How long sessions may go on after SIGTERM; no new ones are taken.")
    ] = 5.0,
    expect_gpu: Annotated[
        bool,
        typer.Option("--expect-gpu", help="Say so at the start where no NVIDIA GPU can be used, and go on without."),
    ] = False,
    allow_uploads: Annotated[
        bool, typer.Option("--allow-uploads", help="Let clients add attributes and presets, which stay here.")
    ] = False,
    recordings: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Let clients have their sessions recorded here; nothing is kept without it."
        ),
    ] = None,
    max_recording_seconds: Annotated[
        float, typer.Option(metavar="S", help="A recording ends by itself after these.")
    ] = 600.0,
    max_recording_mb: Annotated[
        float, typer.Option(metavar="MB", help="A recording ends by itself before it is larger.")
    ] = 256.0,
    no_badge: Annotated[
        bool, typer.Option("--no-badge", help="Leave “Edited with AI” out of pictures, unless a session asks for it.")
    ] = False,
    c2pa_certificate: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Sign what is kept of edited video with this certificate (chain), PEM."),
    ] = None,
    c2pa_key: Annotated[Path | None, typer.Option(metavar="FILE", help="That certificate's key, P-256, PEM.")] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="[ADDRESS]",
            help="Serve on all nodes of the Ray cluster at HOST:PORT; without an address, on that of this machine. "
            "--max-sessions and --max-watchers are then each worker's.",
        ),
    ] = None,
    workers: Annotated[
        str | None,
        typer.Option(
            metavar="A-B",
            help="With --cluster: how many workers, by free capacity; as many as the nodes hold by default.",
        ),
    ] = None,
    worker_cpus: Annotated[float, typer.Option(metavar="N", help="With --cluster: processors of a worker.")] = 2.0,
    worker_gpus: Annotated[
        float | None, typer.Option(metavar="N", help="With --cluster: GPUs of a worker; 1 where there are any.")
    ] = None,
    log_level: Annotated[str, typer.Option(help="critical, error, warning, info or debug.")] = "warning",
) -> None:
    """Edit live video: serve the page, the HTTP interface and WebRTC."""
    from rigid.assets import AssetStore
    from rigid.provenance import choose_credentials
    from server.recording import usable_folder
    from server.run import listen, run, urls
    from server.tls import given, self_signed

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
            turn_secret=turn_secret,
            turn_seconds=turn_seconds,
            start_bitrate=start_bitrate,
            min_bitrate=min_bitrate,
            max_bitrate=max_bitrate,
            idle_seconds=idle_seconds,
            max_session_seconds=max_session_seconds,
            resume_seconds=resume_seconds,
            drain_seconds=drain_seconds,
            badge=not no_badge,
            recordings=None if recordings is None else usable_folder(recordings),
            max_recording_seconds=max_recording_seconds,
            max_recording_bytes=round(max_recording_mb * 2**20),
        )
        store = AssetStore()
        credentials = choose_credentials(c2pa_certificate, c2pa_key, store.cache_dir / "signing")
        files = given(certificate, private_key)
        if cluster is not None:
            _check_for_cluster(https=https and files is None, allow_uploads=allow_uploads)
        listener = listen(host, port)
    except ValueError as error:
        fail(str(error), BAD_INPUT)
    if cluster is not None:
        from cli.cluster import serve_on

        # Ray Serve is to listen there.
        listener.close()
        signing = (c2pa_certificate, c2pa_key)
        serve_on(cluster, config, workers, worker_cpus, worker_gpus, host, port, files, signing)
        return
    if expect_gpu:
        _warn_without_gpu()
    backend = load_backend(config, store)
    addresses = urls(host, listener.getsockname()[1], secure=https or files is not None)

    def warm_up() -> None:
        backend.warm_up()
        typer.echo(f"Ready ({backend.runtime.name}): open {' or '.join(addresses)}")

    app = app_of(backend, replace(config, allow_uploads=allow_uploads), store, credentials, warm_up)
    if https and files is None:
        files = self_signed(store.cache_dir / "tls", [host])
    run(app, listener, files, log_level, config.drain_seconds)
    backend.runtime.close()


def _config(ice_servers: list[str], ports: str | None, **settings: Any) -> ServerConfig:
    """The settings, all checked; ValueError says what is wrong."""
    from server.config import PortRange, ServerConfig
    from server.turn import IceServer

    return ServerConfig(
        ice_servers=tuple(IceServer.parse(text) for text in ice_servers),
        udp_ports=None if ports is None else PortRange.parse(ports),
        **settings,
    )


def _check_choices(profile: str, engine: str, log_level: str) -> None:
    from engines import check_engine
    from rigid.models.build import sizes_of

    sizes_of(profile)
    check_engine(engine)
    _check_log_level(log_level)


def _check_log_level(name: str) -> None:
    import logging

    levels = ("critical", "error", "warning", "info", "debug")
    if name not in levels:
        raise ValueError(f"There is no log level {name!r}; choose one of: {', '.join(levels)}.")
    logging.basicConfig(level=name.upper())


def _check_for_cluster(*, https: bool, allow_uploads: bool) -> None:
    if https:
        raise ValueError("--https makes a certificate for this machine; with --cluster give --certificate a file.")
    if allow_uploads:
        raise ValueError(
            "--allow-uploads would leave attributes on one node; with --cluster import them on each: "
            "rigid-live attributes import."
        )


def app_of(
    backend: Backend,
    config: ServerConfig,
    store: AssetStore,
    credentials: Credentials | None,
    warm_up: Callable[[], None] | None = None,
) -> FastAPI:
    """The server with presets, pictures of the attributes, and a place for more of them."""
    from rigid.attributes.importing import target_of
    from rigid.attributes.presets import PresetStore, own_folder
    from server.app import create_app
    from server.backend import gallery_of

    presets = PresetStore(backend.library, own_folder())
    for problem in presets.problems:
        typer.echo(f"Warning: {problem}", err=True)
    return create_app(
        replace(config, engine=backend.runtime.name),
        backend.make_stream,
        backend.library,
        warm_up=warm_up or backend.warm_up,
        presets=presets,
        gallery=gallery_of(backend, config.profile, store.cache_dir),
        uploads=target_of(config.profile),
        credentials=credentials,
        batches=backend.batches,
    )


def _warn_without_gpu() -> None:
    from engines.nvidia import gpu_problem

    problem = gpu_problem()
    if problem is not None:
        typer.echo(f"Warning: {problem} The processor does the work until then.", err=True)


def load_backend(config: ServerConfig, store: AssetStore, threads: int | None = None) -> Backend:
    """Fetch, export and load what is missing; the listening socket keeps early visitors waiting meanwhile."""
    from engines import load_runtime
    from export import ensure_exported
    from rigid.attributes.library import load_library
    from rigid.models.build import mean_code
    from server.backend import Backend

    landmarks = store.file("face-landmarks", "face_landmarker.task")
    if config.engine != "torch":
        ensure_exported(config.profile, store, lambda line: typer.echo(line, err=True))
    runtime = load_runtime(config.profile, config.engine, store=store, threads=threads, shared=True)
    return Backend(runtime, load_library(config.profile), landmarks, mean_code(config.profile).numpy())
