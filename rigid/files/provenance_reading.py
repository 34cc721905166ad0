"""What a file says of who made it, and whether that AI edited it (C2PA specification 2.x)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import c2pa

from rigid.files.provenance import carrier

AI_SOURCES = ("compositeWithTrainedAlgorithmicMedia", "trainedAlgorithmicMedia")


@dataclass(frozen=True)
class Provenance:
    """What a file says of itself."""

    intact: bool
    """Whether it is as it was when it was signed."""
    trusted: bool
    """Whether a known authority vouches for the signer."""
    edited_with_ai: bool
    program: str
    signer: str
    signed_at: str | None
    edits: dict[str, float]
    problems: tuple[str, ...]
    """Codes of the C2PA specification for what does not hold."""


def read(path: Path) -> Provenance | None:
    """What `path` says of itself; None where it says nothing. ValueError: no file, or of a type that cannot."""
    media_type = carrier(path)
    if media_type is None:
        raise ValueError(f"{path} is of no type that can say where it comes from; jpg, png, webp, heic and mp4 can.")
    try:
        with path.open("rb") as file, c2pa.Reader(media_type, file) as reader:
            return _read_store(json.loads(reader.json()))
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}.") from error
    except c2pa.C2paError as error:
        if "ManifestNotFound" in type(error).__name__ or "no JUMBF" in str(error):
            return None
        raise ValueError(f"{path} cannot be read: {error}.") from error


def _read_store(store: dict[str, Any]) -> Provenance:
    manifest = store["manifests"][store["active_manifest"]]
    state = store.get("validation_state", "Invalid")
    found = [one for assertion in manifest.get("assertions", []) for one in assertion["data"].get("actions", [])]
    sources = [str(action.get("digitalSourceType", "")).rsplit("/", 1)[-1] for action in found]
    signature = manifest.get("signature_info", {})
    generators = manifest.get("claim_generator_info", [])
    edits: dict[str, float] = {}
    for action in found:
        edits |= action.get("parameters", {}).get("edits", {})
    failures = store.get("validation_results", {}).get("activeManifest", {}).get("failure", [])
    return Provenance(
        intact=state in ("Valid", "Trusted"),
        trusted=state == "Trusted",
        edited_with_ai=any(source in AI_SOURCES for source in sources),
        program=" ".join(filter(None, (generators[0].get("name"), generators[0].get("version")))) if generators else "",
        signer=str(signature.get("common_name") or signature.get("issuer") or "unknown"),
        signed_at=signature.get("time") or next((action["when"] for action in found if "when" in action), None),
        edits=edits,
        problems=tuple(str(one.get("code")) for one in failures),
    )
