"""A real Prometheus with its OTLP receiver, and promtool: on PATH, built before, or built now if asked for.

Debian's own Prometheus has no OTLP receiver. ``CLUES_BUILD_PROMETHEUS=1`` builds both with go, once, into the cache.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

from clues.demo.redis_server import free_port
from tests.requirements import lacking
from tests.waiting import wait_for

VERSION = "0.314.0"
_CACHE = Path(os.environ.get("CLUES_TESTS_CACHE", Path.home() / ".cache" / "clues-tests"))
_BUILD = os.environ.get("CLUES_BUILD_PROMETHEUS", "")
_CONFIG = "storage: {tsdb: {out_of_order_time_window: 30m}}\n"
_TOOLS = """\
//go:build tools

package tools

import (
	_ "github.com/prometheus/prometheus/cmd/prometheus"
	_ "github.com/prometheus/prometheus/cmd/promtool"
)
"""


def binary(name: str) -> Path:
    """``prometheus`` or ``promtool``; the test is skipped where there is none."""
    cached = _CACHE / f"{name}-{VERSION}"
    for found in (str(cached), shutil.which(name) or ""):
        if found and os.access(found, os.X_OK) and (name == "promtool" or _takes_otlp(found)):
            return Path(found)
    if not _BUILD:
        lacking(name, "none on PATH that is new enough; CLUES_BUILD_PROMETHEUS=1 builds one with go")
    go = shutil.which("go")
    if go is None:
        lacking(name, "there is no go to build it with")
    _build(go)
    return cached


class Prometheus:
    """A running server.

    Attributes:
        url: where it is.
    """

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    @property
    def otlp(self) -> str:
        return f"{self.url}/api/v1/otlp"

    def ask(self, path: str, **parameters: object) -> Any:
        data = urllib.parse.urlencode(parameters, doseq=True).encode()
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{path}", data or None, timeout=60) as answer:
                return json.load(answer)["data"]
        except HTTPError as error:
            raise AssertionError(error.read().decode()) from error

    def at(self, expr: str, moment: float) -> dict[frozenset[tuple[str, str]], float]:
        """What a query gives at a moment, by labels."""
        found = self.ask("query", query=expr, time=moment)
        if found["resultType"] == "scalar":
            return {frozenset(): float(found["result"][1])}
        return {frozenset(one["metric"].items()): float(one["value"][1]) for one in found["result"]}

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False


@contextmanager
def running(path: Path, folder: Path, *more: str, rules: Path | None = None) -> Iterator[Prometheus]:
    """A server with nothing in it, but for rules perhaps."""
    server = Prometheus(port := free_port())
    (folder / "prometheus.yml").write_text(_CONFIG + (f"rule_files: [{json.dumps(str(rules))}]\n" if rules else ""))
    command = [
        str(path),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.enable-otlp-receiver",
        "--enable-feature=created-timestamp-zero-ingestion",
        *more,
    ]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        wait_for(lambda: server.is_ready() or process.poll() is not None, "a Prometheus that is ready", timeout=60)
        assert process.poll() is None, (folder / "prometheus.log").read_text()[-2000:]
        yield server
    finally:
        process.terminate()
        process.wait(30)


def promtool(path: Path, *args: str | Path) -> str:
    """What promtool says; it must be content."""
    done = subprocess.run([path, *map(str, args)], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _takes_otlp(path: str) -> bool:
    done = subprocess.run([path, "--help"], capture_output=True, text=True, check=False, timeout=60)
    return "web.enable-otlp-receiver" in done.stdout + done.stderr


def _build(go: str) -> None:
    """A module that needs Prometheus, for that has `replace` lines, with which go installs no program by its path."""
    folder = _CACHE / "prometheus-build"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "go.mod").write_text("module clues.test/prometheus\n\ngo 1.25\n")
    (folder / "tools.go").write_text(_TOOLS)
    module = "github.com/prometheus/prometheus"
    _go(go, folder, ["get", f"{module}@v{VERSION}"])
    commands = [f"{module}/cmd/{name}" for name in ("prometheus", "promtool")]
    _go(go, folder, ["build", "-tags", "remove_all_sd,netgo", "-ldflags", "-s -w", "-o", "bin/", *commands])
    for name in ("prometheus", "promtool"):
        (folder / "bin" / name).replace(_CACHE / f"{name}-{VERSION}")


def _go(go: str, folder: Path, args: Sequence[str]) -> None:
    environment = {**os.environ, "GOFLAGS": "-mod=mod"}
    done = subprocess.run([go, *args], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lacking("prometheus", f"the build failed: {done.stderr[-500:]}")
