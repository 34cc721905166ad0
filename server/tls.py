"""A self-signed certificate: browsers open a camera only over https, unless on localhost."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aioice.ice import get_host_addresses
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from rigid.atomic_files import replacing

logger = logging.getLogger(__name__)

LOOK_SECONDS = 60.0
ANY = ("0.0.0.0", "::")
"""Hosts that stand for every address of a machine."""
VALID = timedelta(days=365)
RENEWED = timedelta(days=30)


@dataclass(frozen=True)
class CertificateFiles:
    """A certificate and its key, PEM."""

    certificate: Path
    key: Path


def load_given(certificate: Path | None, key: Path | None) -> CertificateFiles | None:
    """Check a certificate of one's own; None where neither file is named, ValueError where it cannot be used."""
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise ValueError(
            "A certificate needs its key, and a key its certificate; give --certificate and --private-key."
        )
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"{certificate} and {key} cannot be used: {error.strerror or error}.") from None
    return CertificateFiles(certificate, key)


class Renewal:
    """Gives a server that runs the new certificate once its files have changed; one that cannot be used is told."""

    def __init__(self, files: CertificateFiles, renew: Callable[[], object] = lambda: None) -> None:
        """`renew`: makes new files where that is due."""
        self._files = files
        self._renew = renew
        self._seen = self._find_change_time()

    async def keep(self, context: ssl.SSLContext) -> None:
        """Look at the files now and then, until cancelled; connections that are open keep what they have."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await asyncio.to_thread(self.look, context)

    def look(self, context: ssl.SSLContext) -> bool:
        """Load the files where they have changed; whether they were."""
        try:
            self._renew()
            seen = self._find_change_time()
            if seen == self._seen or None in seen:
                return False
            # One that does not go with its key must not come into a context that serves.
            load_given(self._files.certificate, self._files.key)
            context.load_cert_chain(self._files.certificate, self._files.key)
        except (OSError, ValueError, ssl.SSLError) as error:
            logger.warning("The new certificate is not used yet: %s", error)
            return False
        self._seen = seen
        logger.warning("The certificate %s has changed and is used from now on", self._files.certificate)
        return True

    def _find_change_time(self) -> tuple[int | None, int | None]:
        return _find_change_time(self._files.certificate), _find_change_time(self._files.key)


def _find_change_time(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:  # it is being replaced
        return None


def self_signed(folder: Path, names: Iterable[str] = (), now: datetime | None = None) -> CertificateFiles:
    """The certificate kept in `folder` for this machine's names and addresses and `names`; made anew when needed.

    That is where there is none, where it has less than thirty days left `now`, or where it lacks a name.
    """
    now = now or datetime.now(UTC)
    files = CertificateFiles(folder / "certificate.pem", folder / "key.pem")
    wanted = sorted({*own_names(), *(name for name in names if name)})
    if not _is_good(files, wanted, now):
        _make(files, wanted, now)
    return files


def own_names() -> list[str]:
    """How this machine is called from itself and from its network."""
    addresses = [address for address in get_host_addresses(True, True) if "%" not in address]
    return ["localhost", "127.0.0.1", "::1", socket.gethostname(), *addresses]


def is_loopback(host: str) -> bool:
    """Whether only this machine itself reaches a server on `host`, a name or an address."""
    try:
        found = {address[0] for *_, address in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return all(ipaddress.ip_address(str(one).partition("%")[0]).is_loopback for one in found)


def names_for(host: str, files: CertificateFiles | None) -> list[str]:
    """How a server on `host` is called, besides by the loopback's names: its address, or all of this machine's names
    where it listens on every address, and those in its certificate."""
    names = [*own_names(), f"{socket.gethostname()}.local"] if host in ANY else [host]
    if files is not None:
        names += sorted(_names_in(x509.load_pem_x509_certificate(files.certificate.read_bytes())))
    return names


def _is_good(files: CertificateFiles, wanted: list[str], now: datetime) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
        serialization.load_pem_private_key(files.key.read_bytes(), None)
    except (OSError, ValueError):
        return False
    return _names_in(certificate) >= set(wanted) and certificate.not_valid_after_utc - now > RENEWED


def _names_in(certificate: x509.Certificate) -> set[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return {str(name.value) for name in names if isinstance(name, x509.DNSName | x509.IPAddress)}


def _make(files: CertificateFiles, names: list[str], now: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    files.certificate.parent.mkdir(parents=True, exist_ok=True)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    with replacing(files.key) as part:
        part.touch(0o600)
        part.write_bytes(pem)
    with replacing(files.certificate) as part:
        part.write_bytes(_certificate(key, names, now).public_bytes(serialization.Encoding.PEM))


def _certificate(key: ec.EllipticCurvePrivateKey, names: list[str], now: datetime) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "RIGID Live")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # A little in the past, for a phone whose clock is behind.
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + VALID)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    )
    return builder.sign(key, hashes.SHA256())


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
