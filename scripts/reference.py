"""The reference pages, written from the program itself: its OpenAPI description, its commands and its metrics."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]
METHODS = ("get", "post", "put", "patch", "delete")


def openapi() -> dict[str, Any]:
    """The description of the HTTP interface, as /openapi.json gives it."""
    from rigid.edits.library import load_library
    from rigid.stream.face_stream import FaceStream
    from server.app import create_app
    from server.config import ServerConfig

    def no_stream() -> FaceStream:
        raise RuntimeError("The description needs no stream.")

    config = ServerConfig()
    return create_app(config, no_stream, load_library(config.profile)).openapi()


def rest() -> str:
    """Write every route: what it does, takes and answers."""
    description = openapi()
    lines = [
        "# REST",
        "",
        "Written from the server's own description; `/openapi.json` is the same for programs. Errors carry their",
        'status and `{"error": {"code", "message", "hint"}}`. Where the server has an API key, send',
        "`Authorization: Bearer KEY`.",
    ]
    for path, methods in description["paths"].items():
        for method in METHODS:
            if method in methods:
                lines += ["", *_operation(description, path, method, methods[method])]
    return "\n".join(lines) + "\n"


def _operation(description: Schema, path: str, method: str, operation: Schema) -> Iterator[str]:
    yield f"## {method.upper()} {path}"
    text = operation.get("description") or operation.get("summary") or ""
    yield from ("", str(text).strip())
    # those of the path stand in the heading
    parameters = [p for p in operation.get("parameters", []) if p["in"] != "path"]
    if parameters:
        rows = [
            (p["name"], _kind(p.get("schema", {})), p.get("required"), p.get("description", "")) for p in parameters
        ]
        yield from _table("parameter", rows)
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        yield from ("", f"Takes `{kind}`:" if "$ref" in content.get("schema", {}) else f"Takes `{kind}`.")
        yield from _fields(description, content.get("schema", {}))
        yield from _example(content)
    answers = operation.get("responses", {})
    for status, answer in answers.items():
        if not status.startswith("2"):
            continue
        contents = list(answer.get("content", {}).values())
        schema = contents[0].get("schema", {}) if contents else {}
        told = str(answer.get("description", ""))
        said = "" if told == "Successful Response" else f": {told}"
        yield from ("", f"Answers {status}{said}{_describe_answer(schema)}")
        yield from _fields(description, schema)
        yield from _example(contents[0] if contents else {})
    mistakes = [f"{status} {_codes(answer)}" for status, answer in answers.items() if not status.startswith("2")]
    if mistakes:
        yield from ("", f"Or with an error: {'; '.join(mistakes)}.")


def _example(content: Schema) -> Iterator[str]:
    """A worked example, as it goes over the wire."""
    shown = content.get("example")
    if shown is None:
        return
    if isinstance(shown, str):
        yield from ("", "```text", *shown.splitlines(), "```")
    else:
        yield from ("", "```json", *json.dumps(shown, indent=2, ensure_ascii=False).splitlines(), "```")


def _codes(answer: Schema) -> str:
    return ", ".join(f"`{code}`" for code in answer["content"]["application/json"]["examples"])


def _describe_answer(schema: Schema) -> str:
    kind = _kind(schema)
    return f", `{kind}`" if kind and kind != "any" else ""


def _fields(description: Schema, schema: Schema) -> Iterator[str]:
    """A table of an object's fields."""
    schema = _resolve(description, schema.get("items", schema) if schema.get("type") == "array" else schema)
    properties = schema.get("properties", {})
    if not properties:
        return
    required = schema.get("required", [])
    rows = [(name, _kind(field), name in required, _about(field)) for name, field in properties.items()]
    yield from _table("field", rows)


def _about(field: Schema) -> str:
    text = str(field.get("description", ""))
    examples = field.get("examples")
    return f"{text} Example: `{json.dumps(examples[0])}`".strip() if examples else text


def _table(first: str, rows: Sequence[tuple[str, str, bool | None, str]]) -> Iterator[str]:
    yield from ("", f"| {first} | type | needed | |", "|---|---|---|---|")
    for name, kind, needed, about in rows:
        yield f"| `{name}` | {_cell(kind)} | {'yes' if needed else 'no'} | {_cell(about)} |"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _resolve(description: Schema, schema: Schema) -> Schema:
    reference = schema.get("$ref")
    if not reference:
        return schema
    found: Schema = description["components"]["schemas"][str(reference).rpartition("/")[2]]
    return found


def _kind(schema: Schema) -> str:
    """A short word for a schema's type."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(_kind(option) for option in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    return str(schema.get("type", "any"))


def command_line() -> str:
    """Write every command with its arguments, options, defaults and variables."""
    import typer.main

    from cli.main import app

    lines = [
        "# Command line",
        "",
        "Written from the program's own help. Every option may be set by a variable, too; the columns name both.",
        "Commands exit with 0 when done, 2 for wrong usage or bad input, 1 when something failed, 130 after Ctrl+C.",
    ]
    for name, command in _commands("rigid-live", typer.main.get_command(app)):
        lines += ["", f"## {name}", "", str(command.help or "").strip()]
        parameters = [parameter for parameter in command.params if parameter.name != "help"]
        if parameters:
            lines += ["", "| option | variable | default | |", "|---|---|---|---|"]
            lines += [_option(name, parameter) for parameter in parameters]
    return "\n".join(lines) + "\n"


def _commands(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield name, command
        return
    for word, below in inner.items():
        yield from _commands(f"{name} {word}", below)


def _option(command: str, parameter: Any) -> str:
    is_option = parameter.param_type_name == "option"
    shown = ", ".join(parameter.opts) if is_option else str(parameter.metavar or parameter.name.upper())
    if is_option and not parameter.is_flag:
        shown += f" {parameter.metavar or parameter.name.upper()}"
    words = [*command.upper().replace("-", "_").split(), parameter.name.upper()]
    variable = f"`{parameter.envvar or '_'.join(words)}`" if is_option else ""
    default = parameter.default
    stated = "" if default in (None, False) or callable(default) else f"`{default}`"
    needed = " Needed." if parameter.required and is_option else ""
    return f"| `{_cell(shown)}` | {variable} | {stated} | {_cell(str(parameter.help or ''))}{needed} |"


def metrics() -> str:
    """Write every metric with its type, labels and meaning."""
    from prometheus_client.parser import text_string_to_metric_families

    from server.metrics import Metrics
    from server.readiness import Readiness

    lines = [
        "# Metrics",
        "",
        "What `/metrics` gives to Prometheus; times are seconds. Counters carry `_total`, histograms `_bucket`, `_sum`",
        "and `_count`. No label grows with the sessions.",
        "",
        "| metric | type | |",
        "|---|---|---|",
    ]
    families = text_string_to_metric_families(Metrics(Readiness()).text().decode())
    for family in families:
        name = family.name + ("_total" if family.type == "counter" else "")
        if not name.endswith("_created"):
            lines.append(f"| `{name}` | {family.type} | {_cell(family.documentation)} |")
    return "\n".join(lines) + "\n"
