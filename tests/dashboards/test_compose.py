"""What compose starts, and the Collector's configuration; compose.yaml is checked by its rules, for no engine runs."""

from __future__ import annotations

import ast
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from clues.cli import main
from clues.dashboards_source.files import DASHBOARDS
from clues.environment import Environment
from clues.publishers.composite import CompositePublisher
from clues.publishers.elasticsearch import ElasticsearchPublisher
from clues.publishers.otlp import OTLPPublisher
from tests.dashboards.history import History, made
from tests.dashboards.prometheus_server import binary, promtool, running
from tests.dashboards.test_prometheus import feed
from tests.publishers import collector
from tests.waiting import wait_for

yaml = pytest.importorskip("yaml")
FOLDER = Path(__file__).parents[2] / "dashboards"
NEVER_CHECKED = {
    "collector": "its image has no shell",
    "setup": "it ends",
    "customers": "nothing asks it anything",
}
KEYS = {"image", "build", "command", "environment", "volumes", "ports", "depends_on", "healthcheck"}
CONDITIONS = {"service_started", "service_healthy", "service_completed_successfully"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
    return found


def test_services(compose: dict[str, Any]) -> None:
    assert compose.keys() == {"name", "services", "volumes"}
    services = compose["services"]
    wanted = {"elasticsearch", "kibana", "collector", "prometheus", "grafana", "redis", "worker"}
    assert wanted <= services.keys()
    for name, service in services.items():
        assert service.keys() <= KEYS, name
        assert ("image" in service) != ("build" in service)
        if "image" in service:
            assert re.search(r":v?\d+\.\d+\.\d+$", service["image"]), f"{name} is not pinned"
        assert ("healthcheck" in service) != (name in NEVER_CHECKED), name
        if check := service.get("healthcheck"):
            assert check.keys() == {"test", "interval", "timeout", "retries"}
            assert check["test"][0] in {"CMD", "CMD-SHELL"}
        for other, how in service.get("depends_on", {}).items():
            assert how["condition"] in CONDITIONS
            if how["condition"] == "service_healthy":
                assert "healthcheck" in services[other]
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:")  # there are no passwords


def test_what_is_mounted_and_built_is_there(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert (FOLDER / source).exists() if source.startswith(".") else source in compose["volumes"]
        if build := service.get("build"):
            context = (FOLDER / build["context"]).resolve()
            assert (context / build["dockerfile"]).is_file()
            assert (context / "pyproject.toml").is_file()


def test_publishers_of_the_shop(compose: dict[str, Any], tmp_path: Path) -> None:
    """Two, for the comma within a URL is not one between URLs."""
    environ = {**compose["services"]["worker"]["environment"], "CLUES_SPOOL": str(tmp_path)}
    assert compose["services"]["customers"]["environment"] == compose["services"]["worker"]["environment"]
    made_of = Environment(environ).publisher()
    assert isinstance(made_of, CompositePublisher)
    children: tuple[Any, ...] = made_of.children
    assert [type(child) for child in children] == [OTLPPublisher, ElasticsearchPublisher]
    assert [*children[1]._chart] == ["customer_id", "plan"]
    made_of.close()


@pytest.mark.parametrize("name", ["setup", "worker"])
def test_commands_exist(compose: dict[str, Any], name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Their options are those of ``--help``."""
    command = compose["services"][name]["command"]
    lines = [command] if command[0] == "clues" else [line.split() for line in command[-1].splitlines()]
    for line in lines:
        words = [word for word in line[1:] if not word.startswith(("-", "*", "clues.")) and word.isalpha()][:2]
        options = [word for word in line if word.startswith("--")]
        assert main([*(words if name == "setup" else words[:1]), "--help"]) == 0
        told = capsys.readouterr().out
        assert all(option in told for option in options), line


def test_the_script_of_the_customers() -> None:
    ast.parse((FOLDER / "compose" / "customers.py").read_text())


def test_provisioning_of_grafana() -> None:
    """Data sources of the types that the dashboards' variables ask for; the folder is where compose mounts it."""
    place = FOLDER / "compose" / "grafana" / "provisioning"
    sources = yaml.safe_load((place / "datasources" / "clues.yaml").read_text())
    assert sources["apiVersion"] == 1
    assert {one["type"] for one in sources["datasources"]} == {"prometheus", "elasticsearch"}
    assert all({"name", "uid", "type", "access", "url"} <= one.keys() for one in sources["datasources"])
    (provider,) = yaml.safe_load((place / "dashboards" / "clues.yaml").read_text())["providers"]
    assert f"{provider['options']['path']}:ro" in (FOLDER / "compose.yaml").read_text()
    assert len(DASHBOARDS) == len([*(FOLDER / "grafana").iterdir()])


@pytest.mark.timeout(1200)
def test_rules(tmp_path: Path) -> None:
    """promtool takes the rules and Prometheus' configuration, and the rules pass their own tests."""
    tool = binary("promtool")
    folder = FOLDER / "prometheus"
    promtool(tool, "check", "rules", folder / "rules.yml")
    promtool(tool, "test", "rules", folder / "rules_test.yml")
    config = (FOLDER / "compose" / "prometheus.yml").read_text()
    (tmp_path / "prometheus.yml").write_text(config.replace("/etc/prometheus/rules.yml", str(folder / "rules.yml")))
    promtool(tool, "check", "config", tmp_path / "prometheus.yml")


@pytest.mark.timeout(1200)
def test_each_alert_is_tested() -> None:
    rules = yaml.safe_load((FOLDER / "prometheus" / "rules.yml").read_text())
    alerts = {rule["alert"] for group in rules["groups"] for rule in group["rules"] if "alert" in rule}
    tests = yaml.safe_load((FOLDER / "prometheus" / "rules_test.yml").read_text())["tests"]
    tested = {one["alertname"] for test in tests for one in test.get("alert_rule_test", ())}
    # One burns slowly like the other.
    assert alerts - tested == {"CluesExecutionBurnsSlow"}


@contextmanager
def ending(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """End a process in the end."""
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
def history() -> History:
    return made(20)


@pytest.mark.timeout(1200)
def test_the_collector(history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real Collector takes the file as it is, and what goes through it comes out in Prometheus."""
    path = collector.binary()
    text = (FOLDER / "collector.yaml").read_text()
    grpc, http = collector._free_ports(2)
    telemetry = "service:\n  telemetry: {metrics: {level: none}}\n"
    config = tmp_path / "collector.yaml"
    config.write_text(text.replace(":4317", f":{grpc}").replace(":4318", f":{http}").replace("service:\n", telemetry))
    subprocess.run([path, "validate", "--config", FOLDER / "collector.yaml"], check=True, timeout=60)
    with running(binary("prometheus"), tmp_path) as prometheus:
        environment = {**os.environ, "CLUES_OTLP_HOST": "127.0.0.1", "PROMETHEUS_URL": prometheus.url}
        with (tmp_path / "collector.log").open("wb") as log:
            process = subprocess.Popen([path, "--config", config], stdout=log, stderr=log, env=environment)
        with ending(process):
            wait_for(lambda: collector._listens(http), "a Collector that listens")
            feed(f"http://127.0.0.1:{http}", history, tmp_path / "spool")
            sent = sum(event.event_type == "enqueued" for event in history.last(20))
            total = "sum(messaging_client_sent_messages_total)"
            # The Collector sends on when it likes.
            wait_for(lambda: prometheus.at(total, history.end).get(frozenset()) == sent, "all jobs in Prometheus")
