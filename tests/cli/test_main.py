"""The program as a whole: help, version, exit status, and errors in one sentence."""

from __future__ import annotations

import errno
import subprocess
import sys
from importlib.metadata import version

import pytest
import typer

from cli.errors import BAD_INPUT, FAILED, explain, fail
from cli.main import COMMANDS, PANELS, run
from engines import EngineError
from rigid.assets.store import AssetError


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(command in text for command in COMMANDS)


def test_no_arguments_show_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 0
    assert "Usage" in capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "--help"]) == 0
    assert command in capsys.readouterr().out


@pytest.mark.parametrize("words", [[], ["serve"], ["edit"], ["attributes", "import"], ["evaluate"]])
def test_help_is_as_wide_as_the_terminal_and_says_no_more_than_it_must(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "70")
    assert run([*words, "--help"]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 70
    assert "env var" not in text and "<bool>" not in text


def test_commands_stand_under_what_they_are_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    text = capsys.readouterr().out
    places = [text.index(f" {title} ") for title in PANELS]
    assert places == sorted(places) and places[0] < text.index("│ demo ") < places[1]


def test_help_loads_nothing_heavy() -> None:
    """What makes help slow is importing: none of the large packages may be loaded for it."""
    code = (
        "import sys; from cli.main import run; run(['--help']); "
        "heavy = {'torch', 'numpy', 'cv2', 'av', 'mediapipe', 'openvino', 'onnxruntime', 'fastapi', 'aiortc'}; "
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"rigid-live {version('rigid-live')}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sirve"], "sirve"),
        (["models", "list", "--sort"], "--sort"),
        (["models", "pull", "everything"], "There is no model 'everything'; the models are: generator, "),
    ],
)
def test_bad_usage_is_one_sentence_and_status_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == BAD_INPUT
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("Error: ") and said in captured.err and captured.err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "explained"),
    [
        (AssetError("No network."), ("No network.", FAILED)),
        (EngineError("No engine."), ("No engine.", FAILED)),
        (typer.BadParameter("No such."), ("Invalid value: No such.", BAD_INPUT)),
        (typer.Abort(), ("Stopped before it was done.", FAILED)),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            ("The output could not be written: No space left on device.", 1),
        ),
        (OSError(errno.EIO, "Input/output error"), None),
        (KeyError("a fault of ours"), None),
    ],
)
def test_errors_are_explained(error: Exception, explained: tuple[str, int] | None) -> None:
    assert explain(error) == explained


def test_a_failing_command_ends_with_its_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    app = typer.Typer()
    app.command()(lambda: fail("The port 80 is taken; choose another with --port."))
    assert run(["--"], app) == FAILED
    assert capsys.readouterr().err == "Error: The port 80 is taken; choose another with --port.\n"


def test_a_fault_of_the_program_keeps_its_traceback() -> None:
    app = typer.Typer()

    @app.command()
    def broken() -> None:
        raise KeyError("missing")

    with pytest.raises(KeyError):
        run(["--"], app)
