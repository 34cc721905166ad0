"""`rigid-live serve`: what it refuses before anything is loaded."""

from __future__ import annotations

import socket

import pytest

from cli.main import run


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
