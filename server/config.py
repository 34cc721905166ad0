"""What a server is told at its start."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from server.ice_servers import IceServer, Relay

LEAST_RECORDING_BYTES = 1024 * 1024
ORIGIN = re.compile(r"https?://[^/\s*]+")
ANY_HOST = "*"
HOST_NAME = re.compile(r"[\w.-]+")
HOST_ADDRESS = re.compile(r"[\da-fA-F.:]+:[\da-fA-F.:]+")
"""Of IPv6; one of IPv4 looks like a name."""


def check_host_pattern(pattern: str) -> None:
    """ValueError, one sentence, unless it is a name or address, `*.DOMAIN` or `*`."""
    rest = pattern.removeprefix("*.")
    if pattern != ANY_HOST and not HOST_ADDRESS.fullmatch(rest) and not HOST_NAME.fullmatch(rest):
        raise ValueError(
            f"{pattern!r} is no host; give a name or an address without its port, *.DOMAIN, or * for all of them."
        )


def parse_udp_ports(text: str) -> range:
    """The UDP ports `A-B`, both included; ValueError unless 1024 <= A <= B <= 65535."""
    match = re.fullmatch(r"(\d{1,5})-(\d{1,5})", text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no range of UDP ports; give A-B, for example 40000-40100.")
    first, last = int(match[1]), int(match[2])
    if not 1024 <= first <= last <= 65535:
        raise ValueError(f"The UDP ports {first}-{last} are no range; give A-B with 1024 <= A <= B <= 65535.")
    return range(first, last + 1)


@dataclass(frozen=True)
class ServerConfig:
    """The settings of one server; `create_app` passes it down."""

    profile: str = "mobile-256"
    """Named in /version."""
    worker: str = ""
    """Which of a cluster's workers it is: the ids and tokens of its sessions begin with it; empty for a lone server."""
    engine: str = "auto"
    """Named in /version."""
    networks: Mapping[str, str] = field(default_factory=dict)
    """What is told of the networks that a session can do without; see `rigid.models.profiles.optional_networks`."""
    max_sessions: int = 4
    """More than these are turned away with 503."""
    max_sessions_per_key: int | None = None
    """More than these of one API key are turned away with 429."""
    max_watchers: int = 8
    """More viewers than these, of all sessions together, are turned away with 503: each needs an encoder."""
    min_fps: float = 4.0
    """A session that would leave each with fewer pictures a second than these, as measured, is turned away with 503."""
    latency_budget_ms: float | None = None
    """Pictures are kept younger than this by doing less; None for no budget."""
    api_keys: tuple[str, ...] = ()
    """Where given, requests need `Authorization: Bearer KEY`; each key sees the sessions that were opened with it."""
    requests_per_minute: int | None = None
    """More than these of one API key, or of one address, are turned away with 429."""
    allow_origins: tuple[str, ...] = ()
    """Of pages elsewhere that may use the API, as https://example.org."""
    allow_hosts: tuple[str, ...] = ()
    """What else the server is called than by the loopback's names and the address a request came to: names, addresses,
    `*.DOMAIN`, or `*` for anything."""
    ice_servers: tuple[IceServer, ...] = ()
    """None by default: a server on the local network needs none, and no third party is asked."""
    turn_secret: str | None = None
    """What TURN servers without a user share with this one; each client is given credentials of its own."""
    turn_seconds: float = 3600.0
    """How long those are valid for a new connection."""
    gather_seconds: float = 2.0
    """How long a STUN or TURN server may take to answer before a session opens without it."""
    udp_ports: range | None = None
    """Where media may be received; None leaves it to the system."""
    badge: bool = True
    """Whether edited pictures say that they are, unless a session asks otherwise."""
    late_seconds: float = 1.0
    """Pictures that piled up on their way and come later than this are left out, as fresher ones follow them."""
    max_picture_side: int = 4096
    """Pictures that are longer on a side, in pixels, are not decoded: they would take gigabytes."""
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
    max_upload_bytes: int = 64 * 1024 * 1024
    """Of an attribute's file: a Latent-Transformer has 19 MB."""
    recordings: Path | None = None
    """The folder where films of sessions are kept that ask for it; None keeps none."""
    max_recording_seconds: float = 600.0
    max_recording_bytes: int = 256 * 1024 * 1024
    min_free_bytes: int = 512 * 1024 * 1024
    """Recordings leave so much of the disk free."""
    recordings_quota_bytes: int | None = None
    """What all films in the folder may take together; None for no bound."""
    start_bitrate: int = 1_500_000
    """Of the video sent, bits a second, until the receiver reports its own estimate."""
    min_bitrate: int = 600_000
    """What that estimate may bring it down to."""
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
        if not all(key.strip() for key in self.api_keys):
            raise ValueError("The API key is empty; give one of at least one character, or none at all.")
        for origin in self.allow_origins:
            if not ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"{origin!r} is no origin; give SCHEME://HOST[:PORT], for example https://example.org."
                )
        for host in self.allow_hosts:
            check_host_pattern(host)
        self._check_limits()
        if not 0 < self.min_bitrate <= self.start_bitrate <= self.max_bitrate:
            raise ValueError(
                f"The bitrates {self.min_bitrate}, {self.start_bitrate} and {self.max_bitrate} do not rise; "
                "give the lowest, the first and the highest, in bits a second."
            )
        for server in self.ice_servers:
            if server.needs_credentials and self.turn_secret is None:
                raise ValueError(f"{server.url!r} names no user; give turn:USER:PASSWORD@HOST:PORT or a TURN secret.")

    def _check_limits(self) -> None:
        for name, least in (
            ("max_sessions_per_key", 1),
            ("max_watchers", 0),
            ("min_fps", 0),
            ("requests_per_minute", 1),
            ("max_recording_bytes", LEAST_RECORDING_BYTES),
            ("min_free_bytes", 0),
            ("max_picture_side", 16),
            ("recordings_quota_bytes", self.max_recording_bytes),
        ):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{value} is too few for {name}; allow at least {least}.")

    @property
    def relay(self) -> Relay:
        """What clients are told of STUN and TURN servers."""
        return Relay(self.ice_servers, self.turn_secret, self.turn_seconds)

    def _check_times(self) -> None:
        for name in (
            "connect_seconds",
            "dead_seconds",
            "idle_seconds",
            "max_session_seconds",
            "turn_seconds",
            "gather_seconds",
            "latency_budget_ms",
            "late_seconds",
            "max_recording_seconds",
        ):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{value:g} is too short for {name}; give more than 0 seconds.")
        if not self.drain_seconds >= 0:
            raise ValueError(f"{self.drain_seconds:g} is no time to drain; give 0 seconds or more.")
