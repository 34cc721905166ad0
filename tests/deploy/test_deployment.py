"""The deployment files: they are linted, agree with the program, and hold to what they promise."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml
from prometheus_client.parser import text_string_to_metric_families

from cli.main import app, run
from server.metrics import Metrics
from server.readiness import Readiness

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
DASHBOARD = json.loads((DEPLOY / "grafana/dashboards/rigid-live.json").read_text("utf-8"))
PROFILES = ("cpu", "gpu", "turn", "monitoring")
METRIC = re.compile(r"\brigid_live_\w+")


def program(name: str) -> str:
    """A tool that the development dependencies bring."""
    return str(Path(sys.executable).parent / name)


def lint(*command: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], **settings}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)


def test_the_dockerfile_passes_hadolint() -> None:
    done = lint(program("hadolint"), "--no-color", "Dockerfile")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("profile", PROFILES)
def test_compose_accepts_every_profile(profile: str) -> None:
    done = lint(program("docker-compose"), "--profile", profile, "config", "--format", "json")
    assert done.returncode == 0, done.stderr
    services = json.loads(done.stdout)["services"]
    assert services and all(profile in service["profiles"] for service in services.values())


def test_settings_reach_the_containers() -> None:
    done = lint(
        program("docker-compose"), "--profile", "*", "config", "--format", "json",
        RIGID_LIVE_SERVE_PORT="9000", RIGID_LIVE_TURN_SECRET="s", RIGID_LIVE_API_KEY="k",
    )  # fmt: skip
    made = json.loads(done.stdout)
    assert made["services"]["cpu"]["environment"]["RIGID_LIVE_SERVE_PORT"] == "9000"
    assert made["services"]["turn"]["environment"]["RIGID_LIVE_TURN_SECRET"] == "s"
    assert json.loads(made["configs"]["targets"]["content"])[0]["targets"] == ["127.0.0.1:9000"]
    assert made["configs"]["api-key"]["content"] == "k"


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_every_container_has_few_rights(name: str) -> None:
    service: dict[str, Any] = COMPOSE["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    # coturn's program has it as a file capability, so that it cannot be run where the bounding set lacks it
    assert service.get("cap_add", []) == (["NET_BIND_SERVICE"] if name == "turn" else [])
    assert service["profiles"] and set(service["profiles"]) <= set(PROFILES)


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_no_container_takes_all_there_is(name: str) -> None:
    done = lint(program("docker-compose"), "--profile", "*", "config", "--format", "json")
    service = json.loads(done.stdout)["services"][name]
    assert 256 * 2**20 <= int(service["mem_limit"]) <= 8 * 2**30
    assert 0 < service["pids_limit"] <= 2048
    assert service["logging"]["driver"] == "local"
    assert set(service["logging"]["options"]) == {"max-size", "max-file"}


def test_one_user_of_turn_takes_neither_all_relays_nor_all_bandwidth(tmp_path: Path) -> None:
    """What its file says, shown by a stand-in for `turnserver`."""
    stand_in = tmp_path / "turnserver"
    stand_in.write_text('#!/bin/sh\ncat "$2"\n')
    stand_in.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    settings = {"RIGID_LIVE_TURN_SECRET": "s", "RIGID_LIVE_PUBLIC_IP": "127.0.0.1", "PATH": path}
    done = lint("/bin/sh", "deploy/coturn/start.sh", **settings)
    assert done.returncode == 0, done.stderr
    made = dict(line.partition("=")[::2] for line in done.stdout.splitlines() if "=" in line)
    assert 1 <= int(made["user-quota"]) < int(made["total-quota"])
    # coturn counts bytes a second; video goes up to 4 Mbit/s each way
    assert 500_000 <= int(made["max-bps"]) <= 2_000_000


def test_images_of_others_are_named_by_their_digest() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    compose = (ROOT / "docker-compose.yml").read_text("utf-8")
    images = re.findall(r"^ARG BASE_IMAGE=(\S+)$", dockerfile, re.MULTILINE)
    images += [one for one in re.findall(r"^ +image: (\S+)$", compose, re.MULTILINE) if "rigid-live" not in one]
    assert len(images) == 4
    assert all(re.search(r":[\w.-]+@sha256:[0-9a-f]{64}}?$", image) for image in images), images


def stages() -> dict[str, str]:
    text = (ROOT / "Dockerfile").read_text("utf-8")
    parts = re.split(r"^FROM (?:\S+) AS (\S+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("target", ["cpu", "gpu"])
def test_images_serve_as_an_unprivileged_user_with_one_volume(target: str) -> None:
    lines = stages()[target].splitlines()
    assert "USER 10001:10001" in lines
    assert [line for line in lines if line.startswith("VOLUME")] == ["VOLUME /var/cache/rigid-live"]
    assert any(line.startswith("HEALTHCHECK") and "server.healthcheck" in line for line in lines)
    assert lines.index("USER 10001:10001") < lines.index('CMD ["serve"]')


def test_the_builder_gets_every_package_and_nothing_else() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    named = {name for names in copied for name in names.split()} - {"."}
    assert named <= allowed
    assert {"rigid", "engines", "export", "server", "client", "cli"} <= allowed
    assert all((ROOT / name).exists() for name in allowed)


def exported_metrics() -> set[str]:
    text = Metrics(Readiness()).text().decode()
    names: set[str] = set()
    for family in text_string_to_metric_families(text):
        suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(family.type, [""])
        names |= {family.name + suffix for suffix in suffixes}
    return names


def queries() -> list[str]:
    rules = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text("utf-8"))
    alerts = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    panels = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    variables = [variable.get("definition", "") for variable in DASHBOARD["templating"]["list"]]
    return alerts + panels + variables


def test_alerts_and_dashboard_ask_for_metrics_that_exist() -> None:
    asked = {name for query in queries() for name in METRIC.findall(query)}
    assert len(asked) > 10
    assert asked <= exported_metrics()


def test_the_dashboard_is_sound() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [tuple(panel["gridPos"][key] for key in "xywh") for panel in panels]
    assert all(x + width <= 24 for x, _, width, _ in places)
    cells = [(x + i, y + j) for x, y, width, height in places for i in range(width) for j in range(height)]
    assert len(cells) == len(set(cells)), "two panels overlap"
    assert all(panel["title"] and panel["description"] and panel["targets"] for panel in panels)
    source = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text("utf-8"))
    assert source["datasources"][0]["type"] == DASHBOARD["templating"]["list"][0]["query"]


def test_every_alert_is_tested_and_explained() -> None:
    rules = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text("utf-8"))
    alerts = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}
    tests = yaml.safe_load((DEPLOY / "prometheus/alerts.test.yml").read_text("utf-8"))["tests"]
    checks = [check for test in tests for check in test["alert_rule_test"]]
    assert alerts == {check["alertname"] for check in checks if check["exp_alerts"]}
    assert alerts == {check["alertname"] for check in checks if not check["exp_alerts"]} | {"RigidLiveNotReady"}
    documented = (ROOT / "docs/deployment.md").read_text("utf-8")
    assert all(f"`{alert}`" in documented for alert in alerts)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not here; `make check-deploy` fetches it")
def test_promtool_accepts_scrape_config_and_rules() -> None:
    done = lint("promtool", "check", "config", "--syntax-only", "deploy/prometheus/prometheus.yml")
    assert done.returncode == 0, done.stderr
    done = lint("promtool", "test", "rules", "deploy/prometheus/alerts.test.yml")
    assert done.returncode == 0, done.stdout + done.stderr


def serve_variables() -> set[str]:
    command = typer.main.get_command(app).commands["serve"]  # type: ignore[attr-defined]
    own = {name for parameter in command.params for name in [parameter.envvar or []] if isinstance(name, str)}
    return own | {f"RIGID_LIVE_SERVE_{str(parameter.name).upper()}" for parameter in command.params}


def test_every_variable_of_the_example_is_read_by_somebody() -> None:
    named = set(re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text("utf-8"), re.MULTILINE))
    compose = set(re.findall(r"\$\{([A-Z_]+)", (ROOT / "docker-compose.yml").read_text("utf-8")))
    assert named <= compose | serve_variables()
    dockerfile = set(re.findall(r"RIGID_LIVE_SERVE_\w+", (ROOT / "Dockerfile").read_text("utf-8")))
    assert dockerfile <= serve_variables()


def test_options_may_be_set_by_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RIGID_LIVE_SERVE_PORT", "70000")
    assert run(["serve"]) == 2
    assert "The port 70000 does not exist" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["RIGID_LIVE_TURN_SECRET", "RIGID_LIVE_PUBLIC_IP"])
def test_turn_does_not_start_without_its_settings(missing: str) -> None:
    settings = {"RIGID_LIVE_TURN_SECRET": "s", "RIGID_LIVE_PUBLIC_IP": "127.0.0.1", missing: ""}
    done = lint("/bin/sh", "deploy/coturn/start.sh", **settings)
    assert done.returncode == 2
    assert done.stderr == f"Error: {missing} is not set; TURN needs it, see .env.example.\n"
