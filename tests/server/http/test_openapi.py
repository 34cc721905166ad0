"""The API's description: complete, and true of the sources and of its own examples."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from scripts.reference import openapi
from server.http.error_catalogue import ERRORS, MEANINGS
from server.http.openapi import GIVEN, TAGS
from server.http.openapi_examples import ANSWERS, PARAMETERS, REQUESTS

SERVER = Path(__file__).parents[3] / "server"
DESCRIPTION = openapi()
BINARY = ("image/jpeg", "video/mp4", "application/octet-stream")
DATA_CHANNEL = {"unknown_type", "message_too_large", "too_many_messages", "bad_json", "internal_error"}
"""Said on the data channel; and the one that nobody should rely on."""


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in DESCRIPTION["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


OPERATIONS = dict(operations())


def contents(operation: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Where, what type, and what is stated of each body that goes either way."""
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        yield "request", kind, content
    for status, answer in operation["responses"].items():
        for kind, content in answer.get("content", {}).items():
            yield status, kind, content


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_is_described_with_examples(name: str) -> None:
    operation = OPERATIONS[name]
    assert operation["description"].strip() and operation["tags"][0] in TAGS
    assert all("example" in parameter for parameter in operation.get("parameters", []))
    assert any(status.startswith("2") for status in operation["responses"])
    assert not any("Successful" in str(answer) for status, answer in operation["responses"].items() if status > "299")
    for where, kind, content in contents(operation):
        if kind not in BINARY:
            assert content.get("example") is not None or content.get("examples"), where


@pytest.mark.parametrize("name", OPERATIONS)
def test_examples_fit_their_schemas(name: str) -> None:
    for where, kind, content in contents(OPERATIONS[name]):
        examples = [one["value"] for one in content.get("examples", {}).values()]
        examples += [content["example"]] if "example" in content else []
        validator = jsonschema_rs.validator_for({**content["schema"], "components": DESCRIPTION["components"]})
        for example in examples:
            assert [str(one) for one in validator.iter_errors(example)] == [], (where, kind)


def test_every_name_is_used() -> None:
    names = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(set(names)) == len(names)
    assert set(REQUESTS) | set(ANSWERS) | set(GIVEN) <= set(names)
    stated = {parameter["name"] for operation in OPERATIONS.values() for parameter in operation.get("parameters", [])}
    assert stated == set(PARAMETERS)


def raised() -> set[tuple[int, str]]:
    """Status and code of every ApiError that a source makes of constants."""
    found: set[tuple[int, str]] = set()
    for path in SERVER.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "ApiError":
                values = [one.value for one in node.args[:2] if isinstance(one, ast.Constant)]
                if len(values) == 2:
                    assert isinstance(values[0], int)
                    found.add((values[0], str(values[1])))
    return found


def test_the_catalogue_holds_every_error_and_routes_state_each_of_them() -> None:
    known = {(status, code) for status, codes in ERRORS.items() for code in codes}
    made = raised()
    assert len(made) > 25
    assert {one for one in made if one[1] not in DATA_CHANNEL} <= known
    assert set(MEANINGS) == set(ERRORS)
    stated = {
        (int(status), code)
        for operation in OPERATIONS.values()
        for status, answer in operation["responses"].items()
        for content in answer.get("content", {}).values()
        for code in content.get("examples", {})
    }
    assert stated == known


def test_keys_are_stated_where_they_are_asked_for() -> None:
    for name, operation in OPERATIONS.items():
        is_open = name.rpartition(" ")[2] in ("/healthz", "/readyz", "/version")
        assert ("security" in operation) == ("401" in operation["responses"]) == (not is_open), name
