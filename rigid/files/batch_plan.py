"""Which files a folder or a list means, and where the result of each goes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from rigid.files.film_formats import FORMATS, VIDEO_SUFFIXES
from rigid.files.image_formats import IMAGE_FORMATS, IMAGE_SUFFIXES

LIST_SUFFIX = ".txt"
KNOWN = frozenset((*IMAGE_SUFFIXES, *VIDEO_SUFFIXES))


def is_batch(source: Path) -> bool:
    """Whether an input means many files: a folder, or a list in a text file."""
    return source.is_dir() or source.suffix.lower() == LIST_SUFFIX


def plan(source: Path, target: Path) -> dict[Path, Path]:
    """The files that `source`, a folder or a list, means, and where each goes below the folder `target`.

    ValueError, one sentence, where there are none or `target` cannot be their folder.
    """
    if target.is_file() or (target.suffix and not target.is_dir()):
        kind = "a folder" if source.is_dir() else "a list"
        raise ValueError(f"{source} is {kind}, so the output must be a folder; {target} is the name of a file.")
    if source.is_dir() and target.exists() and target.samefile(source):
        raise ValueError(f"The output {target} is the input itself; give another folder.")
    found = sorted(_in_folder(source, target)) if source.is_dir() else _in_list(source)
    if not found:
        raise ValueError(f"{source} holds no video or image; give a folder or a list that does.")
    base = source if source.is_dir() else Path(os.path.commonpath([path.parent for path in found]))
    return {path: target / _name_result(path.relative_to(base)) for path in found}


def find_left_out(source: Path, target: Path) -> dict[Path, str]:
    """Find the files of the folder `source` that `plan` does not take, and why; none of a list."""
    return dict(sorted(_unknown(source, target))) if source.is_dir() else {}


def _unknown(folder: Path, target: Path) -> Iterator[tuple[Path, str]]:
    for path in _visible(folder, target):
        if path.suffix.lower() not in KNOWN:
            ending = f"its name ends in {path.suffix}" if path.suffix else "its name has no ending"
            yield path, f"{ending}, which is that of no image or video that is read"
        elif not path.is_file():
            yield path, "it is no file"


def _in_folder(folder: Path, target: Path) -> Iterator[Path]:
    return (path for path in _visible(folder, target) if path.suffix.lower() in KNOWN and path.is_file())


def _visible(folder: Path, target: Path) -> Iterator[Path]:
    """What is below `folder`, but for folders, what is hidden, and what lies in `target`."""
    results = target.absolute()
    for path in folder.rglob("*"):
        # Results in a folder inside the input are no inputs of the next run.
        inside = results in path.absolute().parents
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not inside and not hidden and not path.is_dir():
            yield path


def _in_list(path: Path) -> list[Path]:
    try:
        lines = path.read_text("utf-8").splitlines()
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not a list; write the name of a file on each line, in UTF-8.") from None
    except OSError as error:
        raise ValueError(f"The list {path} cannot be read: {error.strerror}; check the name.") from None
    named = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    # Names are meant as seen from the list.
    return list(dict.fromkeys(Path(os.path.abspath(path.parent / name)) for name in named))


def _name_result(path: Path) -> Path:
    """The result's name: the input's, with .mp4 or .png behind it where its own format is not written."""
    suffix = path.suffix.lower()
    if suffix in FORMATS or suffix in IMAGE_FORMATS:
        return path
    return path.with_name(path.name + (".png" if suffix in IMAGE_SUFFIXES else ".mp4"))
