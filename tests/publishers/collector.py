"""A real OpenTelemetry Collector: ``CLUES_OTELCOL``, one on PATH, one built before, or one built now if asked for."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tests.requirements import lacking
from tests.waiting import wait_for

VERSION = "0.159.0"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "clues-tests"
_GIVEN = os.environ.get("CLUES_OTELCOL", "")
_BUILD = os.environ.get("CLUES_BUILD_COLLECTOR", "")
_PARTS = ("receiver/otlpreceiver", "exporter/otlphttpexporter", "exporter/debugexporter")
_CONFIG = """\
receivers:
  otlp:
    protocols:
      grpc: {{endpoint: "127.0.0.1:{grpc}"}}
      http: {{endpoint: "127.0.0.1:{http}"}}
exporters:
  otlphttp:
    endpoint: "{onward}"
    compression: none
    sending_queue: {{enabled: false}}
    retry_on_failure: {{enabled: false}}
service:
  telemetry:
    metrics: {{level: none}}
  pipelines:
    logs: {{receivers: [otlp], exporters: [otlphttp]}}
    traces: {{receivers: [otlp], exporters: [otlphttp]}}
    metrics: {{receivers: [otlp], exporters: [otlphttp]}}
"""


def binary() -> Path:
    """A Collector's binary; the test is skipped where there is none."""
    cached = CACHE / f"otelcol-{VERSION}"
    for found in (_GIVEN, shutil.which("otelcol") or "", str(cached)):
        if found and os.access(found, os.X_OK):
            return Path(found)
    if not _BUILD:
        lacking("otelcol", "set CLUES_OTELCOL to a Collector's binary, or CLUES_BUILD_COLLECTOR=1 to build one with go")
    go = shutil.which("go")
    if go is None:
        lacking("otelcol", "there is no go to build a Collector with")
    return _built(go, cached)


@contextmanager
def running(path: Path, folder: Path, onward: str) -> Iterator[tuple[str, str]]:
    """A Collector that sends on what it understood, over HTTP; gives its endpoints for gRPC and for HTTP."""
    grpc, http = _free_ports(2)
    config = folder / "collector.yaml"
    config.write_text(_CONFIG.format(grpc=grpc, http=http, onward=onward))
    with (folder / "collector.log").open("wb") as log:
        process = subprocess.Popen([path, "--config", config], stdout=log, stderr=log)
    try:
        wait_for(lambda: _listens(grpc) and _listens(http) and process.poll() is None, "a Collector that listens")
        yield f"http://127.0.0.1:{grpc}", f"http://127.0.0.1:{http}"
    finally:
        process.terminate()
        process.wait(30)


def _built(go: str, cached: Path) -> Path:
    folder = CACHE / "otelcol-build"
    folder.mkdir(parents=True, exist_ok=True)
    parts = {kind: [part for part in _PARTS if part.startswith(kind)] for kind in ("receiver", "exporter")}
    manifest = [f"dist: {{name: otelcol, output_path: {folder / 'dist'}, module: clues.test/otelcol}}"]
    for kind, found in parts.items():
        manifest += [f"{kind}s:", *(f"  - gomod: go.opentelemetry.io/collector/{part} v{VERSION}" for part in found)]
    (folder / "manifest.yaml").write_text("\n".join(manifest) + "\n")
    builder = [go, "run", f"go.opentelemetry.io/collector/cmd/builder@v{VERSION}"]
    done = subprocess.run(
        [*builder, "--config", folder / "manifest.yaml"], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        lacking("otelcol", f"the build failed: {done.stderr[-500:]}")
    (folder / "dist" / "otelcol").replace(cached)
    return cached


def _free_ports(count: int) -> list[int]:
    socks = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [sock.getsockname()[1] for sock in socks]
    for sock in socks:
        sock.close()
    return ports


def _listens(port: int) -> bool:
    try:
        with closing(socket.create_connection(("127.0.0.1", port), 1.0)):
            return True
    except OSError:
        return False
