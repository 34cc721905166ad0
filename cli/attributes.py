"""`rigid-live attributes`: list the edits a profile offers, import more, and discover them in its generator."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from cli.choices import Engine
from cli.errors import BAD_INPUT, FAILED, bad_input, fail, say

attributes = typer.Typer(help="The edits: list, import, remove, discover; presets.", no_args_is_help=True)

Profile = Annotated[str, typer.Option(help="Model profile.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Only = Annotated[list[str] | None, typer.Option("--only", metavar="NAME", help="This attribute only; may be repeated.")]
Folder = Annotated[Path, typer.Argument(help="Attribute files, as discover writes them.", show_default=False)]
Clips = Annotated[Path | None, typer.Option(help="Folder of aligned clips of real faces to measure on too.")]
ClipSplit = Annotated[
    str | None, typer.Option(help="Of the clips, only those that the index.json there or beside puts in this split.")
]


def register(app: typer.Typer) -> None:
    """Add the command group to the program."""
    app.add_typer(attributes, name="attributes")


@attributes.command("list")
def list_attributes(
    profile: Profile = "mobile-256",
    as_json: AsJson = False,
) -> None:
    """List every attribute: its range and what it does at full strength."""
    from rigid.edits.library import load_library

    with bad_input():
        library = load_library(profile)
    if as_json:
        typer.echo(json.dumps(library.describe(), indent=2))
        return
    for attribute in library:
        span = f"{attribute.min:g} … {attribute.max:g}"
        typer.echo(f"{attribute.name:<16}{attribute.group:<12}{span:<10}  {attribute.label}: {attribute.effect}")


@attributes.command("import")
def import_attribute(
    file: Annotated[Path, typer.Argument(help="The file that holds the edit; see below.", show_default=False)],
    name: Annotated[
        str | None, typer.Option(help="How the API calls it; a file of this project has its own.", show_default=False)
    ] = None,
    label: Annotated[str | None, typer.Option(help="What people read; the name unless given.")] = None,
    group: Annotated[str | None, typer.Option(help="Where a page shows it: expression, age, hair ...; other.")] = None,
    layers: Annotated[
        str | None,
        typer.Option(metavar="A-B", help="The codes that carry it, such as 4-7 or 4,5; counted as the file does. All."),
    ] = None,
    strength: Annotated[
        float | None,
        typer.Option(help="Length of the edit at strength 1, in multiples of what the file holds; as is usual for it."),
    ] = None,
    component: Annotated[int | None, typer.Option(min=0, help="Which direction, of a file with many.")] = None,
    one_way: Annotated[bool, typer.Option("--one-way", help="Its range is 0 to 1, not -1 to 1.")] = False,
    family: Annotated[
        str | None, typer.Option(help="The generator it is for, where its file name says another one.")
    ] = None,
    profile: Profile = "mobile-256",
) -> None:
    """Add an edit from a file: this project's own, or one that others publish.

    Taken are .safetensors of this project; directions in W as .npy or .pt (1x512 as InterFaceGAN's, 18x512 as in STIT
    and e4e); principal components (GANSpace) and eigenvectors (SeFa) with --component; StyleCLIP's mappers and
    Latent-Transformer checkpoints. No code in a file is run.
    """
    from rigid.edits.importing import ImportRequest, import_attribute, target_of
    from rigid.edits.library import load_library

    request = ImportRequest(name, label, group, layers, strength, component, one_way, family)
    try:
        added = import_attribute(file, request, target_of(profile), load_library(profile).names)
    except ValueError as error:
        fail(str(error), BAD_INPUT)
    except OSError as error:
        fail(f"{file} could not be taken in: {error.strerror or error}.", FAILED)
    typer.echo(
        f"{added.name}: {added.source}. It is on offer the next time; `attributes remove {added.name}` undoes it."
    )


@attributes.command()
def remove(
    name: Annotated[str, typer.Argument(help="An attribute that was imported.", show_default=False)],
    profile: Profile = "mobile-256",
) -> None:
    """Remove an attribute that was imported; those that ship stay."""
    from rigid.edits.importing import remove_attribute, target_of

    with bad_input():
        remove_attribute(name, target_of(profile))


@attributes.command()
def presets(
    profile: Profile = "mobile-256",
    as_json: AsJson = False,
) -> None:
    """List the presets: those that ship, and your own, one JSON file each in the folder this names."""
    from rigid.edits.library import load_library
    from rigid.edits.presets import PresetStore, own_folder

    with bad_input():
        store = PresetStore(load_library(profile), own_folder())
    if as_json:
        typer.echo(json.dumps([preset.describe() for preset in store], indent=2))
        return
    for preset in store:
        edits = ", ".join(f"{name}={strength:g}" for name, strength in preset.edits.items())
        typer.echo(f"{preset.name:<16}{preset.label:<20}{edits}")
    for problem in store.problems:
        say(f"Left out: {problem}")
    say(f'Your own: {own_folder()}/NAME.json, {{"edits": {{"smile": 0.8}}, "fade_ms": 800}}.')


@attributes.command()
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


@attributes.command()
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

    Figures of video are taken over from the files: run fit-video --measure-only before. With --only, the report has
    what was measured into the same folder before, too.
    """
    from rigid.assets.store import AssetStore
    from rigid.discovery.measure import Measuring, measure_profile

    out = out or Path("runs/measured") / profile
    wanted = Measuring(profile, out, folder, only or (), clips, split, faces, seed, write)
    with bad_input():
        measure_profile(wanted, AssetStore(), say)
    typer.echo(f"Statements, report.json, calibration.md and entanglement.png are in {out}.")


@attributes.command("motion")
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


@attributes.command("fit-video")
def fit_video(
    folder: Folder,
    videos: Annotated[Path, typer.Option(metavar="DIR", help="The folder of videos to measure on.")],
    split: Annotated[
        str | None, typer.Option(help="Only the clips that the index.json in DIR or beside it puts in this split.")
    ] = None,
    only: Only = None,
    takes: Annotated[int, typer.Option(min=1, help="Places measured in each clip.")] = 1,
    measure_only: Annotated[
        bool, typer.Option("--measure-only", help="State what the files reach in these clips; set no gain.")
    ] = False,
    profile: Profile = "mobile-256",
    engine: Engine = "auto",
) -> None:
    """Set how much longer each attribute must be in video, so that strength 1 reaches its target there too.

    Measured on the edited frames of real clips. State the result on clips that were not fitted to: --measure-only.
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
            (state_folder if measure_only else fit_folder)(folder, only or (), footage, say)
    except ValueError as error:
        fail(str(error), BAD_INPUT)
    except ArithmeticError as error:
        fail(str(error), FAILED)
