"""What MkDocs does besides: the reference is written from the program, and linked sources become pages.

A page links to a source as a reader of the repository would, [`rigid/geometry.py`](../rigid/geometry.py); in the
built site that file is a page of its own, so that the link holds wherever the site lies.
"""

from __future__ import annotations

import posixpath
import re
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
# MkDocs loads this file by its path, wherever it is started.
sys.path.insert(0, str(ROOT))

from scripts import reference  # noqa: E402

GENERATED = {
    "reference/rest.md": reference.rest,
    "reference/cli.md": reference.command_line,
    "reference/metrics.md": reference.metrics,
}
LINK = re.compile(r"\]\(((?:\.\./)+)([\w./-]+)\)")
LANGUAGES = {".py": "python", ".js": "javascript", ".yml": "yaml", ".json": "json", ".toml": "toml", ".sh": "sh"}


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Leave out of the navigation what is not there, and add at its end what it does not name."""
    folder = Path(config.docs_dir)
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*.md")} | set(GENERATED)
    named: set[str] = set()
    config.nav = _existing(config.nav or [], there, named)
    config.nav += [{"More": sorted(there - named)}] if there - named else []
    return config


def _existing(entries: list[object], there: set[str], named: set[str]) -> list[object]:
    kept: list[object] = []
    for entry in entries:
        assert isinstance(entry, dict)
        (title, value), *_ = entry.items()
        if isinstance(value, list):
            inside = _existing(value, there, named)
            kept += [{title: inside}] if inside else []
        elif value in there:
            named.add(value)
            kept.append(entry)
    return kept


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the reference and the sources that pages link to."""
    for path, write in GENERATED.items():
        files.append(File.generated(config, path, content=write()))
    folder = Path(config.docs_dir)
    linked = {
        source
        for page in folder.rglob("*.md")
        for source in _sources(page.relative_to(folder).as_posix(), page.read_text("utf-8"))
    }
    for source in sorted(linked):
        files.append(File.generated(config, f"code/{source}.md", content=_as_page(source)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point links to sources at the pages made of them."""

    def target(match: re.Match[str]) -> str:
        source = _source(page.file.src_uri, match)
        if source is None:
            return match[0]
        return f"]({posixpath.relpath(f'code/{source}.md', posixpath.dirname(page.file.src_uri) or '.')})"

    return LINK.sub(target, markdown)


def _sources(page: str, text: str) -> set[str]:
    found = {_source(page, match) for match in LINK.finditer(text)}
    return {source for source in found if source is not None}


def _source(page: str, match: re.Match[str]) -> str | None:
    """The repository's file that a link of `page` means; None where it means a page of the documentation."""
    path = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), match[1] + match[2]))
    if path.startswith(("docs/", "..")) or not (ROOT / path).is_file():
        return None
    return path


def _as_page(source: str) -> str:
    text = (ROOT / source).read_text("utf-8")
    if source.endswith(".md"):
        # its links mean other places
        return re.sub(r"\]\((?!https?:)[^)]*\)", "]", text)
    language = LANGUAGES.get(Path(source).suffix, "text")
    return f"# {source}\n\n````{language}\n{text}````\n"
