"""Real back ends for tests: Elasticsearch and OpenSearch from Maven Central, a Collector and Prometheus built with go.

``python -m tests.servers prepare`` gets what this machine can have, and prints its names, for CLUES_REQUIRE;
``python -m tests.servers run`` (``make servers``) starts the search servers too, until Ctrl-C.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.dashboards import prometheus_server
from tests.publishers import collector, elasticsearch_servers
from tests.publishers.elasticsearch_servers import ELASTICSEARCH, OPENSEARCH, Kind, SearchServer


def prepare() -> list[str]:
    """Download, and build; gives the names of what is there then."""
    ready = [kind.name for kind in (ELASTICSEARCH, OPENSEARCH) if _has(kind)]
    with _telling("otelcol"):
        _collector()
        ready.append("otelcol")
    with _telling("prometheus"):
        _prometheus()
        ready += ["prometheus", "promtool"]
    return ready


def run() -> None:
    """Start the search servers, say where they are, and wait."""
    servers = [
        SearchServer(kind, elasticsearch_servers._jars(kind)) for kind in (ELASTICSEARCH, OPENSEARCH) if _has(kind)
    ]
    try:
        for server in servers:
            server.start()
            print(f"export CLUES_{server._kind.name.upper()}_URL={server.url}", flush=True)
        with _telling("otelcol"):
            print(f"export CLUES_OTELCOL={_collector()}", flush=True)
        with _telling("prometheus"):
            _prometheus()
        print("# until Ctrl-C", file=sys.stderr)
        with contextlib.suppress(KeyboardInterrupt):
            signal.pause()
    finally:
        for server in servers:
            server.stop()


def _collector() -> Path:
    collector._BUILD = "1"
    return collector.binary()


def _prometheus() -> None:
    prometheus_server._BUILD = os.environ.get("CLUES_BUILD_PROMETHEUS", "")  # it takes minutes
    prometheus_server.binary("prometheus")
    prometheus_server.binary("promtool")


def _has(kind: Kind) -> bool:
    found = []
    with _telling(kind.name):
        if shutil.which("java") is None or shutil.which("javac") is None:
            pytest.skip("no JDK on PATH")
        os.environ["CLUES_REQUIRE"] = kind.name  # else nothing is downloaded
        found = elasticsearch_servers._jars(kind)
    return bool(found)


@contextlib.contextmanager
def _telling(name: str) -> Generator[None]:
    try:
        yield
    except (pytest.skip.Exception, pytest.fail.Exception) as error:
        print(f"{name}: {error}", file=sys.stderr)


if __name__ == "__main__":
    if sys.argv[1:] == ["prepare"]:
        print(",".join(prepare()))
    elif sys.argv[1:] == ["run"]:
        run()
    else:
        sys.exit(__doc__)
