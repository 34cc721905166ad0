"""`rigid-live attributes discover`, `measure`, `motion` and `fit-video`: find attributes, and say what they do."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from cli.choices import Engine, Profile
from cli.errors import BAD_INPUT, FAILED, bad_input, fail, say

Only = Annotated[list[str] | None, typer.Option("--only", metavar="NAME", help="This attribute only; may be repeated.")]
Folder = Annotated[Path, typer.Argument(help="Attribute files, as discover writes them.", show_default=False)]
Clips = Annotated[Path | None, typer.Option(help="Folder of aligned clips of real faces to measure on too.")]
ClipSplit = Annotated[
    str | None, typer.Option(help="Of the clips, only those that the index.json there or beside puts in this split.")
]


def register(commands: typer.Typer) -> None:
    """Add the commands to the group."""
    commands.command()(discover)
    commands.command()(measure)
    commands.command("motion")(measure_motion)
    commands.command("way-back")(find_way_back)
    commands.command("paint")(paint)
    commands.command("fit-video")(fit_video)


def discover(
    profile: Profile = "mobile-256",
    samples: Annotated[int, typer.Option(min=100, help="Generated faces to look at and fit on.")] = 20_000,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for all that is written; runs/attributes/PROFILE unless given."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of every random choice.")] = 0,
    only: Only = None,
    clips: Clips = None,
    split: ClipSplit = None,
    faces: Annotated[int, typer.Option(min=8, help="Held-out generated faces to state the changes on.")] = 200,
    method: Annotated[
        str, typer.Option(help="supervised: the named attributes; sefa, ganspace: whatever there is, to be named.")
    ] = "supervised",
    components: Annotated[int, typer.Option(min=1, max=64, help="Directions that sefa or ganspace finds.")] = 8,
    learn_looks: Annotated[
        bool, typer.Option("--learn-looks", help="First learn beards, glasses, ... anew from the hand labels.")
    ] = False,
) -> None:
    """Find the attributes in the generator: label random faces, fit directions, set their strengths.

    Faces are kept: the same command goes on where it was stopped, and fits again at once.
    """
    from rigid.assets.store import AssetStore
    from rigid.discovery.run import Request, discover_profile, explore_profile, learn_looks_of
    from rigid.progress import show_progress

    out = out or Path("runs/attributes") / profile
    request = Request(profile, out, samples, seed, only or (), clips, split, faces)
    store = AssetStore()
    with bad_input():
        if method != "supervised":
            for path in explore_profile(request, store, method, components):
                typer.echo(path)
            return
        if learn_looks:
            learn_looks_of(request, store, say)
        with show_progress("Labelling generated faces", samples, "faces") as update:
            discover_profile(request, store, progress=update, report=say)
    typer.echo(f"Files, contact sheets, report.json, calibration.md and entanglement.png are in {out}.")


def measure(
    folder: Annotated[
        Path | None, typer.Argument(help="Attribute files; those that ship unless given.", show_default=False)
    ] = None,
    clips: Clips = None,
    split: ClipSplit = None,
    only: Only = None,
    faces: Annotated[int, typer.Option(min=8, help="Generated faces to measure on.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the discovery from which these faces are held out.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Folder for all that is written; runs/measured/PROFILE unless given.")
    ] = None,
    write: Annotated[bool, typer.Option("--write", help="Put the figures into the files' headers too.")] = False,
    profile: Profile = "mobile-256",
) -> None:
    """Measure attribute files as they are: what each reaches, what else changes with it, and who is still who.

    Figures of video are taken over from the files: run fit-video --keep-gains before. With --only, the report has what
    was measured into the same folder before, too.
    """
    from rigid.assets.store import AssetStore
    from rigid.discovery.measure import Measuring, measure_profile

    out = out or Path("runs/measured") / profile
    wanted = Measuring(profile, out, folder, only or (), clips, split, faces, seed, write)
    with bad_input():
        measure_profile(wanted, AssetStore(), say)
    typer.echo(f"Statements, report.json, calibration.md and entanglement.png are in {out}.")


def find_way_back(
    file: Annotated[Path, typer.Argument(help="The attribute's file, measured in how male a face is.")],
    clips: Annotated[Path, typer.Option(help="Folder of aligned clips whose faces it is found on.")],
    split: ClipSplit = None,
    forth: Annotated[bool, typer.Option("--forth", help="The way there instead.")] = False,
    profile: Profile = "mobile-256",
    engine: Engine = "auto",
) -> None:
    """Give the attribute of gender a way back that is seen in a stream, by descent through generator and composite.

    Both directions are in the file then; what each reaches is stated by measure and fit-video.
    """
    from engines import check_engine, load_runtime
    from rigid.assets.store import AssetStore
    from rigid.discovery.sitters import Sought
    from rigid.discovery.way_back import find_way

    store = AssetStore()
    with bad_input():
        check_engine(engine)
        with closing(load_runtime(profile, engine, store=store)) as runtime:
            find_way(Sought(file, profile, clips, split), runtime, store, 1 if forth else -1, say)


def paint(
    file: Annotated[Path, typer.Argument(help="The file of an attribute of a colour.")],
    clips: Annotated[Path | None, typer.Option(help="Folder of aligned clips whose faces are taken, too.")] = None,
    split: ClipSplit = None,
    profile: Profile = "mobile-256",
) -> None:
    """Give an attribute of a colour the edit that comes closest to painted faces, by descent through the generator.

    What it reaches is stated by measure and fit-video, which also finds its length in video.
    """
    from rigid.assets.store import AssetStore
    from rigid.discovery.repaint import repaint
    from rigid.discovery.sitters import Sought

    with bad_input():
        repaint(Sought(file, profile, clips, split), AssetStore(), say)


def measure_motion(
    folder: Folder,
    only: Only = None,
    profile: Profile = "mobile-256",
) -> None:
    """Put into the attributes that move a face how they move the landmarks of generated ones.

    Fit-video then finds how much of that a stream does by moving the real pixels.
    """
    from rigid.assets.store import AssetStore
    from rigid.discovery.motion import move_folder
    from rigid.discovery.run import open_studio
    from rigid.models.profiles import sizes_of

    with bad_input(), open_studio(profile, AssetStore()) as (studio, _, held_out):
        move_folder(folder, only or (), studio, held_out, sizes_of(profile), say)


def fit_video(
    folder: Folder,
    videos: Annotated[Path, typer.Option(metavar="DIR", help="The folder of videos to measure on.")],
    split: Annotated[
        str | None, typer.Option(help="Only the clips that the index.json in DIR or beside it puts in this split.")
    ] = None,
    only: Only = None,
    takes: Annotated[int, typer.Option(min=1, help="Places measured in each clip.")] = 1,
    keep_gains: Annotated[
        bool, typer.Option("--keep-gains", help="Write into the files what they reach in these clips, and no gain.")
    ] = False,
    profile: Profile = "mobile-256",
    engine: Engine = "auto",
) -> None:
    """Set how much longer each attribute must be in video, so that strength 1 reaches its target there too.

    Measured on the edited frames of real clips. State the result on clips that were not fitted to: --keep-gains.
    """
    from engines import check_engine, load_runtime
    from rigid.assets.store import AssetStore
    from rigid.discovery.video_gain import fit_folder, open_footage, state_folder
    from rigid.files.clips import find_clips

    store = AssetStore()
    try:
        check_engine(engine)
        clips = find_clips(videos, split)
        with (
            closing(load_runtime(profile, engine, store=store)) as runtime,
            open_footage(clips, takes, runtime, store) as footage,
        ):
            (state_folder if keep_gains else fit_folder)(folder, only or (), footage, say)
    except ValueError as error:
        fail(str(error), BAD_INPUT)
    except ArithmeticError as error:
        fail(str(error), FAILED)
