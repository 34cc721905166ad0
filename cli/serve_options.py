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

SESSIONS, ACCESS, VIDEO, KEPT = "Sessions", "Who may use it", "Video, and its way", "What is kept"
MANY_MACHINES = "Many machines"
PANELS = (None, SESSIONS, ACCESS, VIDEO, KEPT, MANY_MACHINES)
"""Titles under which --help lists options; None for those that stand first."""
BEGIN = {
    "max_sessions": SESSIONS,
    "api_key": ACCESS,
    "ice_server": VIDEO,
    "idle_seconds": SESSIONS,
    "allow_uploads": KEPT,
}
"""The settings, in their order, from which on another title holds."""

Host = Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 for the whole network.")]
Port = Annotated[int, typer.Option(help="The TCP port to listen on.")]
Https = Annotated[
    bool, typer.Option("--https", help="Serve https with a self-signed certificate.", rich_help_panel=ACCESS)
]
Certificate = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Serve https with this certificate (chain), PEM.", rich_help_panel=ACCESS),
]
PrivateKey = Annotated[
    Path | None, typer.Option(metavar="FILE", help="The certificate's key, PEM.", rich_help_panel=ACCESS)
]
ExpectGpu = Annotated[
    bool,
    typer.Option("--expect-gpu", help="Say so at the start where no NVIDIA GPU can be used, and go on without."),
]
C2paCertificate = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Sign what is kept of edited video with this certificate (chain), PEM.",
        rich_help_panel=KEPT,
    ),
]
C2paKey = Annotated[
    Path | None, typer.Option(metavar="FILE", help="That certificate's key, P-256, PEM.", rich_help_panel=KEPT)
]
Cluster = Annotated[
    str | None,
    typer.Option(
        metavar="[ADDRESS]",
        help="Serve on all nodes of the Ray cluster at HOST:PORT; without an address, on that of this machine. "
        "--max-sessions and --max-watchers are then each worker's.",
        rich_help_panel=MANY_MACHINES,
    ),
]
Workers = Annotated[
    str | None,
    typer.Option(
        metavar="A-B",
        help="With --cluster: how many workers, by free capacity; as many as the nodes hold by default.",
        rich_help_panel=MANY_MACHINES,
    ),
]
WorkerCpus = Annotated[
    float,
    typer.Option(metavar="N", help="With --cluster: processors of a worker.", rich_help_panel=MANY_MACHINES),
]
WorkerGpus = Annotated[
    float | None,
    typer.Option(
        metavar="N", help="With --cluster: GPUs of a worker; 1 where there are any.", rich_help_panel=MANY_MACHINES
    ),
]
LogLevel = Annotated[str, typer.Option(help="critical, error, warning, info or debug.")]


def settings() -> Iterator[tuple[str, Setting, Parameter]]:
    """Each field of `ServerConfig` that an operator may set, how it is asked for, and the option that asks."""
    hints, panel = get_type_hints(ServerConfig), None
    for field in fields(ServerConfig):
        setting: Setting | None = field.metadata.get("setting")
        if setting is None:
            continue
        name, kind = setting.option or field.name, setting.type or hints[field.name]
        panel = BEGIN.get(name, panel)
        # Typer would offer the opposite beside a flag whose name it makes up itself.
        flag = [f"--{name.replace('_', '-')}"] if kind is bool else []
        option = typer.Option(
            setting.show(field.default),
            *flag,
            metavar=setting.metavar,
            help=setting.help,
            envvar=setting.variable,
            rich_help_panel=panel,
        )
        yield field.name, setting, Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=option, annotation=kind)


def read_settings(given: dict[str, Any]) -> dict[str, Any]:
    """The fields of `ServerConfig` that the options of `settings` ask for; ValueError says what is wrong."""
    return {name: setting.read(given[option.name]) for name, setting, option in settings()}


def ask_for_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command that takes `**settings` an option for each of them."""
    own = [one for one in signature(command, eval_str=True).parameters.values() if one.kind is not one.VAR_KEYWORD]
    asked = [option for _, _, option in settings()]
    ordered = sorted([*own, *asked], key=lambda one: PANELS.index(_panel_of(one)))
    command.__signature__ = Signature(ordered)  # type: ignore[attr-defined]
    return command


def _panel_of(parameter: Parameter) -> str | None:
    (option,) = getattr(parameter.annotation, "__metadata__", (parameter.default,))
    title: str | None = option.rich_help_panel
    return title
