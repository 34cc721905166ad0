"""What a server can be told, and what it cannot."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from server.config import ServerConfig, parse_udp_ports
from server.ice_servers import IceServer, Relay


def test_ice_servers() -> None:
    assert IceServer.parse("stun:stun.example.org") == IceServer("stun:stun.example.org")
    turn = IceServer.parse("turn:ann:s%40crt@turn.example.org:3478?transport=tcp")
    assert turn == IceServer("turn:turn.example.org:3478?transport=tcp", "ann", "s@crt")


@pytest.mark.parametrize("text", ["", "stun:", "http://example.org", "turn:a:b@", "stun:a b"])
def test_what_is_no_ice_server(text: str) -> None:
    with pytest.raises(ValueError, match=r"; give|; choose|names no user"):
        IceServer.parse(text)


def test_port_ranges() -> None:
    assert parse_udp_ports("40000-40100") == range(40000, 40101)
    assert list(parse_udp_ports("5000-5000")) == [5000]


@pytest.mark.parametrize("text", ["", "5000", "5000-", "b-a", "6000-5000", "1-2", "60000-70000", "5000-6000-7000"])
def test_what_is_no_port_range(text: str) -> None:
    with pytest.raises(ValueError, match="give A-B"):
        parse_udp_ports(text)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"max_sessions": 0}, "at least 1"),
        ({"api_keys": ("good", " ")}, "API key is empty"),
        ({"resume_seconds": 0.0}, "keep at least 1 for more than 0 s"),
        ({"max_resumable": 0}, "keep at least 1"),
        ({"start_bitrate": 9_000_000}, "do not rise"),
        ({"min_bitrate": 2_000_000}, "do not rise"),
        ({"idle_seconds": 0.0}, "too short for idle_seconds"),
        ({"drain_seconds": -1.0}, "no time to drain"),
        ({"ice_servers": (IceServer("turn:example.org"),)}, "names no user"),
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ServerConfig(**settings)  # type: ignore[arg-type]


def test_turn_credentials_expire_and_are_each_clients_own() -> None:
    servers = (IceServer("stun:s:1"), IceServer("turn:t:2"), IceServer("turn:u:3", "ann", "secret"))
    relay = Relay(servers, "shared", 600.0, clock=lambda: 1000.0)
    stun, turn, fixed = relay.for_client()
    assert (stun, fixed) == (servers[0], servers[2])
    assert turn.username is not None and turn.username.startswith("1600:")
    expected = hmac.new(b"shared", turn.username.encode(), hashlib.sha1).digest()
    assert turn.credential == base64.b64encode(expected).decode()
    assert relay.for_client()[1] != turn
