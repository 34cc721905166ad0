"""`rigid-live client`: a file, a webcam or a virtual camera through a server elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.choices import C2paCertificate, C2paKey, NoSign, choose_signing
from cli.errors import BAD_INPUT, bad_input, fail, say
from client.python.camera_systems import find_camera_system

if TYPE_CHECKING:
    from client.python.devices import Screen
    from client.python.sync import Client

SYSTEM = find_camera_system()
commands = typer.Typer(help="Send video through a server elsewhere.", no_args_is_help=True)

Server = Annotated[str, typer.Option(metavar="URL", help="The server's address.")]
Edits = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=STRENGTH", help="An edit, such as smile=0.8; repeatable.")
]
Key = Annotated[
    str | None, typer.Option(metavar="KEY", envvar="RIGID_LIVE_API_KEY", help="The key, where the server asks for one.")
]
Insecure = Annotated[bool, typer.Option("--insecure", help="Accept a self-signed certificate.")]
NoBadge = Annotated[bool, typer.Option("--no-badge", help="Leave “Edited with AI” out of the picture.")]
Camera = Annotated[
    str,
    typer.Option(
        metavar="CAMERA",
        help=f"Its number or name (such as {SYSTEM.example}); `client cameras` lists them.",
    ),
]
Size = Annotated[str, typer.Option(metavar="WxH", help="The picture's size.")]
LOCAL = "http://localhost:8080"


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.add_typer(commands, name="client")


@commands.command()
def file(
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="The video to edit.")],
    target: Annotated[Path, typer.Argument(metavar="OUTPUT", help="Where the result goes.")],
    server: Server = LOCAL,
    set_: Edits = None,
    key: Key = None,
    insecure: Insecure = False,
    no_badge: NoBadge = False,
    no_sign: NoSign = False,
    c2pa_certificate: C2paCertificate = None,
    c2pa_key: C2paKey = None,
) -> None:
    """Send a video file through a server, every frame of it; the sound is kept."""
    from client.python.files import edit_file
    from client.python.http import LiveError
    from rigid.files.provenance import mark_file
    from rigid.files.timeline import parse_edit
    from rigid.progress import show_progress

    make_client = _maker(server, set_ or [], key, insecure, no_badge)
    try:
        signing = choose_signing(no_sign, c2pa_certificate, c2pa_key)
        with make_client() as client, show_progress(f"Sending {source.name}", None, "frames") as update:
            done = edit_file(source, target, client, lambda frames, total: update(frames))
        edits = dict(map(parse_edit, set_ or []))
        note = mark_file(target, signing, edits, source) if signing is not None and any(edits.values()) else ""
    except ValueError as error:
        fail(str(error), BAD_INPUT)
    except (LiveError, OSError) as error:
        fail(str(error))
    if note:
        say(f"Note: {note}")
    typer.echo(f"{target}: {done.frames} frames, edited at {server}.")


@commands.command()
def cameras(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the cameras of this machine."""
    from client.python.cameras import list_cameras

    found = list_cameras(SYSTEM)
    if as_json:
        typer.echo(json.dumps([asdict(camera) for camera in found], indent=1))
        return
    for number, camera in enumerate(found):
        typer.echo(f"{number}: {camera}")
    if not found:
        say(f"This machine tells of no camera; connect one, or {SYSTEM.permission}.")


@commands.command()
def webcam(
    server: Server = LOCAL,
    set_: Edits = None,
    camera: Camera = "0",
    size: Size = "640x480",
    key: Key = None,
    insecure: Insecure = False,
    no_badge: NoBadge = False,
) -> None:
    """Show this machine's camera, edited, in a window."""
    from client.python.devices import Window

    _live(lambda width, height: Window(), camera, size, _maker(server, set_ or [], key, insecure, no_badge))


@commands.command()
def virtualcam(
    server: Server = LOCAL,
    set_: Edits = None,
    camera: Camera = "0",
    size: Size = "640x480",
    fps: Annotated[float, typer.Option(help="Pictures a second of the virtual camera.")] = 30.0,
    device: Annotated[
        str | None, typer.Option(help=f"Its name, such as {SYSTEM.virtual_example}; else the first one.")
    ] = None,
    key: Key = None,
    insecure: Insecure = False,
    no_badge: NoBadge = False,
) -> None:
    """Offer this machine's camera, edited, to other programs as a camera."""
    from client.python.devices import VirtualCamera

    def screen(width: int, height: int) -> VirtualCamera:
        opened = VirtualCamera(width, height, fps, device)
        typer.echo(f"Choose the camera {opened.device} in your video call; Ctrl+C ends.")
        return opened

    _live(screen, camera, size, _maker(server, set_ or [], key, insecure, no_badge))


def _maker(server: str, edits: list[str], key: str | None, insecure: bool, no_badge: bool) -> Callable[[], Client]:
    from client.python.sync import Client
    from rigid.files.timeline import parse_edit

    with bad_input():
        wanted = dict(map(parse_edit, edits))
    return lambda: Client(server, key=key, verify=not insecure, badge=not no_badge, reconnect=True, **wanted)


def _live(make_screen: Callable[[int, int], Screen], camera: str, size: str, make_client: Callable[[], Client]) -> None:
    from client.python.cameras import webcam
    from client.python.devices import SessionKeeper, parse_size, show_live

    try:
        width, height = parse_size(size)
        with webcam(camera, width, height) as pictures:
            shown = show_live(pictures, SessionKeeper(make_client), make_screen(width, height))
    except ValueError as error:
        fail(str(error), BAD_INPUT)
    except KeyboardInterrupt:
        return
    typer.echo(f"{shown} pictures were shown.")
