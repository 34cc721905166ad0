"""The options of `rigid-live train`, one type each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

STAGES = ("generator", "narrow-generator", "image-encoder", "visible-net", "recurrent", "parser")
CARRY_ON = "carry-on"

Stage = Annotated[
    str, typer.Argument(help=f"What to train: {', '.join(STAGES)}, or {CARRY_ON} for the encoders in turns.")
]
Preset = Annotated[
    str,
    typer.Option(
        help="Sizes and schedule: mobile-256, mobile-256-continue (from what ships), rigid-256, smoke (seconds); "
        "for carry-on: mobile-256, mobile-256-gpu, smoke."
    ),
]
Data = Annotated[Path | None, typer.Option(envvar="RIGID_LIVE_DATA", help="Folder of real faces with an index.json.")]
Out = Annotated[Path | None, typer.Option(help="Run folder; runs/STAGE-PRESET by default.")]
Wide = Annotated[
    Path | None, typer.Option(help="For narrow-generator: wide_generator.safetensors of a run of generator.")
]
Visible = Annotated[
    Path | None, typer.Option(help="For recurrent: the trained visible net; the shipped one by default.")
]
Flow = Annotated[
    Path | None,
    typer.Option(help="For visible-net and recurrent: a flow estimator (torch.export.save); OpenCV's DIS by default."),
]
Without = Annotated[
    list[str] | None, typer.Option(help="For recurrent: leave out the loss ibfcc or tc; may be repeated.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the run folder's last checkpoint.")]
Threads = Annotated[int, typer.Option(min=0, help="Cores to compute on; 0 for all.")]
Niceness = Annotated[
    int | None, typer.Option(min=0, max=19, help="How far to stand behind other work; 19 for carry-on, else 0.")
]
Turns = Annotated[
    int | None, typer.Option(min=1, help="For carry-on: turns in all, then stop; without end by default.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print all options and stop.")]
