"""STUN and TURN servers, and the credentials that clients get for them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import unquote

URL = re.compile(r"(?P<scheme>stun|turn|turns):(?:(?P<user>[^:@]+):(?P<secret>[^@]+)@)?(?P<rest>[^@\s]+)")


@dataclass(frozen=True)
class IceServer:
    """A STUN or TURN server, named to the browser and used by this side."""

    url: str
    username: str | None = None
    credential: str | None = None

    @classmethod
    def parse(cls, text: str) -> IceServer:
        """Read `stun:HOST[:PORT]` or `turn:[USER:PASSWORD@]HOST[:PORT][?transport=udp|tcp]`; ValueError otherwise."""
        match = URL.fullmatch(text)
        if match is None or not _is_reachable(f"{match['scheme']}:{match['rest']}"):
            raise ValueError(f"{text!r} is not an ICE server; give stun:HOST:PORT or turn:USER:PASSWORD@HOST:PORT.")
        secret = None if match["secret"] is None else unquote(match["secret"])
        user = None if match["user"] is None else unquote(match["user"])
        return cls(f"{match['scheme']}:{match['rest']}", user, secret)

    @property
    def needs_credentials(self) -> bool:
        """Whether it is a TURN server without a user of its own."""
        return not self.url.startswith("stun") and self.username is None

    def describe(self) -> dict[str, object]:
        """Describe the server as RTCPeerConnection's `iceServers` takes it."""
        credentials = {"username": self.username, "credential": self.credential}
        return {"urls": [self.url], **{key: value for key, value in credentials.items() if value is not None}}


def _is_reachable(url: str) -> bool:
    from aiortc.rtcicetransport import parse_stun_turn_uri

    try:
        return bool(parse_stun_turn_uri(url)["host"])
    except ValueError:
        return False


@dataclass(frozen=True)
class Relay:
    """The ICE servers of one server; those of TURN without a user get credentials that expire.

    They are made as coturn's `use-auth-secret` checks them (TURN REST API, draft-uberti-behave-turn-rest-00): the
    user is the time of expiry and a name, the password the base64 of its HMAC-SHA1 under the shared secret.
    """

    servers: tuple[IceServer, ...]
    secret: str | None
    seconds: float
    clock: Callable[[], float] = time.time

    def for_client(self) -> list[IceServer]:
        """The servers, each ready to be used."""
        return [self._with_credentials(one) if one.needs_credentials else one for one in self.servers]

    def _with_credentials(self, server: IceServer) -> IceServer:
        assert self.secret is not None
        user = f"{int(self.clock() + self.seconds)}:{secrets.token_hex(4)}"
        digest = hmac.new(self.secret.encode(), user.encode(), hashlib.sha1).digest()
        return replace(server, username=user, credential=base64.b64encode(digest).decode())
