"""`rigid-live demo`: a generated face that moves, edited on the page or in a film, with no camera and no file."""

from __future__ import annotations

import os
import sys
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from cli.choices import Engine
from cli.edit_options import Edits
from cli.errors import BAD_INPUT, bad_input, fail
from cli.serve_options import Port

Out = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write a film of before and after, such as demo.mp4; no page.")
]
NoBrowser = Annotated[bool, typer.Option("--no-browser", help="Print the page's address, and open nothing.")]
HOST = "127.0.0.1"
SHOWN = ["smile=0.8"]
SHOWN_LATER = ["2.7:smile=0", "2.7:glasses=1", "5.4:glasses=0", "5.4:age=0.8"]
"""What the film shows, one after the other."""


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("demo")(demo)


def demo(
    out: Out = None,
    set_: Edits = None,
    port: Port = 8080,
    no_browser: NoBrowser = False,
    engine: Engine = "auto",
) -> None:
    """Edit a generated face that moves: on the page, in your browser, or with --out in a film. No camera is needed.

    The page answers this machine only; `serve` has what others need. --set goes with --out: the page has its sliders.
    """
    if out is not None:
        _write_film(out, set_, engine)
    elif set_:
        fail("--set goes with --out; the page has a slider for each edit.", BAD_INPUT)
    else:
        _show_page(port, engine, in_browser=not no_browser)


def _write_film(out: Path, edits: list[str] | None, engine: str) -> None:
    from cli.edit import edit
    from client import DEMO_FILM

    later = None if edits else SHOWN_LATER
    edit(DEMO_FILM, out, set_=edits or SHOWN, at=later, max_faces=1, compare=True, engine=engine)


def _show_page(port: int, engine: str, *, in_browser: bool) -> None:
    from cli.serve import check_choices, serve_here
    from rigid.assets.store import AssetStore
    from rigid.files.provenance import choose_credentials
    from server.config import ServerConfig
    from server.listen import listen, urls
    from server.tls import names_for

    store = AssetStore()
    config = ServerConfig(engine=engine, allow_hosts=tuple(names_for(HOST, None)))
    with bad_input():
        check_choices(config.profile, engine, "warning")
        credentials = choose_credentials(None, None, store.cache_dir / "signing")
        listener = listen(HOST, port)
    address = f"{urls(HOST, listener.getsockname()[1], secure=False)[0]}/?source=demo"

    def ready() -> None:
        if in_browser and _has_screen():
            webbrowser.open(address)

    serve_here(config, store, credentials, listener, None, [address], "warning", ready=ready)


def _has_screen() -> bool:
    """Whether a browser would have a window: one of the terminal's hides what is printed there."""
    return sys.platform != "linux" or bool({"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys())
