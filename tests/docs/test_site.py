"""The documentation: it builds without a warning, and its reference holds what the program offers."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from mkdocs.commands.build import build
from mkdocs.config import load_config

from cli.main import COMMANDS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


class Warnings(logging.Handler):
    """Keeps what MkDocs complains of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append(record.getMessage())


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[str]]]:
    """The built site and the warnings told meanwhile."""
    folder = tmp_path_factory.mktemp("site")
    handler = Warnings()
    logger = logging.getLogger("mkdocs")
    logger.addHandler(handler)
    try:
        build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(folder)))
    finally:
        logger.removeHandler(handler)
    yield folder, handler.told


class Links(HTMLParser):
    """The addresses that a page refers to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.fetched: list[str] = []
        """Those that a browser loads by itself."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "a" and values.get("href"):
            self.found.append(str(values["href"]))
        elif tag in ("script", "img", "iframe") and values.get("src"):
            self.fetched.append(str(values["src"]))
        elif tag == "link" and values.get("rel") in ("stylesheet", "icon", "preconnect"):
            self.fetched.append(str(values.get("href")))


def links(page: Path) -> Links:
    parser = Links()
    parser.feed(page.read_text("utf-8"))
    return parser


def test_it_builds_without_a_warning(site: tuple[Path, list[str]]) -> None:
    folder, warnings = site
    assert warnings == []
    pages = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}
    assert pages and all((folder / page).is_file() for page in pages)


def test_every_link_within_the_site_leads_somewhere(site: tuple[Path, list[str]]) -> None:
    folder, _ = site
    broken = [
        f"{page.relative_to(folder)}: {address}"
        for page in folder.rglob("*.html")
        if page.name != "404.html"
        for address in links(page).found
        if not re.match(r"(\w+:|#)", address) and not (page.parent / address.partition("#")[0]).exists()
    ]
    assert broken == []


def test_no_page_fetches_anything_from_elsewhere(site: tuple[Path, list[str]]) -> None:
    folder, _ = site
    fetched = {address for page in folder.rglob("*.html") for address in links(page).fetched}
    assert fetched and not [address for address in fetched if "//" in address]


def test_the_reference_is_whole(site: tuple[Path, list[str]]) -> None:
    folder, _ = site
    cli = (folder / "reference/cli.html").read_text("utf-8")
    assert all(f"rigid-live {command}" in cli for command in COMMANDS)
    assert "RIGID_LIVE_SERVE_PORT" in cli
    rest = (folder / "reference/rest.html").read_text("utf-8")
    assert "PATCH /api/v1/sessions/{identity}/edits" in rest and "ramp_ms" in rest
    metrics = (folder / "reference/metrics.html").read_text("utf-8")
    assert "rigid_live_frame_age_seconds" in metrics and "rigid_live_frames_out_total" in metrics


def test_linked_sources_are_pages(site: tuple[Path, list[str]]) -> None:
    folder, _ = site
    how = links(folder / "how-it-works.html").found
    sources = [address for address in how if address.startswith("code/")]
    assert len(sources) > 10
    page = (folder / "code/rigid/stream/face_stream.py.html").read_text("utf-8")
    assert "class FaceStream" in re.sub(r"<[^>]+>", "", page)
