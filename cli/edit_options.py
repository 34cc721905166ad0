"""The options of `rigid-live edit`, one type each, and what was asked for with them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.choices import Composite, choose_signing
from cli.errors import BAD_INPUT, fail, say

if TYPE_CHECKING:
    from rigid.face.group_tracker import FaceChoice
    from rigid.files.timeline import ScheduledEdit

MANY_FILES = "Many files"
"""A title under which --help lists options."""

Source = Annotated[
    Path,
    typer.Argument(
        metavar="INPUT",
        help="The video or image to edit; or many: a folder, or a .txt file with a name on each line.",
    ),
]
Target = Annotated[
    Path,
    typer.Argument(metavar="OUTPUT", help="Where the result goes; its extension says how. For many inputs, a folder."),
]
Edits = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=STRENGTH", help="An edit, such as smile=0.8; may be repeated."),
]
Preset = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="A set of edits to begin with; `attributes presets` lists them. --set goes on top."
    ),
]
Scheduled = Annotated[
    list[str] | None,
    typer.Option(
        "--at",
        metavar="SECONDS:NAME=STRENGTH",
        help="An edit that starts at a time, such as 2.5:age=1, and is whole 0.4 s later; may be repeated.",
    ),
]
Compare = Annotated[bool, typer.Option("--compare", help="Show the input beside the result.")]
Strip = Annotated[
    bool,
    typer.Option("--strip-metadata", help="Leave out what the file says of place, time, camera, title and the like."),
]
WithBadge = Annotated[bool, typer.Option("--badge", help="Write “Edited with AI” into every picture that is edited.")]
ReportFile = Annotated[Path | None, typer.Option(metavar="FILE.json", help="Write counts, speed and stage times here.")]
Blend = Annotated[
    Composite,
    typer.Option(
        help="change shows the edited face where the edit changed it and the real one elsewhere; paper pastes it whole."
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Files at a time, where there are many; one for each core by default.",
        rich_help_panel=MANY_FILES,
    ),
]
Cluster = Annotated[
    str | None,
    typer.Option(
        metavar="[ADDRESS]",
        help="Where there are many files, edit them on the Ray cluster at HOST:PORT, without an address on that of "
        "this machine; they must be at the same place on every node.",
        rich_help_panel=MANY_FILES,
    ),
]
WorkerCpus = Annotated[
    float,
    typer.Option(metavar="N", help="With --cluster: processors for each file at a time.", rich_help_panel=MANY_FILES),
]


@dataclass(frozen=True)
class Wanted:
    """What was asked for, whether of one file or of many."""

    edits: list[str]
    """The edits from the first frame on, each as NAME=STRENGTH, those of a preset first."""
    schedule: list[str]
    """The edits that start later, each as SECONDS:NAME=STRENGTH."""
    compare: bool
    strip_metadata: bool
    badge: bool
    no_sign: bool
    certificate: Path | None
    key: Path | None
    report: Path | None
    profile: str
    engine: str
    composite: Composite
    faces: FaceChoice
    as_json: bool
    """Whether the report is printed, in the place of a line."""

    def how(self) -> dict[str, Any]:
        """What is the same for every file, as `EditJob` and `Settings` name it; ValueError where it cannot be."""
        signing = choose_signing(self.no_sign, self.certificate, self.key)
        kept = {"compare": self.compare, "strip_metadata": self.strip_metadata, "badge": self.badge}
        return {**kept, "signing": signing}

    def strengths(self) -> tuple[dict[str, float], list[ScheduledEdit]]:
        """The edits from the start and the later ones, checked; ValueError says what is wrong."""
        from rigid.edits.library import load_library
        from rigid.files.timeline import parse_edit, parse_scheduled

        library = load_library(self.profile)
        timed = [parse_scheduled(text) for text in self.schedule]
        strengths = library.validate(dict(map(parse_edit, self.edits)))
        for edits in (strengths, *(library.validate({entry.name: entry.strength}) for entry in timed)):
            for said in library.warnings(edits):
                say(f"Warning: {said}")
        return strengths, timed


def add_preset(preset: str | None, edits: list[str], profile: str) -> list[str]:
    """The edits of a preset, then `edits`, which go on top of it; ends the program where there is no such preset."""
    if preset is None:
        return edits
    from rigid.edits.library import load_library
    from rigid.edits.presets import PresetStore, own_folder

    try:
        chosen = PresetStore(load_library(profile), own_folder())[preset]
    except ValueError as error:
        fail(str(error), BAD_INPUT)
    return [*(f"{name}={strength!r}" for name, strength in chosen.edits.items()), *edits]
