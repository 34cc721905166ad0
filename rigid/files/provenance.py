"""Who made a picture, and that AI edited it: C2PA manifests in what this program writes (C2PA specification 2.x).

By default they are signed with a certificate of this machine's own making: it shows that a file was not changed since,
not who made it. Where a certificate of a known authority is given, readers can tell that too.
"""

from __future__ import annotations

import io
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, BinaryIO

import c2pa
import cv2
import numpy as np
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from PIL import Image

PROGRAM = "RIGID Live"
DESCRIPTION = "Faces edited with AI"
AI_EDITED = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
"""IPTC's digital source type of a real picture of which AI made a part."""
AI_SOURCES = ("compositeWithTrainedAlgorithmicMedia", "trainedAlgorithmicMedia")
PARENT = "source"
"""What the edited file is called among a manifest's ingredients."""
VALID = timedelta(days=3650)
_OTHER_NAMES = {".jfif": "jpg", ".jpe": "jpg", ".apng": "png", ".hif": "heif"}
_NO_THUMBNAILS = {"builder": {"thumbnail": {"enabled": False}}}
"""A thumbnail of what came in would show in the result the face as it was before the edit."""


@dataclass(frozen=True)
class Credentials:
    """What manifests are signed with; an ES256 key."""

    chain: bytes
    """PEM certificates, the signer's own first."""
    key: bytes
    """PEM, PKCS 8."""


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


def load_credentials(chain: Path, key: Path) -> Credentials:
    """Load credentials from files; ValueError where they are no certificate or no elliptic-curve key."""
    try:
        credentials = Credentials(chain.read_bytes(), key.read_bytes())
        certificate = x509.load_pem_x509_certificates(credentials.chain)[0]
        secret = serialization.load_pem_private_key(credentials.key, None)
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(f"{chain} and {key} cannot be used to sign: {error}.") from error
    if certificate.public_key() != secret.public_key():
        raise ValueError(f"{key} is not the key of {chain}'s first certificate.")
    if not isinstance(secret, ec.EllipticCurvePrivateKey) or not isinstance(secret.curve, ec.SECP256R1):
        raise ValueError(f"{key} is no P-256 key, which ES256 signatures need.")
    return credentials


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


def own_credentials(folder: Path) -> Credentials:
    """Load this machine's own, kept in `folder`; made where there are none that are good for a month more."""
    chain, key = folder / "chain.pem", folder / "key.pem"
    try:
        credentials = load_credentials(chain, key)
        expires = x509.load_pem_x509_certificates(credentials.chain)[0].not_valid_after_utc
        if expires - datetime.now(UTC) > timedelta(days=30):
            return credentials
    except ValueError:
        pass  # there are none yet, or they are damaged: new ones are as good
    folder.mkdir(parents=True, exist_ok=True)
    credentials = _make()
    key.unlink(missing_ok=True)
    with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(credentials.key)
    chain.write_bytes(credentials.chain)
    return credentials


def _make() -> Credentials:
    """A root and, below it, a certificate to sign with: readers refuse one that signed itself."""
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root_name, name = _name("root of this machine"), _name("self-signed")
    root = _certificate(root_name, root_name, root_key, root_key, ca=True)
    leaf = _certificate(name, root_name, key, root_key, ca=False)
    chain = b"".join(one.public_bytes(serialization.Encoding.PEM) for one in (leaf, root))
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Credentials(chain, secret)


def _name(what: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, PROGRAM),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{PROGRAM}, {what}"),
        ]
    )


def _certificate(
    name: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    ca: bool,
) -> x509.Certificate:
    now = datetime.now(UTC)
    usage = x509.KeyUsage(
        digital_signature=not ca,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + VALID)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if not ca:  # one of the purposes that the C2PA trust model allows
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


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
    """As `carrier`, of what a picture is, whatever its name says; the library takes no other word for it."""
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
