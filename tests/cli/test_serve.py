"""`rigid-live serve`: what it refuses before anything is loaded."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

import server
from cli.main import _complete, run
from server.config import ServerConfig
from server.ice_servers import IceServer


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--profile", "huge-9000"], "huge-9000"),
        (["--engine", "steam"], "There is no engine 'steam'"),
        (["--max-sessions", "0"], "at least 1"),
        (["--udp-port-range", "9-5"], "give A-B"),
        (["--ice-server", "example.org"], "is not an ICE server"),
        (["--port", "70000"], "does not exist"),
        (["--log-level", "loud"], "There is no log level 'loud'"),
        (["--api-key", " "], "API key is empty"),
        (["--c2pa-key", "key.pem"], "give its certificate too"),
        (["--cluster", "--https"], "give --certificate"),
        (["--cluster", "nowhere", "--port", "0"], "is no address of a Ray cluster"),
        (["--cluster", "--port", "0", "--workers", "many"], "is no number of workers"),
        (["--cluster", "--port", "0", "--worker-cpus", "0"], "give it more"),
    ],
)
def test_bad_settings_are_one_sentence_and_status_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["serve", *arguments]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1


def test_a_port_in_use_is_one_sentence_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run(["serve", "--port", str(port)]) == 2
    assert capsys.readouterr().err == (
        f"Error: The port {port} on 127.0.0.1 is in use; "
        "stop the program that has it, or choose another one with --port.\n"
    )


@pytest.mark.parametrize(
    "words",
    [
        ["serve", "--port", "0", "--cluster"],
        ["cluster", "status", "--address"],
        ["cluster", "drain", "w1", "--address"],
        ["cluster", "stop", "--address"],
    ],
)
def test_a_cluster_that_cannot_be_reached_is_one_sentence_and_status_1(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert run([*words, f"127.0.0.1:{port}"]) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"Error: The Ray cluster at 127.0.0.1:{port} cannot be reached") and told.count("\n") == 1


@pytest.mark.parametrize("words", [["serve", "--port", "0", "--cluster"], ["cluster", "status"]])
def test_without_the_extra_it_says_what_to_install(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # the package's attribute, too: else what is imported here stays in it
    monkeypatch.delattr(server, "cluster", raising=False)
    for name in [name for name in sys.modules if name.startswith("server.cluster")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ray", None)
    assert run(words) == 1
    assert capsys.readouterr().err == (
        "Error: This needs ray, which is not installed; run `pip install 'rigid-live[cluster]'`.\n"
    )


def test_a_cluster_without_an_address_is_that_of_this_machine() -> None:
    assert _complete(["serve", "--cluster"]) == ["serve", "--cluster", "auto"]
    assert _complete(["serve", "--cluster", "--port", "1"]) == ["serve", "--cluster", "auto", "--port", "1"]
    assert _complete(["serve", "--cluster", "a:1", "--https"]) == ["serve", "--cluster", "a:1", "--https"]


@pytest.mark.parametrize(
    ("arguments", "warned"),
    [
        (["--host", "0.0.0.0"], True),
        (["--host", "::"], True),
        (["--host", "0.0.0.0", "--api-key", "k"], False),
        (["--host", "127.0.0.1"], False),
        (["--host", "localhost"], False),
    ],
)
def test_a_server_without_a_key_warns_where_others_reach_it(
    arguments: list[str], warned: bool, served: list[ServerConfig], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["serve", "--port", "0", *arguments]) == 0
    assert len(served) == 1
    assert ("may open and watch sessions" in capsys.readouterr().err) is warned


def test_options_and_variables_become_the_settings_of_the_server(
    tmp_path: Path, served: list[ServerConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RIGID_LIVE_API_KEY", "one two")
    monkeypatch.setenv("RIGID_LIVE_SERVE_MIN_FPS", "7.5")
    asked = "--port 0 --no-badge --allow-uploads --max-sessions 2 --udp-port-range 40000-40100 --min-free-mb 1.5"
    repeated = "--ice-server stun:a:1 --ice-server stun:b:2 --allow-host *.example.org --recordings-quota-mb 512"
    folder = tmp_path / "films"
    assert run(["serve", *asked.split(), *repeated.split(), "--recordings", str(folder)]) == 0
    assert run(["serve", "--port", "0"]) == 0
    config, plain = served
    assert (config.badge, config.allow_uploads, config.max_sessions) == (False, True, 2)
    assert (config.api_keys, config.min_fps) == (("one", "two"), 7.5)
    assert (config.udp_ports, config.ice_servers) == (
        range(40000, 40101),
        (IceServer("stun:a:1"), IceServer("stun:b:2")),
    )
    assert (config.min_free_bytes, config.recordings_quota_bytes) == (1.5 * 2**20, 512 * 2**20)
    assert config.recordings == folder and folder.is_dir()
    assert config.allow_hosts[-1] == "*.example.org"
    usual = ServerConfig(api_keys=("one", "two"), min_fps=7.5, allow_hosts=plain.allow_hosts)
    assert plain == usual
