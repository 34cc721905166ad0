"""The options of `rigid-live evaluate`, one type each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.choices import Composite

DEFAULT_EDIT = "smile=1"
DEFAULT_FRAMES = 60

Videos = Annotated[
    Path | None, typer.Option(metavar="DIR", help="The folder of videos to measure on; --fairness does without, too.")
]
Out = Annotated[
    Path, typer.Option(metavar="DIR", help="Where the report goes; the same command goes on where it was stopped.")
]
Methods = Annotated[str, typer.Option(metavar="NAME,…", help="What to compare: rigid, per-frame, optimise, tune.")]
Edits = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=STRENGTH",
        help=f"The edit to measure, {DEFAULT_EDIT} unless given; of a sheet: a column, all unless given; repeatable.",
    ),
]
Frames = Annotated[
    int | None,
    typer.Option(
        min=2,
        help=f"How many of each clip's first frames to measure, {DEFAULT_FRAMES} unless given; of a sheet: how many "
        "from the clip's middle, 8 unless given.",
    ),
]
Without = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PART",
        help="Also measure rigid without tcc, nm, lfd (Table 3), steadying, or drawing (as live); repeated or NAME,….",
    ),
]
Every = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Take LPIPS, identity and edit strength of every so many frames, 1 unless given; of a sheet: the signs of "
        "faults, 3 unless given.",
    ),
]
Split = Annotated[
    str | None, typer.Option(help="Only the clips that the index.json in DIR or beside it puts in this split.")
]
MaxFaces = Annotated[
    int, typer.Option(min=1, max=16, metavar="N", help="Measure so many faces of a clip, each as a clip of its own.")
]
Clips = Annotated[list[str] | None, typer.Option("--clip", metavar="NAME", help="Only this clip; may be repeated.")]
OptimiseSteps = Annotated[int, typer.Option(min=1, help="Gradient steps a frame of optimise.")]
TuneSteps = Annotated[int, typer.Option(min=1, help="Gradient steps a clip of tune.")]
Sheet = Annotated[
    bool,
    typer.Option(
        "--sheet",
        help="Draw a contact sheet of clips and edits, with signs of what may be wrong in each cell, instead.",
    ),
]
Fair = Annotated[
    bool,
    typer.Option(
        "--fairness", help="Measure by skin tone, apparent age, gender presentation and glasses of people, instead."
    ),
]
Faces = Annotated[
    int | None,
    typer.Option(min=0, help="How many generated faces --fairness measures beside the videos, 48 unless given."),
]
Judged = Annotated[
    Path | None,
    typer.Option(metavar="FILE.csv", help="Cells judged by eye (clip,edit,faulty), to compare the sheet's signs with."),
]
Fvd = Annotated[Path | None, typer.Option(metavar="FILE", help="I3D weights as TorchScript, for FVD; no FVD without.")]
Blend = Annotated[
    Composite,
    typer.Option(help="How rigid blends; the baselines paste (paper)."),
]
