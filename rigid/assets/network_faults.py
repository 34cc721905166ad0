"""What keeps a download from coming, told by what Python, pip or npm say of it, and what to do about it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

CERTIFICATES = "SSL_CERT_FILE"
"""The variable by which Python itself is told whom to trust."""


@dataclass(frozen=True)
class Fault:
    """Why something did not come, and the remedy where it is more than to look after the network; a clause each."""

    clause: str
    remedy: str


def explain(told: str) -> Fault | None:
    """The fault behind what a downloader told, the whole of it; None where it is none of the network."""
    untrusted = re.search(r"CERTIFICATE_VERIFY_FAILED\]?[^:\n]*:?\s*([^(\n\\'\"]*)|SELF_SIGNED_CERT_IN_CHAIN", told)
    if untrusted:
        why = (untrusted[1] or "self-signed certificate in certificate chain").strip().removesuffix(".")
        return Fault(
            f"the certificate that the network shows is not trusted ({why or 'verify failed'})",
            f"where your organisation has a certificate of its own, let {CERTIFICATES} name its file (PEM)",
        )
    proxy = name_proxy(os.environ)
    refused = re.search(r"Tunnel connection failed: (\d{3}[^'\"\n\\)]*)|(407 Proxy Authentication Required)", told)
    if refused:
        answer = (refused[1] or refused[2]).strip()
        return Fault(
            f"the proxy {proxy} refuses ({answer})",
            "give HTTPS_PROXY an address that it takes, such as http://USER:PASSWORD@HOST:PORT",
        )
    if re.search(r"ProxyError|connect to (the )?proxy", told):
        return Fault(f"the proxy {proxy} cannot be reached", "check the variables HTTPS_PROXY and HTTP_PROXY")
    if re.search(
        r"Name or service not known|[Nn]ame resolution|getaddrinfo failed|nodename nor servname|NewConnectionError"
        r"|Connection refused|Network is unreachable|ENOTFOUND|ECONNREFUSED|[Cc]onnect(ion)? timed? ?out",
        told,
    ):
        return Fault("no connection", "")
    return None


def name_proxy(settings: Mapping[str, str]) -> str:
    """The proxy that the environment names, without a password that is written there."""
    for name in ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        if settings.get(name):
            return settings[name].rpartition("://")[2].rpartition("@")[2].rstrip("/")
    return "of this system"


def downloader_settings() -> dict[str, str]:
    """The environment of a downloader that soon gives up, and trusts whom Python trusts, unless it is told itself."""
    given = os.environ.get(CERTIFICATES)
    trusted = {} if not given else {"PIP_CERT": given, "NODE_EXTRA_CA_CERTS": given}
    return {"PIP_RETRIES": "2", **trusted, **os.environ}
