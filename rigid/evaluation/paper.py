"""The figures of Tables 1 to 3 of the paper (RIGID, ICCV 2023), to stand beside ours; None where it gives none."""

from __future__ import annotations

from dataclasses import dataclass

Figure = float | None


@dataclass(frozen=True)
class Inversion:
    """A row of Table 1 for one data set; `mse` is magnified 100 times, `seconds` are for 100 frames on an RTX 3090."""

    mse: Figure
    lpips: Figure
    warp_error: Figure
    fvd: Figure
    seconds: Figure = None


@dataclass(frozen=True)
class Editing:
    """A row of Table 2 for one data set."""

    tl_id: Figure
    tg_id: Figure
    fvd: Figure
    seconds: Figure = None


DATA_SETS = ("RAVDESS-72", "In-the-Wild-36")
COUNTERPARTS = {
    "rigid": "RIGID",
    "per-frame": "Latent-Transformer",
    "optimise": "IGCI",
    "tune": "STIT",
}
"""What our methods stand for."""

INVERSION = {
    "IGCI": (Inversion(0.99, 0.05, 154.21, 412.33, 1.2e5), Inversion(2.01, 0.13, 432.98, 276.92, 1.2e5)),
    "Latent-Transformer": (Inversion(5.68, 0.12, 86.356, 220.46, 49.2), Inversion(5.31, 0.22, 367.32, 165.35, 49.2)),
    "STIT / TCSVE": (Inversion(0.99, 0.05, 83.21, 171.23, 851.5), Inversion(2.32, 0.11, 293.83, 81.03, 851.5)),
    "RIGID": (Inversion(1.04, 0.05, 84.62, 174.55, 54.5), Inversion(2.31, 0.12, 287.32, 74.11, 54.5)),
}
"""Table 1, one row a data set."""

EDITING = {
    "IGCI": (Editing(0.94, 0.79, 834.33, 1.2e5), Editing(0.93, 0.71, 499.22, 1.2e5)),
    "Latent-Transformer": (Editing(0.99, 0.93, 311.84, 49.2), Editing(0.99, 0.87, 267.42, 49.2)),
    "STIT": (Editing(0.99, 0.97, 212.04, 1.6e3), Editing(0.99, 0.91, 211.34, 1.6e3)),
    "TCSVE": (Editing(0.99, 0.97, 201.32, 3.4e3), Editing(0.99, 0.92, 198.46, 3.4e3)),
    "RIGID": (Editing(0.99, 0.97, 198.54, 54.5), Editing(0.99, 0.93, 183.36, 54.5)),
}
"""Table 2, one row a data set."""

VARIANTS = {
    "w/o TCC": (Inversion(1.31, 0.07, 106.52, 208.74), Editing(0.98, 0.94, 321.98)),
    "w/o NM": (Inversion(2.28, 0.08, 96.52, 201.22), Editing(0.99, 0.92, 334.98)),
    "w/o LFD": (Inversion(1.10, 0.06, 103.61, 215.96), Editing(0.99, 0.94, 309.04)),
    "w/o L_ibfcc": (Inversion(0.93, 0.05, 705.22, 358.04), Editing(0.98, 0.90, 299.12)),
    "w/o L_tc": (Inversion(1.08, 0.05, 122.08, 203.54), Editing(0.99, 0.97, 299.34)),
    "RIGID": (Inversion(1.04, 0.05, 84.62, 174.55), Editing(0.99, 0.97, 198.54)),
}
"""Table 3, on RAVDESS-72; the variants were trained without the part they lack."""
