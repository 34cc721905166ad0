"""The web page and browser SDK, served as static files."""

from __future__ import annotations

from pathlib import Path

STATIC = Path(__file__).parent
"""Folder whose `.html`, `.css`, `.js` and `.svg` files the server offers at `/`."""
