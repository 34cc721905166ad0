"""Options that say whose face is edited, and `rigid-live edit --list-faces`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cli.errors import BAD_INPUT, FAILED, fail
from cli.tables import Column, Row, print_rows

if TYPE_CHECKING:
    from rigid.face.group_tracker import FaceChoice
    from rigid.files.face_list import ListedFace

WHOSE = "Whose face"
"""A title under which --help lists options."""

Faces = Annotated[
    Literal["all", "largest", "left-to-right"],
    typer.Option(
        help="Whose face: all, numbered from the largest; the largest alone; or all, numbered from the left. "
        "Numbers go up as further faces come.",
        rich_help_panel=WHOSE,
    ),
]
MaxFaces = Annotated[
    int,
    typer.Option(min=1, max=16, metavar="N", help="At most so many faces at a time.", rich_help_panel=WHOSE),
]
Only = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="NUMBER",
        help="Edit this face alone; --list-faces shows who has which.",
        rich_help_panel=WHOSE,
    ),
]
OneFace = Annotated[
    list[str] | None,
    typer.Option(
        "--face",
        metavar="NUMBER:NAME=STRENGTH",
        help="An edit for one face, such as 2:age=1; may be repeated.",
        rich_help_panel=WHOSE,
    ),
]
ListFaces = Annotated[
    bool,
    typer.Option(
        "--list-faces",
        help="Edit nothing: write a picture to OUTPUT that shows who has which number.",
        rich_help_panel=WHOSE,
    ),
]


def choose_faces(faces: str, most: int) -> FaceChoice:
    """What the options say."""
    from rigid.face.group_tracker import FaceChoice

    return FaceChoice(1 if faces == "largest" else most, faces == "left-to-right", thorough=True)


def aim(edits: list[str], only: int | None) -> list[str]:
    """NAME=STRENGTH as it is meant for one face alone, where `only` says so."""
    from rigid.edits.face_edits import name_for_face

    return edits if only is None else [name_for_face(only, one) for one in edits]


def aim_later(schedule: list[str], only: int | None) -> list[str]:
    """SECONDS:NAME=STRENGTH in the same way."""
    if only is None:
        return schedule
    parts = [entry.partition(":") for entry in schedule]
    return [f"{seconds}{colon}{aim([edit], only)[0]}" for seconds, colon, edit in parts]


def list_faces(source: Path, target: Path, choice: FaceChoice, *, as_json: bool) -> None:
    """Write the picture, and print a row for each face; ends the program where that cannot be."""
    try:
        seen = _list_faces(source, target, choice)
    except ValueError as error:
        fail(str(error), BAD_INPUT)
    except OSError as error:
        fail(f"{target} could not be written: {error.strerror or error}.", FAILED)
    columns: dict[str, Column] = {
        "face": "number",
        "from s": "first",
        "to s": "last",
        "frames": "frames",
        "shown at s": "at",
        "left, top, right, bottom": "box",
    }
    print_rows(map(_describe, seen), columns, as_json=as_json)


def _list_faces(source: Path, target: Path, choice: FaceChoice) -> list[ListedFace]:
    from rigid.assets.store import AssetStore
    from rigid.files.face_list import check_face_list, find_faces, write_face_list

    check_face_list(target)
    seen = find_faces(source, AssetStore().file("face-landmarks", "face_landmarker.task"), choice)
    if not seen:
        raise ValueError(f"No face was found in {source}.")
    write_face_list(target, seen)
    return seen


def _describe(face: ListedFace) -> Row:
    times = {name: round(getattr(face, name), 2) for name in ("first", "last", "at")}
    return {"number": face.number, "frames": face.frames, "box": [round(edge) for edge in face.box], **times}
