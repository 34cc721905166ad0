"""Named sets of edits, one JSON file each: those that ship, and a user's own."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rigid.atomic_files import write_json
from rigid.edits.attribute_header import LONGEST_TEXT, check_name
from rigid.edits.library import AttributeLibrary
from rigid.edits.ramp import EASINGS, Easing

SHIPPED = Path(__file__).with_name("shipped_presets")
MOST_OWN = 200
LONGEST_FADE_MS = 60_000.0
LARGEST_PRESET_FILE = 64 * 1024


@dataclass(frozen=True)
class Preset:
    """A look: {attribute: strength}, and how long the stream takes to cross-fade to it."""

    name: str
    """The name as the API takes it: lower case, digits and underscores."""
    label: str
    edits: dict[str, float]
    fade_ms: float = 800.0
    easing: Easing = "smooth"
    custom: bool = False
    """Whether it is a user's own."""

    def describe(self) -> dict[str, object]:
        """Describe the preset as `GET /api/v1/presets` gives it."""
        fade = {"fade_ms": self.fade_ms, "easing": self.easing}
        return {"name": self.name, "label": self.label, "edits": self.edits, **fade, "custom": self.custom}


def parse_preset(name: str, content: object, library: AttributeLibrary, *, custom: bool) -> Preset:
    """The preset `name` from its JSON; ValueError, naming it and what is wrong, when it cannot be used."""
    check_name(name, f"The preset {name!r}")
    if not isinstance(content, dict) or not isinstance(content.get("edits"), dict):
        raise ValueError(f"The preset {name!r} needs an object with 'edits': {{attribute: strength}}.")
    unknown = set(content) - {"label", "edits", "fade_ms", "easing"}
    if unknown:
        raise ValueError(f"The preset {name!r} has the unknown key {min(unknown)!r}.")
    label, fade_ms, easing = _looks(name, content)
    try:
        edits = library.validate(content["edits"])
    except ValueError as error:
        raise ValueError(f"The preset {name!r}: {error}") from error
    return Preset(name, label, edits, fade_ms, easing, custom)


def _looks(name: str, content: dict[str, Any]) -> tuple[str, float, Easing]:
    label = content.get("label", name.replace("_", " ").capitalize())
    fade_ms, easing = content.get("fade_ms", Preset.fade_ms), content.get("easing", Preset.easing)
    if not isinstance(label, str) or not label.strip() or not label.isprintable() or len(label) > LONGEST_TEXT:
        raise ValueError(f"The preset {name!r} needs a label of 1 to {LONGEST_TEXT} printable characters.")
    if isinstance(fade_ms, bool) or not isinstance(fade_ms, int | float) or not 0 <= fade_ms <= LONGEST_FADE_MS:
        raise ValueError(f"The preset {name!r} has fade_ms {fade_ms!r}; give 0 to {LONGEST_FADE_MS:g} milliseconds.")
    if easing not in EASINGS:
        raise ValueError(f"The preset {name!r} has the easing {easing!r}; choose one of: {', '.join(EASINGS)}.")
    return label, float(fade_ms), easing


def read_preset(path: Path, library: AttributeLibrary, *, custom: bool) -> Preset:
    """The preset in a file that bears its name; ValueError as `parse_preset`, or when it is no JSON."""
    try:
        if path.stat().st_size > LARGEST_PRESET_FILE:
            raise ValueError(f"it is larger than {LARGEST_PRESET_FILE} bytes")
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"The preset file {path.name} cannot be read: {error}.") from error
    return parse_preset(path.stem, content, library, custom=custom)


def own_folder() -> Path:
    """Return where a user's presets lie: below `RIGID_LIVE_CONFIG`, else below the user's configuration folder."""
    configured = os.environ.get("RIGID_LIVE_CONFIG")
    if configured:
        return Path(configured).expanduser() / "presets"
    base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(base).expanduser() / "rigid-live" / "presets"


class PresetStore:
    """The presets that a library can serve. A user's own come after those that ship, and may not take their names.

    `problems`: what is wrong with files that are left out. May be used from any thread.
    """

    def __init__(self, library: AttributeLibrary, own: Path | None, shipped: Path = SHIPPED) -> None:
        self.problems: list[str] = []
        self._library = library
        self._own = own
        self._changing = threading.Lock()
        self._presets: dict[str, Preset] = {}
        self._read(shipped, custom=False)
        if own is not None:
            self._read(own, custom=True)

    def __iter__(self) -> Iterator[Preset]:
        return iter(list(self._presets.values()))

    def __getitem__(self, name: str) -> Preset:
        """The preset `name`; ValueError, naming those there are, when there is none."""
        preset = self._presets.get(name)
        if preset is None:
            raise ValueError(f"There is no preset {name!r}; choose from: {', '.join(self._presets) or 'none'}.")
        return preset

    def save(self, name: str, content: object) -> Preset:
        """Keep a user's own preset under `name`, in place of an earlier one of theirs.

        ValueError when it cannot be used, OSError when it cannot be written.
        """
        preset = parse_preset(name, content, self._library, custom=True)
        with self._changing:
            known = self._presets.get(name)
            if known is not None and not known.custom:
                raise ValueError(f"The preset {name!r} ships with the program; choose another name.")
            if known is None and sum(one.custom for one in self) >= MOST_OWN:
                raise ValueError(f"There are {MOST_OWN} presets of your own already; remove one first.")
            self._write(preset)
            self._presets = {**self._presets, name: preset}
        return preset

    def remove(self, name: str) -> None:
        """Forget a user's own preset; ValueError when there is none of that name."""
        with self._changing:
            if not self[name].custom:
                raise ValueError(f"The preset {name!r} ships with the program and stays.")
            (self._folder() / f"{name}.json").unlink(missing_ok=True)
            self._presets = {key: preset for key, preset in self._presets.items() if key != name}

    def _read(self, folder: Path, *, custom: bool) -> None:
        for path in sorted(folder.glob("*.json")):
            try:
                preset = read_preset(path, self._library, custom=custom)
            except ValueError as error:
                self.problems.append(str(error))
                continue
            if self._presets.setdefault(preset.name, preset) is not preset:
                self.problems.append(f"The preset file {path.name} has the name of one that ships; rename it.")

    def _write(self, preset: Preset) -> None:
        folder = self._folder()
        folder.mkdir(parents=True, exist_ok=True)
        content = {key: value for key, value in preset.describe().items() if key not in ("name", "custom")}
        write_json(folder / f"{preset.name}.json", content)

    def _folder(self) -> Path:
        if self._own is None:
            raise ValueError("Presets are not kept here.")
        return self._own
