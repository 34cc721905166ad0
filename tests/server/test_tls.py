"""The certificate for https: made once, kept, renewed."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from server import tls
from server.tls import self_signed


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
def test_it_is_made_anew_where_it_will_not_do(tmp_path: Path, spoil: str, monkeypatch: pytest.MonkeyPatch) -> None:
    files = self_signed(tmp_path)
    before = files.certificate.read_bytes()
    names = ["10.1.2.3"] if spoil == "name" else []
    if spoil == "age":
        monkeypatch.setattr(tls, "RENEWED", timedelta(days=400))
    if spoil == "text":
        files.certificate.write_text("nonsense")
    if spoil == "key":
        files.key.unlink()
    after = self_signed(tmp_path, names).certificate
    assert after.read_bytes() != before
    assert set(names) <= names_in(after)
    left = x509.load_pem_x509_certificate(after.read_bytes()).not_valid_after_utc - datetime.now(UTC)
    assert left > timedelta(days=360)
