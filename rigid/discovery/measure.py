"""What attribute files do as they are: stated on generated and on real faces, without finding them anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from rigid.assets.store import AssetStore
from rigid.discovery.calibrate import Faces
from rigid.discovery.discover import STATING_FACES, STATING_SEED
from rigid.discovery.real import codes_of_clips
from rigid.discovery.recipes import RECIPES
from rigid.discovery.report import write_report
from rigid.discovery.run import open_embedder, open_studio
from rigid.discovery.samples import DrawCodes, Studio
from rigid.discovery.statement import Statement, Witnesses, in_order, state, write_statement
from rigid.discovery.video_gain import RECIPE_OF, load_calibrated
from rigid.edits.attribute import Attribute
from rigid.edits.attribute_file import read_attribute, rewrite_header
from rigid.edits.attribute_header import AttributeHeader
from rigid.models.contract import Sizes
from rigid.models.profiles import WEIGHTS, sizes_of
from rigid.reporting import Say, say_nothing

IN_VIDEO = ("video", "video_back")
"""What `fit-video --keep-gains` wrote into a file; a statement takes it from there."""


@dataclass(frozen=True)
class Measuring:
    """What to measure, on what, and where to."""

    profile: str
    out: Path
    folder: Path | None = None
    """Attribute files; those that ship with the profile unless given."""
    names: Sequence[str] = ()
    """Attributes; all that have a recipe and a target when empty."""
    clips: Path | None = None
    """A folder of aligned clips of real faces to measure on too."""
    split: str | None = None
    """Only the clips that the folder's index puts in this split."""
    faces: int = STATING_FACES
    """Generated faces, those on which a discovery with the same seed states its changes."""
    seed: int = 0
    write: bool = False
    """Whether the files' headers take the figures."""


def measure_profile(wanted: Measuring, store: AssetStore, report: Say = say_nothing) -> list[Statement]:
    """State what attribute files do with a profile's real networks, as `measure_files` does.

    ValueError for an unknown profile or attribute, or a folder without any.
    """
    sizes, folder = sizes_of(wanted.profile), wanted.folder or WEIGHTS / wanted.profile / "attributes"
    files = load_calibrated(folder, wanted.names, sizes)
    if not files:
        raise ValueError(f"{folder} has no calibrated attribute.")
    real = None if wanted.clips is None else codes_of_clips(wanted.profile, wanted.clips, wanted.split)
    with open_studio(wanted.profile, store) as (studio, _, held_out):
        seen = None if real is None else Faces.make_found(studio, real)
        witnesses = replace(generate_witnesses(studio, held_out, wanted), real=seen, embed=open_embedder(store))
        return measure_files(files, witnesses, sizes, wanted, report)


def generate_witnesses(studio: Studio, draw: DrawCodes, wanted: Measuring) -> Witnesses:
    """The generated faces to measure on; how much they differ is the unit of what else changes."""
    generated = Faces.make_found(studio, draw(wanted.seed + STATING_SEED, wanted.faces))
    return Witnesses(studio, generated.measures.std(0), generated)


def measure_files(
    files: Sequence[tuple[Path, Attribute]],
    witnesses: Witnesses,
    sizes: Sizes,
    wanted: Measuring,
    report: Say = say_nothing,
) -> list[Statement]:
    """State what each of `files` does; a report of all that are stated in `wanted.out` goes there.

    Returns the statements of `files`, each with what its file says of video.
    """
    statements = []
    for path, attribute in files:
        header = read_attribute(path, n_codes=sizes.n_codes, code_size=sizes.code_size).header
        statement = _with_video(state_attribute(attribute, witnesses), header)
        write_statement(wanted.out / "statements" / f"{attribute.name}.json", statement)
        if wanted.write:
            rewrite_header(path, partial(_with_statement, statement=statement))
        report(f"{attribute.name}: target {statement.target:+.3g}: {statement.reached} on {statement.faces}")
        statements.append(statement)
    facts = {"faces": wanted.faces, "seed": wanted.seed, "deviations": "between the generated faces"}
    write_report(wanted.out, in_order(wanted.out / "statements", RECIPES), facts)
    return statements


def state_attribute(attribute: Attribute, witnesses: Witnesses) -> Statement:
    """What `attribute`, which has a recipe and a target, does at full strength."""
    assert attribute.target is not None
    recipe = replace(RECIPE_OF[attribute.name], change=attribute.target)
    return state(witnesses, recipe, attribute.offset)


def _with_video(statement: Statement, header: AttributeHeader) -> Statement:
    seen = {where: header.calibration[where] for where in IN_VIDEO if where in header.calibration}
    counts = {where: header.measured.get(f"{where}_faces") for where in seen}
    faces = {where: int(count) for where, count in counts.items() if count is not None}
    return replace(statement, reached=statement.reached | seen, faces=statement.faces | faces)


def _with_statement(header: AttributeHeader, statement: Statement) -> AttributeHeader:
    """What is not measured this time, as real faces without clips, stays."""
    effect = RECIPE_OF[header.name].effect(statement.reached.get("generated"))
    return replace(
        header,
        calibration=header.calibration | statement.reached,
        measured=header.measured | statement.summary,
        identity=header.identity if statement.identity is None else statement.identity,
        effect=effect or header.effect,
    )
