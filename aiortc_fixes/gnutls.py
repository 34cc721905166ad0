"""DTLS by GnuTLS, for peers whose certificate OpenSSL refuses.

FFmpeg 8's WHIP muxer, built with GnuTLS as PyAV's wheels are, makes itself a certificate on the curve P-224 (RFC 8827
section 6.5 asks for P-256, which its later versions take). OpenSSL 4 has no such curve for TLS any more, and refuses it
in both roles with an illegal_parameter alert, whatever groups it is told to take. GnuTLS is there wherever PyAV brings
it along.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import errno
import functools
from collections import deque
from pathlib import Path
from typing import Any
from weakref import WeakSet

import av
from aiortc import RTCPeerConnection
from aiortc.rtcdtlstransport import RTCCertificate, RTCDtlsTransport
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from OpenSSL import SSL

SERVER, CLIENT, DATAGRAM, NONBLOCK = 1, 2, 4, 8
PEM, CERTIFICATE, REQUIRE, CLOSE_WRITING = 1, 1, 2, 1
TRY_AGAIN = -28
MTU = 1200
LONGEST_WAIT_MS = 1000
LARGEST = 1500
"""Bytes of a datagram as aiortc sends them; several records may share one."""
PRIORITY = b"NORMAL:-VERS-ALL:+VERS-DTLS1.2:+GROUP-SECP224R1"
SRTP = b"SRTP_AES128_CM_HMAC_SHA1_80"
OPENSSL_SRTP = b"SRTP_AES128_CM_SHA1_80"
"""The same in OpenSSL's words."""
_handshake = RTCDtlsTransport._do_handshake


class _Datum(ctypes.Structure):
    _fields_ = (("data", ctypes.POINTER(ctypes.c_ubyte)), ("size", ctypes.c_uint))

    @classmethod
    def of(cls, text: bytes) -> _Datum:
        return cls((ctypes.c_ubyte * len(text)).from_buffer_copy(text), len(text))


_Pull = ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_void_p, ctypes.POINTER(ctypes.c_ubyte), ctypes.c_size_t)
_PullTimeout = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_uint)


@functools.cache
def library() -> Any:
    """GnuTLS as PyAV brings it along, else the system's; None where there is none."""
    package = Path(av.__file__).parent
    bundled = [*package.parent.glob("av.libs/libgnutls*"), *package.glob(".dylibs/libgnutls*")]
    name = str(bundled[0]) if bundled else ctypes.util.find_library("gnutls")
    if name is None:
        return None
    try:
        loaded = ctypes.CDLL(name)
    except OSError:
        return None
    loaded.gnutls_certificate_get_peers.restype = ctypes.POINTER(_Datum)
    loaded.gnutls_record_recv.restype = loaded.gnutls_record_send.restype = ctypes.c_ssize_t
    loaded.gnutls_transport_set_errno.argtypes = [ctypes.c_void_p, ctypes.c_int]
    return loaded


class GnuTlsConnection:
    """What `RTCDtlsTransport` uses of an `OpenSSL.SSL.Connection`, done by GnuTLS; raises the same errors."""

    def __init__(self, certificate: RTCCertificate, *, is_server: bool) -> None:
        self._library = library()
        self._incoming: deque[bytes] = deque()
        self._outgoing: deque[bytes] = deque()
        self._is_open = False
        self._credentials, self._session = ctypes.c_void_p(), ctypes.c_void_p()
        cert = _Datum.of(certificate._cert.public_bytes(Encoding.PEM))
        key = _Datum.of(certificate._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        self._call("certificate_allocate_credentials", ctypes.byref(self._credentials))
        pair = (ctypes.byref(cert), ctypes.byref(key))
        self._call("certificate_set_x509_key_mem", self._credentials, *pair, PEM)
        self._call("init", ctypes.byref(self._session), (SERVER if is_server else CLIENT) | DATAGRAM | NONBLOCK)
        self._call("priority_set_direct", self._session, PRIORITY, None)
        self._call("credentials_set", self._session, CERTIFICATE, self._credentials)
        self._call("srtp_set_profile_direct", self._session, SRTP, None)
        if is_server:
            self._library.gnutls_certificate_server_set_request(self._session, REQUIRE)
        self._library.gnutls_dtls_set_mtu(self._session, MTU)
        # Kept: GnuTLS calls them as long as the session lives.
        self._callbacks = _Pull(self._push), _Pull(self._pull), _PullTimeout(self._has_come)
        for name, callback in zip(("push", "pull", "pull_timeout"), self._callbacks, strict=True):
            getattr(self._library, f"gnutls_transport_set_{name}_function")(self._session, callback)

    def __del__(self) -> None:
        if self._session:
            self._library.gnutls_deinit(self._session)
        if self._credentials:
            self._library.gnutls_certificate_free_credentials(self._credentials)

    def _call(self, name: str, *arguments: object) -> int:
        result: int = getattr(self._library, f"gnutls_{name}")(*arguments)
        if result == TRY_AGAIN:
            raise SSL.WantReadError
        if result < 0:
            raise SSL.Error([("GnuTLS", name, str(result))])
        return result

    def _push(self, _pointer: int, data: Any, size: int) -> int:
        self._outgoing.append(ctypes.string_at(data, size))
        return size

    def _pull(self, _pointer: int, data: Any, size: int) -> int:
        if not self._incoming:
            self._library.gnutls_transport_set_errno(self._session, errno.EAGAIN)
            return -1
        datagram = self._incoming.popleft()[:size]
        ctypes.memmove(data, datagram, len(datagram))
        return len(datagram)

    def _has_come(self, _pointer: int, _milliseconds: int) -> int:
        return int(bool(self._incoming))

    # ---- as OpenSSL.SSL.Connection has them

    def do_handshake(self) -> None:
        """SSL.WantReadError until it is done."""
        self._call("handshake", self._session)
        self._is_open = True

    def bio_write(self, data: bytes) -> int:
        """Take a datagram that came."""
        self._incoming.append(data)
        return len(data)

    def bio_read(self, _size: int) -> bytes:
        """What is to be sent; SSL.WantReadError without anything."""
        if not self._outgoing:
            raise SSL.WantReadError
        datagram = self._outgoing.popleft()
        while self._outgoing and len(datagram) + len(self._outgoing[0]) <= LARGEST:
            datagram += self._outgoing.popleft()
        return datagram

    def recv(self, size: int) -> bytes:
        """A message; SSL.ZeroReturnError at the end."""
        if not self._is_open:
            raise SSL.WantReadError
        buffer = ctypes.create_string_buffer(size)
        count = self._call("record_recv", self._session, buffer, ctypes.c_size_t(size))
        if count == 0:
            raise SSL.ZeroReturnError
        return buffer.raw[:count]

    def send(self, data: bytes) -> int:
        """Send a message."""
        return self._call("record_send", self._session, data, ctypes.c_size_t(len(data)))

    def shutdown(self) -> None:
        """Tell the other end that nothing more is sent."""
        self._call("bye", self._session, CLOSE_WRITING)

    def DTLSv1_get_timeout(self) -> float | None:
        """Seconds until a flight is to be sent again; GnuTLS says 0 where none was sent yet."""
        if self._is_open:
            return None
        return (self._library.gnutls_dtls_get_timeout(self._session) or LONGEST_WAIT_MS) / 1000

    def DTLSv1_handle_timeout(self) -> None:
        """GnuTLS sends again by itself when the handshake is next tried."""

    def get_peer_certificate(self, *, as_cryptography: bool) -> x509.Certificate:
        """Return the certificate of the other end."""
        assert as_cryptography
        count = ctypes.c_uint()
        chain = self._library.gnutls_certificate_get_peers(self._session, ctypes.byref(count))
        if not count.value:
            raise SSL.Error([("GnuTLS", "certificate_get_peers", "the peer sent no certificate")])
        return x509.load_der_x509_certificate(ctypes.string_at(chain[0].data, chain[0].size))

    def get_selected_srtp_profile(self) -> bytes:
        """Name the SRTP profile in OpenSSL's words; empty where none was agreed."""
        chosen = ctypes.c_int()
        agreed = self._library.gnutls_srtp_get_selected_profile(self._session, ctypes.byref(chosen)) == 0
        return OPENSSL_SRTP if agreed else b""

    def export_keying_material(self, label: bytes, size: int) -> bytes:
        """Derive keys from the session's secret (RFC 5705, without context)."""
        buffer = ctypes.create_string_buffer(size)
        label_size, length = ctypes.c_size_t(len(label)), ctypes.c_size_t(size)
        self._call("prf_rfc5705", self._session, label_size, label, ctypes.c_size_t(0), None, length, buffer)
        return buffer.raw


_chosen: WeakSet[RTCDtlsTransport] = WeakSet()


def speak_gnutls(peer: RTCPeerConnection) -> None:
    """Have the DTLS of `peer`, to whom an offer was made, done by GnuTLS where there is one."""
    if library() is not None:
        _chosen.update(one.transport for one in peer.getReceivers())


async def do_handshake(self: RTCDtlsTransport) -> None:
    """Replace aiortc's own; the same handshake, by GnuTLS where the peer asks for it."""
    if self in _chosen:
        certificate: RTCCertificate = getattr(self, "_RTCDtlsTransport__local_certificate")  # noqa: B009
        self._ssl = GnuTlsConnection(certificate, is_server=self._role == "server")  # type: ignore[assignment]
    await _handshake(self)
