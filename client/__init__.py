"""The web page and browser SDK, served as static files."""

from __future__ import annotations

from pathlib import Path

DEMO_FILM = Path(__file__).parent / "demo.webm"
"""A generated face that turns, blinks and smiles a little, over and over; `scripts/demo_film.py` makes it."""
