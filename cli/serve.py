"""`rigid-live serve`: the live service and its page."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from cli.errors import BAD_INPUT, fail

if TYPE_CHECKING:
    from rigid.assets import AssetStore
    from server.backend import Backend
    from server.config import ServerConfig


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("serve")(serve)


def serve(
    host: Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 for the whole network.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The TCP port to listen on.")] = 8080,
    profile: Annotated[str, typer.Option(help="The networks' profile.")] = "mobile-256",
    engine: Annotated[str, typer.Option(help="What runs the networks: auto, openvino, onnxruntime or torch.")] = "auto",
    max_sessions: Annotated[int, typer.Option(metavar="N", help="More viewers than these are turned away.")] = 4,
    https: Annotated[bool, typer.Option("--https", help="Serve https with a self-signed certificate.")] = False,
    api_key: Annotated[
        str | None,
        typer.Option(metavar="KEY", envvar="RIGID_LIVE_API_KEY", help="Ask clients for this key, as a bearer token."),
    ] = None,
    ice_server: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL", help="stun:HOST:PORT or turn:USER:PASSWORD@HOST:PORT; may be repeated. None by default."
        ),
    ] = None,
    udp_port_range: Annotated[
        str | None, typer.Option(metavar="A-B", help="Receive video on these UDP ports only.")
    ] = None,
    expect_gpu: Annotated[
        bool,
        typer.Option("--expect-gpu", help="Say so at the start where no NVIDIA GPU can be used, and go on without."),
    ] = False,
    log_level: Annotated[str, typer.Option(help="critical, error, warning, info or debug.")] = "warning",
) -> None:
    """Edit live video: serve the page, the HTTP interface and WebRTC."""
    from rigid.assets import AssetStore
    from server.app import create_app
    from server.run import listen, run, urls
    from server.tls import self_signed

    try:
        config = _config(profile, engine, max_sessions, api_key, ice_server or [], udp_port_range)
        _check_log_level(log_level)
        listener = listen(host, port)
    except ValueError as error:
        fail(str(error), BAD_INPUT)
    if expect_gpu:
        _warn_without_gpu()
    store = AssetStore()
    backend = _load(config, store)
    addresses = urls(host, listener.getsockname()[1], secure=https)

    def warm_up() -> None:
        backend.warm_up()
        typer.echo(f"Ready ({backend.runtime.name}): open {' or '.join(addresses)}")

    config = replace(config, engine=backend.runtime.name)
    app = create_app(config, backend.make_stream, backend.library, warm_up=warm_up)
    run(app, listener, self_signed(store.cache_dir / "tls", [host]) if https else None, log_level)
    backend.runtime.close()


def _config(
    profile: str, engine: str, max_sessions: int, api_key: str | None, ice_servers: list[str], ports: str | None
) -> ServerConfig:
    """The settings, all checked; ValueError says what is wrong."""
    from engines import ENGINES
    from rigid.models.build import sizes_of
    from server.config import IceServer, PortRange, ServerConfig

    sizes_of(profile)
    if engine not in ("auto", *ENGINES):
        raise ValueError(f"There is no engine {engine!r}; choose one of: auto, {', '.join(ENGINES)}.")
    return ServerConfig(
        profile=profile,
        engine=engine,
        max_sessions=max_sessions,
        api_key=api_key,
        ice_servers=tuple(IceServer.parse(text) for text in ice_servers),
        udp_ports=None if ports is None else PortRange.parse(ports),
    )


def _check_log_level(name: str) -> None:
    import logging

    levels = ("critical", "error", "warning", "info", "debug")
    if name not in levels:
        raise ValueError(f"There is no log level {name!r}; choose one of: {', '.join(levels)}.")
    logging.basicConfig(level=name.upper())


def _warn_without_gpu() -> None:
    from engines.nvidia import gpu_problem

    problem = gpu_problem()
    if problem is not None:
        typer.echo(f"Warning: {problem} The processor does the work until then.", err=True)


def _load(config: ServerConfig, store: AssetStore) -> Backend:
    """Fetch, export and load what is missing; the listening socket keeps early visitors waiting meanwhile."""
    from engines import load_runtime
    from export import ensure_exported
    from rigid.attributes.library import load_library
    from server.backend import Backend

    landmarks = store.file("face-landmarks", "face_landmarker.task")
    if config.engine != "torch":
        ensure_exported(config.profile, store, lambda line: typer.echo(line, err=True))
    runtime = load_runtime(config.profile, config.engine, store=store, shared=True)
    return Backend(runtime, load_library(config.profile), landmarks)
