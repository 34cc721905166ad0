"""Who made a picture, and that AI edited it: C2PA manifests in what this program writes (C2PA specification 2.x).

By default they are signed with a certificate of this machine's own making: it shows that a file was not changed since,
not who made it. Where a certificate of a known authority is given, readers can tell that too.
"""

from __future__ import annotations

import io
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, BinaryIO

import c2pa
import cv2
import numpy as np
from PIL import Image

from rigid.files.credentials import PROGRAM, Credentials, load_credentials, own_credentials

DESCRIPTION = "Faces edited with AI"
AI_EDITED = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
"""IPTC's digital source type of a real picture of which AI made a part."""
PARENT = "source"
"""What the edited file is called among a manifest's ingredients."""
_OTHER_NAMES = {".jfif": "jpg", ".jpe": "jpg", ".apng": "png", ".hif": "heif"}
_NO_THUMBNAILS = {"builder": {"thumbnail": {"enabled": False}}}
"""A thumbnail of what came in would show in the result the face as it was before the edit."""


@dataclass(frozen=True)
class Signing:
    """The files of the credentials on the machine that signs."""

    chain: Path | None
    key: Path | None
    folder: Path
    """Where this machine keeps its own, for where none are given."""

    def load(self) -> Credentials:
        """Load the credentials; see `choose_credentials`."""
        return choose_credentials(self.chain, self.key, self.folder)


def carrier(path: Path) -> str | None:
    """The C2PA library's name for the kind of file that `path`'s name tells; None where it can carry no manifest."""
    suffix = path.suffix.lower()
    name = _OTHER_NAMES.get(suffix, suffix.removeprefix("."))
    return name if name and name in c2pa.Builder.get_supported_mime_types() else None


def choose_credentials(chain: Path | None, key: Path | None, folder: Path) -> Credentials:
    """Load those, else this machine's own in `folder`. ValueError: one of two was given, or they cannot be used."""
    if chain is None and key is None:
        return own_credentials(folder)
    if chain is None or key is None:
        given, missing = ("key", "certificate") if chain is None else ("certificate", "key")
        raise ValueError(f"The C2PA {given} alone cannot sign; give its {missing} too, or neither.")
    credentials = load_credentials(chain, key)
    # A chain that readers refuse shows only when something is signed with it.
    done, picture = cv2.imencode(".png", np.zeros((8, 8, 3), np.uint8))
    assert done
    try:
        sign(picture.tobytes(), "image/png", credentials)
    except ValueError as error:
        raise ValueError(f"{chain} and {key} cannot be used to sign: {error}") from error
    return credentials


def sign(data: bytes, media_type: str, credentials: Credentials, edits: dict[str, float] | None = None) -> bytes:
    """A picture or film of `media_type` (image/jpeg, video/mp4 ...) with a manifest: edited with AI, how and when.

    ValueError for a type that cannot carry one.
    """
    target = io.BytesIO()
    _sign(io.BytesIO(data), target, media_type, credentials, edits or {}, None)
    return target.getvalue()


def sign_file(
    source: Path,
    target: Path,
    media_type: str,
    credentials: Credentials,
    edits: dict[str, float] | None = None,
    parent: Path | None = None,
) -> None:
    """`sign` from one file to another, however large they are. OSError where they cannot be read or written.

    `parent` is what `source` was made from: it is named, by its hash and with the manifests that it has itself.
    """
    with source.open("rb") as read, target.open("w+b") as written:
        _sign(read, written, media_type, credentials, edits or {}, parent)


def mark_file(path: Path, signing: Signing, edits: dict[str, float], parent: Path) -> str:
    """Put into `path` that AI edited it, how, what it was made from and who says so; why not, where that cannot be."""
    kind = carrier(path)
    if kind is None:
        return f"A {path.suffix.lower()} file can carry no C2PA manifest; the result is not signed."
    if kind in ("tif", "tiff") and _has_pages(path):
        # the library would add a page without a picture, on which Pillow and libtiff fail
        return (
            "A TIFF with several pages cannot be signed so that all programs still read it; the result is not signed."
        )
    # not `replacing`: where it cannot be signed, the file stays as it is
    part = path.with_name(f".{os.getpid()}.signed{path.suffix}")
    try:
        sign_file(path, part, kind, signing.load(), edits, parent)
        os.replace(part, path)
    except ValueError as error:
        return f"{error} The result is not signed."
    finally:
        part.unlink(missing_ok=True)
    return ""


def _kind_within(path: Path) -> str | None:
    """The name as `carrier` gives it, of what a picture is, whatever its own name says: the library takes no other."""
    try:
        with Image.open(path) as image:
            kind = image.get_format_mimetype()
    except (OSError, ValueError):
        kind = None
    return kind if kind in c2pa.Builder.get_supported_mime_types() else carrier(path)


def _has_pages(path: Path) -> bool:
    with Image.open(path) as image:
        return getattr(image, "n_frames", 1) > 1


def _sign(
    source: BinaryIO,
    target: BinaryIO,
    media_type: str,
    credentials: Credentials,
    edits: dict[str, float],
    parent: Path | None,
) -> None:
    signer = c2pa.Signer.from_info(
        c2pa.C2paSignerInfo(c2pa.C2paSigningAlg.ES256, credentials.chain, credentials.key, None)
    )
    kind = None if parent is None else _kind_within(parent)
    try:
        context = c2pa.Context.from_dict(_NO_THUMBNAILS)
        with c2pa.Builder(json.dumps(_manifest(edits, kind is not None)), context) as builder:
            if parent is not None and kind is not None:
                ingredient = {"title": _make_printable(parent.name), "relationship": "parentOf", "label": PARENT}
                with parent.open("rb") as read:
                    builder.add_ingredient(json.dumps(ingredient), kind, read)
            builder.sign(signer, media_type, source, target)
    except c2pa.C2paError as error:
        raise ValueError(f"A file of type {media_type} could not be signed: {error}.") from error


def _make_printable(name: str) -> str:
    return name.encode("utf-8", "replace").decode("utf-8")


def _manifest(edits: dict[str, float], has_parent: bool) -> dict[str, Any]:
    agent = {"name": PROGRAM, "version": _version()}
    when = datetime.now(UTC).isoformat(timespec="seconds")
    opened = {"action": "c2pa.opened", "when": when, "parameters": {"ingredientIds": [PARENT]}}
    created = {"action": "c2pa.created", "digitalSourceType": AI_EDITED, "softwareAgent": agent, "when": when}
    edited = {
        "action": "c2pa.edited",
        "description": DESCRIPTION,
        "softwareAgent": agent,
        "digitalSourceType": AI_EDITED,
        "when": when,
        "parameters": {"edits": {name: value for name, value in edits.items() if value}},
    }
    first = opened if has_parent else created
    actions = {"label": "c2pa.actions.v2", "data": {"actions": [first, edited]}}
    return {"claim_generator_info": [agent], "title": DESCRIPTION, "assertions": [actions]}


def _version() -> str:
    try:
        return version("rigid-live")
    except PackageNotFoundError:
        return "unknown"
