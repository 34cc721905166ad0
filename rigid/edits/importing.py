"""Takes an edit from a file into a library: this project's own files, and those that others publish.

Run as a program it does one import in a process of its own, with limits on memory and time: a file from a stranger
then cannot harm the one that serves.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from rigid.edits.attribute import Attribute
from rigid.edits.attribute_file import MAP_KEY, METADATA_KEY, MOTION, read_attribute, write_attribute
from rigid.edits.attribute_header import AttributeHeader, check_name
from rigid.edits.code_layouts import FAMILIES
from rigid.edits.library import custom_folder, load_attribute
from rigid.edits.published_formats import Published, read_published
from rigid.models.profiles import sizes_of
from rigid.operating_system import limit_process

MEMORY_BYTES = 4 << 30
CPU_SECONDS = 60
FOREIGN_GENERATORS = {
    r"pggan": "PGGAN",
    r"stylegan3": "StyleGAN3",
    r"stylegan[_-]": "the first StyleGAN",
    r"_z([_.]|$)": "the space Z, before the mapping network,",
    r"(^|[_-])(car|cat|church|horse|anime)s?([_.-]|$)": "a generator of other things than faces",
}
"""What file and folder names say of directions that look alike but mean nothing here."""


@dataclass(frozen=True)
class ImportRequest:
    """How a file is taken in; None leaves a thing as the file says, or as is usual for what it holds."""

    name: str | None = None
    label: str | None = None
    group: str | None = None
    layers: str | None = None
    """The codes that carry the edit, such as 4-7 or 4,5,6, counted from 0 in the file's own codes."""
    strength: float | None = None
    """Length of the edit at strength 1, in multiples of what the file holds; negative turns it round."""
    component: int | None = None
    """Which of many directions in the file."""
    one_way: bool = False
    """The range is 0 to 1 and not -1 to 1."""
    family: str | None = None
    """The generator the file is for, which quiets a warning by its name."""


@dataclass(frozen=True)
class Target:
    """The library a file is taken into."""

    folder: Path
    n_codes: int
    code_size: int
    family: str

    def load(self, path: Path) -> Attribute:
        """The attribute in one of its files; ValueError as `load_attribute`."""
        return load_attribute(path, n_codes=self.n_codes, code_size=self.code_size, family=self.family, custom=True)


def target_of(profile: str) -> Target:
    """Return where a user's attributes for `profile` go; ValueError for an unknown profile."""
    sizes = sizes_of(profile)
    return Target(custom_folder(profile), sizes.n_codes, sizes.code_size, FAMILIES[profile])


def import_attribute(path: Path, request: ImportRequest, target: Target, taken: Iterable[str] = ()) -> Attribute:
    """Take the edit in `path` into the folder of `target`, and give it as the library will.

    Raises ValueError, one sentence, and writes nothing, when the file holds no edit for this generator, when what is
    asked for does not fit it, or when its name is one of those `taken`; OSError when it cannot be written.
    """
    target.folder.mkdir(parents=True, exist_ok=True)
    taken = {*taken, *(file.stem for file in target.folder.glob("*.safetensors"))}
    if request.name is not None:
        check_free(request.name, taken)
    with TemporaryDirectory(prefix=".import-", dir=target.folder) as scratch:
        written = _write(path, request, target, Path(scratch))
        check_free(written.stem, taken)
        attribute = target.load(written)
        written.replace(target.folder / written.name)
    return attribute


def remove_attribute(name: str, target: Target) -> None:
    """Remove an imported attribute; ValueError when there is none of that name."""
    check_name(name, "The attribute")
    path = target.folder / f"{name}.safetensors"
    if not path.is_file():
        own = sorted(file.stem for file in target.folder.glob("*.safetensors"))
        raise ValueError(f"No attribute {name!r} was imported; those that were: {', '.join(own) or 'none'}.")
    path.unlink()


def check_free(name: str, taken: Iterable[str]) -> None:
    """ValueError where `name` is none that the API takes, or is `taken`."""
    check_name(name, "The attribute")
    if name in taken:
        raise ValueError(f"There is an attribute named {name!r} already; choose another name.")


def _write(path: Path, request: ImportRequest, target: Target, folder: Path) -> Path:
    """The attribute as a file of ours in `folder`."""
    if is_own(path):
        return _rewritten(path, request, target, folder)
    if request.name is None:
        raise ValueError(f"{path.name}: give the attribute a name; the file has none.")
    _check_origin(path, request)
    published = read_published(path, request.component, target.code_size)
    header = _header(path, request, published, target)
    written = folder / f"{header.name}.safetensors"
    write_attribute(written, header, published.direction, published.parts)
    return written


def is_own(path: Path) -> bool:
    """Whether a file is a safetensors of this project, by its header."""
    try:
        with safe_open(path, framework="numpy") as file:
            return METADATA_KEY in (file.metadata() or {})
    except (SafetensorError, OSError):
        return False


def _rewritten(path: Path, request: ImportRequest, target: Target, folder: Path) -> Path:
    """A file of ours with what the request changes of its header; its arrays stay as they are."""
    before = read_attribute(path, n_codes=target.n_codes, code_size=target.code_size, family=target.family).header
    header = replace(
        before,
        name=request.name or before.name,
        label=request.label or before.label,
        group=request.group or before.group,
        region=before.region if request.group is None else "",
        changes=before.changes if request.group is None else None,
        strength_scale=before.strength_scale if request.strength is None else request.strength,
        min=0.0 if request.one_way else before.min,
    )
    if request.layers is not None:
        header = replace(header, layers=parse_layers(request.layers, header.codes or target.n_codes))
    with safe_open(path, framework="numpy") as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if request.strength is not None and MOTION in tensors:
        # the motion is that of the old strength
        longer = request.strength / before.strength_scale
        header = replace(header, motion_gain=header.motion_gain * abs(longer))
        tensors[MOTION] = tensors[MOTION] if longer > 0 else tensors[MOTION][::-1].copy()
    metadata[METADATA_KEY] = json.dumps(asdict(header))
    check_name(header.name, path.name)
    written = folder / f"{header.name}.safetensors"
    save_file(tensors, written, metadata={key: metadata[key] for key in (METADATA_KEY, MAP_KEY) if key in metadata})
    return written


def _header(path: Path, request: ImportRequest, published: Published, target: Target) -> AttributeHeader:
    assert request.name is not None
    codes = published.codes
    return AttributeHeader(
        name=request.name,
        label=request.label or request.name.replace("_", " ").capitalize(),
        group=request.group or "other",
        source=f"{published.kind}, imported from {_printable(path.name)}",
        strength_scale=published.strength if request.strength is None else request.strength,
        layers=tuple(range(codes)) if request.layers is None else parse_layers(request.layers, codes),
        min=0.0 if request.one_way else -1.0,
        family=target.family,
        codes=codes,
    )


def _printable(name: str) -> str:
    return "".join(character for character in name if character.isprintable())[:100]


def parse_layers(text: str, n_codes: int) -> tuple[int, ...]:
    """`4-7` or `4,5,6` as numbers of codes; ValueError when it is neither, or names a code there is not."""
    numbers: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,3})(?:\s*-\s*(\d{1,3}))?\s*", part)
        if match is None:
            raise ValueError(f"The layers {text!r} cannot be understood; write 4-7 or 4,5,6.")
        first, last = int(match[1]), int(match[2] or match[1])
        if not first <= last < n_codes:
            raise ValueError(f"The layers {text!r} are not within 0 to {n_codes - 1}, the codes that the file is for.")
        numbers.update(range(first, last + 1))
    return tuple(sorted(numbers))


def _check_origin(path: Path, request: ImportRequest) -> None:
    """ValueError where a file's own name, or its folder's, says that it is for another generator."""
    if request.family is not None:
        return
    for name in (path.name.lower(), path.absolute().parent.name.lower()):
        for pattern, generator in FOREIGN_GENERATORS.items():
            if re.search(pattern, name):
                raise ValueError(
                    f"{path.name}: by the name {name!r} it is for {generator} whose codes mean nothing here; if that "
                    f"is wrong, say so with --family."
                )


def main() -> None:
    """Do the import that standard input describes as JSON; standard output tells the file's name or the error."""
    limit_process(MEMORY_BYTES, CPU_SECONDS)
    job = json.load(sys.stdin)
    target = Target(Path(job["folder"]), job["n_codes"], job["code_size"], job["family"])
    try:
        attribute = import_attribute(Path(job["path"]), ImportRequest(**job["request"]), target, job["taken"])
        told = {"name": attribute.name}
    except (ValueError, OSError) as error:
        told = {"error": str(error)}
    except MemoryError:
        told = {"error": f"{Path(job['path']).name} needs more memory than an edit does."}
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()
