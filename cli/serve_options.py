"""The options of `rigid-live serve`: its own, one type each, and those that ask for the settings of the server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from server.config import ServerConfig
from server.setting import Setting

Host = Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 for the whole network.")]
Port = Annotated[int, typer.Option(help="The TCP port to listen on.")]
Https = Annotated[bool, typer.Option("--https", help="Serve https with a self-signed certificate.")]
Certificate = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Serve https with this certificate (chain), PEM.")
]
PrivateKey = Annotated[Path | None, typer.Option(metavar="FILE", help="The certificate's key, PEM.")]
ExpectGpu = Annotated[
    bool,
    typer.Option("--expect-gpu", help="Say so at the start where no NVIDIA GPU can be used, and go on without."),
]
C2paCertificate = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Sign what is kept of edited video with this certificate (chain), PEM."),
]
C2paKey = Annotated[Path | None, typer.Option(metavar="FILE", help="That certificate's key, P-256, PEM.")]
Cluster = Annotated[
    str | None,
    typer.Option(
        metavar="[ADDRESS]",
        help="Serve on all nodes of the Ray cluster at HOST:PORT; without an address, on that of this machine. "
        "--max-sessions and --max-watchers are then each worker's.",
    ),
]
Workers = Annotated[
    str | None,
    typer.Option(
        metavar="A-B",
        help="With --cluster: how many workers, by free capacity; as many as the nodes hold by default.",
    ),
]
WorkerCpus = Annotated[float, typer.Option(metavar="N", help="With --cluster: processors of a worker.")]
WorkerGpus = Annotated[
    float | None, typer.Option(metavar="N", help="With --cluster: GPUs of a worker; 1 where there are any.")
]
LogLevel = Annotated[str, typer.Option(help="critical, error, warning, info or debug.")]

FOLLOWED_BY = {
    **dict.fromkeys(("host", "port", "profile", "engine"), "max_sessions"),
    **dict.fromkeys(("https", "certificate", "private_key"), "api_key"),
    "expect_gpu": "allow_uploads",
}
"""Where in --help the command's own options stand among those of the settings; the others come last."""


def settings() -> Iterator[tuple[str, Setting, Parameter]]:
    """Each field of `ServerConfig` that an operator may set, how it is asked for, and the option that asks."""
    hints = get_type_hints(ServerConfig)
    for field in fields(ServerConfig):
        setting: Setting | None = field.metadata.get("setting")
        if setting is None:
            continue
        name, kind = setting.option or field.name, setting.type or hints[field.name]
        # Typer would offer the opposite beside a flag whose name it makes up itself.
        flag = [f"--{name.replace('_', '-')}"] if kind is bool else []
        option = typer.Option(
            setting.show(field.default), *flag, metavar=setting.metavar, help=setting.help, envvar=setting.variable
        )
        yield field.name, setting, Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=option, annotation=kind)


def read_settings(given: dict[str, Any]) -> dict[str, Any]:
    """The fields of `ServerConfig` that the options of `settings` ask for; ValueError says what is wrong."""
    return {name: setting.read(given[option.name]) for name, setting, option in settings()}


def ask_for_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that takes `**settings` an option for each of them."""
    own = [one for one in signature(command, eval_str=True).parameters.values() if one.kind is not one.VAR_KEYWORD]
    asked = [option for _, _, option in settings()]
    place = {option.name: number for number, option in enumerate(asked)}
    ordered = sorted([*own, *asked], key=lambda one: place.get(FOLLOWED_BY.get(one.name, one.name), len(place)))
    command.__signature__ = Signature(ordered)  # type: ignore[attr-defined]
    return command
