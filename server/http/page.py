"""The page and the browser SDK, served from the installed `client` package."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import FileResponse

CLIENT_FOLDER = Path(__file__).parents[2] / "client"
"""Installed beside this package."""
TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webm": "video/webm",
    ".ico": "image/x-icon",
    ".webmanifest": "application/manifest+json",
}


def add_page(app: FastAPI, folder: Path) -> None:
    """Add one route a file of `folder`, so that every other path stays a plain 404; `index.html` is `/` too."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in TYPES and "node_modules" not in path.parts:
            _add_file(app, f"/{path.relative_to(folder).as_posix()}", path)
    if (folder / "index.html").is_file():
        _add_file(app, "/", folder / "index.html")


def _add_file(app: FastAPI, url: str, path: Path) -> None:
    async def send(_request: Request) -> FileResponse:
        return FileResponse(path, media_type=TYPES[path.suffix])

    app.add_route(url, send, methods=["GET"], include_in_schema=False)
