#!/usr/bin/env python3
"""Say whether the encoders' weights in a folder are to replace those that ship: exit code 0 for yes, 1 for no."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from rigid.assets.store import AssetError, AssetStore
from rigid.training.averaging import average_folder
from rigid.training.device import take_what_is_left
from rigid.training.judge import judge


def main() -> int:
    """Print a table of all measures and the verdict; 2 for bad input."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "candidate", type=Path, help="folder with image_encoder.safetensors, recurrent_encoder.safetensors, or both"
    )
    parser.add_argument("--data", type=Path, default=os.environ.get("RIGID_LIVE_DATA"), help="folder of real clips")
    parser.add_argument(
        "--share",
        type=float,
        nargs="+",
        default=[1.0],
        help="how far to go from what ships to the candidate: other than 1, averages are made beside its folder and "
        "judged, until one is to replace what ships",
    )
    parser.add_argument("--kept", type=Path, default=Path("runs/judged"), help="where measurements are kept")
    parser.add_argument("--threads", type=int, default=0, help="cores to compute on; 0 for all")
    given = parser.parse_args()
    if given.data is None:
        parser.error("name the folder of real clips by --data or RIGID_LIVE_DATA")
    take_what_is_left(given.threads, 0)
    try:
        return 0 if any(_is_better(given, share) for share in given.share) else 1
    except (ValueError, AssetError) as error:
        parser.error(str(error))


def _is_better(given: argparse.Namespace, share: float) -> bool:
    """Print what became of each measure, and the verdict."""
    folder = given.candidate if share == 1 else average_folder(given.candidate, share)
    verdict = judge(folder, given.data, AssetStore(), given.kept, say=lambda line: print(line, file=sys.stderr))
    print(verdict.table())
    reason = (
        f"worse: {', '.join(verdict.worse)}" if verdict.worse else f"better: {', '.join(verdict.better) or 'nothing'}"
    )
    print(f"{'Yes' if verdict.yes else 'No'}, {folder}: {reason}.")
    return verdict.yes


if __name__ == "__main__":
    sys.exit(main())
