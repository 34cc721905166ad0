"""The certificate for https: made once, kept, renewed."""

from __future__ import annotations

import ssl
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from server import tls
from server.tls import Renewal, self_signed


def names_in(path: Path) -> set[str]:
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    return {
        str(name.value) for name in certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    }


def test_it_holds_this_machine_and_loads(tmp_path: Path) -> None:
    files = self_signed(tmp_path / "new", ["studio.example.org"])
    assert {"localhost", "127.0.0.1", "::1", "studio.example.org"} <= names_in(files.certificate)
    assert files.key.stat().st_mode & 0o777 == 0o600
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(files.certificate, files.key)


def test_it_is_kept(tmp_path: Path) -> None:
    before = self_signed(tmp_path).certificate.read_bytes()
    assert self_signed(tmp_path).certificate.read_bytes() == before


@pytest.mark.parametrize("spoil", ["name", "age", "text", "key"])
def test_it_is_made_anew_where_it_will_not_do(tmp_path: Path, spoil: str) -> None:
    files = self_signed(tmp_path, now=datetime.now(UTC) - timedelta(days=336 if spoil == "age" else 0))
    before = files.certificate.read_bytes()
    names = ["10.1.2.3"] if spoil == "name" else []
    if spoil == "text":
        files.certificate.write_text("nonsense")
    if spoil == "key":
        files.key.unlink()
    after = self_signed(tmp_path, names).certificate
    assert after.read_bytes() != before
    assert set(names) <= names_in(after)
    left = x509.load_pem_x509_certificate(after.read_bytes()).not_valid_after_utc - datetime.now(UTC)
    assert left > timedelta(days=360)


def served(context: ssl.SSLContext) -> str:
    """The serial number of the certificate that a server with this context shows."""
    client, server = ssl.MemoryBIO(), ssl.MemoryBIO()
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    asking = trusting.wrap_bio(server, client)
    answering = context.wrap_bio(client, server, server_side=True)
    for _ in range(4):
        for side in (asking, answering):
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
    shown = asking.getpeercert(binary_form=True)
    assert shown is not None
    return str(x509.load_der_x509_certificate(shown).serial_number)


def test_a_renewed_certificate_is_used_without_a_new_start(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = self_signed(tmp_path / "one")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    renewal, first = Renewal(files), served(context)
    assert not renewal.look(context)
    other = self_signed(tmp_path / "other")
    # the certificate comes first, and does not go with the old key
    files.certificate.write_bytes(other.certificate.read_bytes())
    assert not renewal.look(context) and "is not used yet" in caplog.text
    assert served(context) == first
    files.key.write_bytes(other.key.read_bytes())
    assert renewal.look(context) and not renewal.look(context)
    assert served(context) != first
    files.key.unlink()
    assert not renewal.look(context)


def test_a_certificate_of_ones_own_making_is_made_anew_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(tls, "VALID", timedelta(days=20))
        files = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    first = served(context)
    assert Renewal(files, lambda: self_signed(tmp_path)).look(context)
    assert served(context) != first
