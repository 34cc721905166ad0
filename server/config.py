"""What a server is told at its start."""

from __future__ import annotations

import re
from dataclasses import dataclass
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
        """`stun:HOST[:PORT]` or `turn:USER:PASSWORD@HOST[:PORT][?transport=udp|tcp]`; ValueError otherwise."""
        match = URL.fullmatch(text)
        if match is None or not _is_reachable(f"{match['scheme']}:{match['rest']}"):
            raise ValueError(f"{text!r} is not an ICE server; give stun:HOST:PORT or turn:USER:PASSWORD@HOST:PORT.")
        if match["scheme"] != "stun" and match["user"] is None:
            raise ValueError(f"{text!r} names no user; give {match['scheme']}:USER:PASSWORD@HOST:PORT.")
        secret = None if match["secret"] is None else unquote(match["secret"])
        user = None if match["user"] is None else unquote(match["user"])
        return cls(f"{match['scheme']}:{match['rest']}", user, secret)

    def describe(self) -> dict[str, object]:
        """As RTCPeerConnection's `iceServers` takes it."""
        credentials = {"username": self.username, "credential": self.credential}
        return {"urls": [self.url], **{key: value for key, value in credentials.items() if value is not None}}


def _is_reachable(url: str) -> bool:
    from aiortc.rtcicetransport import parse_stun_turn_uri

    try:
        return bool(parse_stun_turn_uri(url)["host"])
    except ValueError:
        return False


@dataclass(frozen=True)
class PortRange:
    """UDP ports `first` to `last`, both included."""

    first: int
    last: int

    def __post_init__(self) -> None:
        if not 1024 <= self.first <= self.last <= 65535:
            raise ValueError(
                f"The UDP ports {self.first}-{self.last} are no range; give A-B with 1024 <= A <= B <= 65535."
            )

    @classmethod
    def parse(cls, text: str) -> PortRange:
        """`A-B`; ValueError otherwise."""
        match = re.fullmatch(r"(\d{1,5})-(\d{1,5})", text.strip())
        if match is None:
            raise ValueError(f"{text!r} is no range of UDP ports; give A-B, for example 40000-40100.")
        return cls(int(match[1]), int(match[2]))

    def __len__(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True)
class ServerConfig:
    """The settings of one server; `create_app` passes it down."""

    profile: str = "mobile-256"
    """Named in /version."""
    engine: str = "auto"
    """Named in /version."""
    max_sessions: int = 4
    """More than these are turned away with 503."""
    api_key: str | None = None
    """Where given, requests need `Authorization: Bearer KEY`."""
    ice_servers: tuple[IceServer, ...] = ()
    """None by default: a server on the local network needs none, and no third party is asked."""
    udp_ports: PortRange | None = None
    """Where media may be received; None leaves it to the system."""
    ramp_ms: float = 400.0
    """How long an edit takes to reach its new strength where a request does not say."""
    connect_seconds: float = 20.0
    """A session whose client does not connect within these is closed."""
    dead_seconds: float = 8.0
    """A session whose client sends nothing at all for this long, no life sign either, is closed."""
    idle_seconds: float = 60.0
    """A session whose client lives but sends no video for this long is closed."""
    max_session_seconds: float | None = None
    """Every session is closed after these; None for no limit."""
    drain_seconds: float = 5.0
    """Asked to end by SIGTERM, a server takes no new sessions and gives those that run this long to end."""
    resume_seconds: float = 60.0
    """How long the edits and the stream's state of a session that lost its connection wait for its client."""
    max_resumable: int = 16
    """More than these are not kept at a time; each takes about 3 MB."""
    max_body_bytes: int = 256 * 1024
    allow_uploads: bool = False
    """Whether clients may add attributes and presets, which stay on this machine."""
    start_bitrate: int = 1_500_000
    """Of the video sent, bits a second, until the receiver reports its own estimate."""
    max_bitrate: int = 4_000_000

    def __post_init__(self) -> None:
        if self.max_sessions < 1:
            raise ValueError(f"{self.max_sessions} sessions are too few; allow at least 1.")
        self._check_times()
        if not self.resume_seconds > 0 or self.max_resumable < 1:
            raise ValueError(
                f"{self.max_resumable} lost sessions for {self.resume_seconds:g} s cannot be gone on with; "
                "keep at least 1 for more than 0 s."
            )
        if self.api_key is not None and not self.api_key.strip():
            raise ValueError("The API key is empty; give one of at least one character, or none at all.")
        if not 0 < self.start_bitrate <= self.max_bitrate:
            raise ValueError(
                f"The bitrates {self.start_bitrate} to {self.max_bitrate} are no range; start with the lower one."
            )

    def _check_times(self) -> None:
        for name in ("connect_seconds", "dead_seconds", "idle_seconds", "max_session_seconds"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{value:g} is too short for {name}; give more than 0 seconds.")
        if not self.drain_seconds >= 0:
            raise ValueError(f"{self.drain_seconds:g} is no time to drain; give 0 seconds or more.")
