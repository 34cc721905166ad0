"""What a server is told at its start."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import not_
from pathlib import Path

from server.ice_servers import IceServer, Relay
from server.setting import MEGABYTE, ask, ask_for_megabytes, ask_for_several, optional

LEAST_RECORDING_BYTES = MEGABYTE
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
    engine: str = "auto"
    """Named in /version."""
    worker: str = ""
    """Which of a cluster's workers it is: the ids and tokens of its sessions begin with it; empty for a lone server."""
    networks: Mapping[str, str] = field(default_factory=dict)
    """What is told of the networks that a session can do without; see `rigid.models.profiles.optional_networks`."""
    max_sessions: int = ask(4, "N", "More sessions than these are turned away.")
    max_faces: int = ask(2, "N", "Edit at most so many faces of a picture; each takes as long as the first.")
    max_watchers: int = ask(8, "N", "More viewers over WHEP are turned away.")
    """Of all sessions together: each viewer needs an encoder."""
    min_fps: float = ask(4.0, "FPS", "Turn a session away that would leave each with less; 0 asks for nothing.")
    latency_budget_ms: float | None = ask(None, "MS", "Keep pictures younger than this by doing less.")
    api_keys: tuple[str, ...] = ask_for_several(
        "api_key", "KEY", "Ask clients for this key, as a bearer token; may be repeated.", str, "RIGID_LIVE_API_KEY"
    )
    """Each key sees the sessions that were opened with it."""
    max_sessions_per_key: int | None = ask(None, "N", "More sessions than these of one key are turned away.")
    requests_per_minute: int | None = ask(
        None, "N", "More requests than these of one key, or address, are turned away."
    )
    allow_origins: tuple[str, ...] = ask_for_several(
        "allow_origin", "ORIGIN", "Let pages of https://HOST use the API; may be repeated. None by default.", str
    )
    allow_hosts: tuple[str, ...] = ask_for_several(
        "allow_host",
        "NAME",
        "Answer requests for this name (*.DOMAIN: all below it; *: any), as behind a proxy; may be repeated.",
        str,
    )
    """Beside the loopback's names and the address a request came to."""
    ice_servers: tuple[IceServer, ...] = ask_for_several(
        "ice_server",
        "URL",
        "stun:HOST:PORT, turn:USER:PASSWORD@HOST:PORT, or with --turn-secret turn:HOST:PORT; may be repeated. "
        "None by default.",
        IceServer.parse,
    )
    """A server on the local network needs none, and no third party is asked."""
    turn_secret: str | None = ask(
        None,
        "SECRET",
        "What the TURN servers share with this one; clients get credentials that expire.",
        variable="RIGID_LIVE_TURN_SECRET",
    )
    turn_seconds: float = ask(3600.0, "S", "How long those credentials are valid.")
    """For a new connection."""
    gather_seconds: float = 2.0
    """How long a STUN or TURN server may take to answer before a session opens without it."""
    udp_ports: range | None = ask(
        None,
        "A-B",
        "Receive video on these UDP ports only.",
        option="udp_port_range",
        type=str | None,
        read=optional(parse_udp_ports),
    )
    start_bitrate: int = ask(1_500_000, "BPS", "Of the video sent, at first.")
    """Until the receiver reports its own estimate, which the other two bound."""
    min_bitrate: int = ask(600_000, "BPS", "Of the video sent, at least.")
    max_bitrate: int = ask(4_000_000, "BPS", "Of the video sent, at most.")
    max_picture_side: int = ask(4096, "PX", "Pictures longer on a side are left out before they are decoded.")
    """They would take gigabytes."""
    late_seconds: float = 1.0
    """Pictures that piled up on their way and come later than this are left out, as fresher ones follow them."""
    ramp_ms: float = 400.0
    """How long an edit takes to reach its new strength where a request does not say."""
    connect_seconds: float = 20.0
    """A session whose client does not connect within these is closed."""
    dead_seconds: float = 8.0
    """A session whose client sends nothing at all for this long, no life sign either, is closed."""
    idle_seconds: float = ask(60.0, "S", "End a session without video after these.")
    """Its client lives; else see `dead_seconds`."""
    max_session_seconds: float | None = ask(None, "S", "End every session after these.")
    resume_seconds: float = ask(60.0, "S", "How long a lost session can be gone on with.")
    max_resumable: int = 16
    """More lost sessions than these are not kept at a time; each takes about 3 MB for each face."""
    drain_seconds: float = ask(5.0, "S", "How long sessions may go on after SIGTERM; no new ones are taken.")
    max_body_bytes: int = 256 * 1024
    body_seconds: float = 20.0
    """How long the body of a request may take to come."""
    allow_uploads: bool = ask(False, None, "Let clients add attributes and presets, which stay here.")
    max_upload_bytes: int = 64 * MEGABYTE
    """Of an attribute's file: a Latent-Transformer has 19 MB."""
    upload_seconds: float = 60.0
    """How long it may take to come."""
    recordings: Path | None = ask(  # noqa: RUF009
        None, "FOLDER", "Let clients have their sessions recorded here; nothing is kept without it."
    )
    max_recording_seconds: float = ask(600.0, "S", "A recording ends by itself after these.")
    max_recording_bytes: int = ask_for_megabytes(
        256 * MEGABYTE, "max_recording_mb", "A recording ends by itself before it is larger."
    )
    min_free_bytes: int = ask_for_megabytes(
        512 * MEGABYTE, "min_free_mb", "Recordings leave so much of their disk free."
    )
    recordings_quota_bytes: int | None = ask_for_megabytes(
        None, "recordings_quota_mb", "What all recordings may take together; no bound by default."
    )
    badge: bool = ask(
        True,
        None,
        "Leave “Edited with AI” out of pictures, unless a session asks for it.",
        option="no_badge",
        read=not_,
        show=not_,
    )

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
            ("max_faces", 1),
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
