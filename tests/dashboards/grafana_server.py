"""A real Grafana: the program that ``CLUES_GRAFANA`` names, as of a release that has been unpacked.

It is started on this machine's loopback with a folder of its own, and with what ``dashboards/compose`` provisions.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

from clues.demo.redis_server import free_port
from tests.requirements import lacking
from tests.waiting import wait_for

DASHBOARDS = Path(__file__).parents[2] / "dashboards"
USER, PASSWORD = "admin", "s3cret"
_PROVISIONING = DASHBOARDS / "compose" / "grafana" / "provisioning"
_COMPLAINT = re.compile(r"logger=\S*(provisioning|dashboard|folder|datasource|tsdb|ngalert)\S* .*\blevel=(error|crit)")
_NAMED = os.environ.get("CLUES_GRAFANA", "")


def binary() -> Path:
    """The program, ``bin/grafana`` of its folder; the test is skipped where none is named."""
    path = Path(_NAMED)
    if not _NAMED:
        lacking("grafana", "CLUES_GRAFANA names no program, which is bin/grafana in the folder of a release")
    if not os.access(path, os.X_OK) or not _home(path).joinpath("conf", "defaults.ini").is_file():
        lacking("grafana", f"CLUES_GRAFANA={path} is no program in the folder of a release")
    return path.resolve()


@dataclass(frozen=True)
class Asked:
    """An answer.

    Attributes:
        status: HTTP's.
        body: its JSON.
    """

    status: int
    body: Any


@dataclass(frozen=True)
class Grafana:
    """A running server.

    Attributes:
        url: where it is.
        log: what it has written so far is in this file.
    """

    url: str
    log: Path

    def ask(self, method: str, path: str, body: object = None, *, user: str = f"{USER}:{PASSWORD}") -> Asked:
        """Ask its API something."""
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        headers["Authorization"] = f"Basic {base64.b64encode(user.encode()).decode()}"
        request = urllib.request.Request(f"{self.url}{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return Asked(answer.status, json.load(answer))
        except HTTPError as error:
            with error:
                return Asked(error.code, json.loads(error.read() or b"null"))

    def queried(self, targets: list[dict[str, Any]], begin: float, end: float) -> dict[str, list[dict[str, Any]]]:
        """The frames of each target, by its name; none of them may fail."""
        body = {"queries": targets, "from": str(round(begin * 1000)), "to": str(round(end * 1000))}
        answer = self.ask("POST", "/api/ds/query", body)
        assert answer.status == 200, answer
        results = answer.body["results"]
        assert results.keys() == {target["refId"] for target in targets}
        assert not [one for one in results.values() if one.get("error") or one["status"] != 200], results
        return {name: one["frames"] for name, one in results.items()}

    def complaints(self) -> list[str]:
        """The lines of its log that tell of errors with dashboards, data sources and rules."""
        return [line for line in self.log.read_text().splitlines() if _COMPLAINT.search(line)]

    def is_ready(self) -> bool:
        try:
            return bool(self.ask("GET", "/api/health").body["database"] == "ok")
        except (URLError, OSError, ValueError, TypeError):
            return False


@contextmanager
def running(folder: Path, *, provisioning: Path | None = None) -> Iterator[Grafana]:
    """A server with what is provisioned in it, and else nothing."""
    program = binary()
    port = free_port()
    provisioning = provisioning or folder / "provisioning"
    for name in ("access-control", "alerting", "dashboards", "datasources", "plugins"):  # as the image has them
        (provisioning / name).mkdir(parents=True, exist_ok=True)
    (folder / "plugins").mkdir(parents=True)
    server = Grafana(f"http://127.0.0.1:{port}", folder / "grafana.log")
    settings = {
        "PATHS_DATA": folder / "data",
        "PATHS_LOGS": folder / "log",
        "PATHS_PLUGINS": folder / "plugins",
        "PATHS_PROVISIONING": provisioning,
        "SERVER_HTTP_ADDR": "127.0.0.1",
        "SERVER_HTTP_PORT": port,
        "SECURITY_ADMIN_USER": USER,
        "SECURITY_ADMIN_PASSWORD": PASSWORD,
        "LOG_MODE": "console",
        "ANALYTICS_REPORTING_ENABLED": "false",
        "ANALYTICS_CHECK_FOR_UPDATES": "false",
        "ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
        "PLUGINS_PREINSTALL_DISABLED": "true",
        "NEWS_NEWS_FEED_ENABLED": "false",
    }
    environment = {**os.environ, **{f"GF_{name}": str(value) for name, value in settings.items()}}
    with server.log.open("wb") as log:
        process = subprocess.Popen(
            [program, "server", "--homepath", _home(program)], stdout=log, stderr=log, cwd=folder, env=environment
        )
    try:
        wait_for(lambda: server.is_ready() or process.poll() is not None, "a Grafana that is ready", timeout=180)
        assert process.poll() is None, server.log.read_text()[-2000:]
        yield server
    finally:
        process.terminate()
        process.wait(60)


def provisioned(folder: Path, *, prometheus: str, elasticsearch: str, index: str) -> Path:
    """What compose mounts, with these servers in place of compose's own, and that index."""
    places = {
        "http://prometheus:9090": prometheus,
        "http://elasticsearch:9200": elasticsearch,
        "logs-clues.events-*": index,
        "/var/lib/grafana/dashboards/clues": str(DASHBOARDS / "grafana"),
    }
    missing = set(places)
    for path in _PROVISIONING.rglob("*.yaml"):
        text = path.read_text()
        for place, other in places.items():
            missing -= {place} if place in text else set()
            text = text.replace(place, other)
        there = folder / path.relative_to(_PROVISIONING)
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_text(text)
    assert not missing
    return folder


def _home(program: Path) -> Path:
    return program.resolve().parent.parent
