"""`rigid-live serve`: what it refuses before anything is loaded."""

from __future__ import annotations

import socket
import sys

import pytest

import server
from cli.main import _complete, run


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
def test_a_cluster_that_cannot_be_reached_is_one_sentence_and_status_2(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert run([*words, f"127.0.0.1:{port}"]) == 2
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
    assert run(words) == 2
    assert capsys.readouterr().err == (
        "Error: Ray is not installed; install the extra: pip install 'rigid-live[cluster]'.\n"
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
    arguments: list[str], warned: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    listeners: list[socket.socket] = []
    monkeypatch.setattr("cli.serve._serve_here", lambda *given: listeners.append(given[3]))
    assert run(["serve", "--port", "0", *arguments]) == 0
    (listener,) = listeners
    listener.close()
    assert ("may open and watch sessions" in capsys.readouterr().err) is warned
