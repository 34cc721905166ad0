"""What manifests are signed with: a certificate of a known authority, or one of this machine's own making."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PROGRAM = "RIGID Live"
VALID = timedelta(days=3650)


@dataclass(frozen=True)
class Credentials:
    """What manifests are signed with; an ES256 key."""

    chain: bytes
    """PEM certificates, the signer's own first."""
    key: bytes
    """PEM, PKCS 8."""


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
