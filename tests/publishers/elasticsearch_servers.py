"""Real search servers for tests: one that is named by the environment, or one started from Maven Central's jars.

A server needs a JDK of version 17 or newer, and 42 MB of jars in ``~/.cache/clues-tests`` (or ``CLUES_TESTS_CACHE``).
They are downloaded only if ``CLUES_REQUIRE`` names ``elasticsearch`` or ``opensearch``; each is checked by its hash.
Elasticsearch comes without x-pack and modules, so without ILM; OpenSearch without plugins, so without ISM.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

import pytest

from clues.demo.redis_server import free_port
from tests.requirements import lacking
from tests.waiting import wait_for

# Read at once: while a test runs, the environment has nothing of clues.
_URLS = {name: os.environ.get(f"CLUES_{name.upper()}_URL") for name in ("elasticsearch", "opensearch")}
_CACHE = Path(os.environ.get("CLUES_TESTS_CACHE", Path.home() / ".cache" / "clues-tests"))
_HERE = Path(__file__).parent / "search_servers"
_CENTRAL = "https://repo.maven.apache.org/maven2/"
_DOWNLOAD_TIME = 300  # seconds; a few are usual
_START_TIME = 90  # seconds; 10 are usual


@dataclass(frozen=True)
class Kind:
    """A server that can be started.

    Attributes:
        name: what CLUES_REQUIRE calls it.
        version: its version.
        program: the Java file that starts it.
        module: what the jars of the one module begin with that is loaded in the server's own way.
    """

    name: str
    version: str
    program: str
    module: tuple[str, ...] = ()


ELASTICSEARCH = Kind("elasticsearch", "8.19.21", "ElasticsearchServer.java", ("netty-", "transport-netty4-"))
OPENSEARCH = Kind("opensearch", "2.19.1", "OpenSearchServer.java")

_DESCRIPTOR = """\
name=transport-netty4
description=HTTP
version={version}
elasticsearch.version={version}
java.version=17
classname=org.elasticsearch.transport.netty4.Netty4Plugin
"""


class SearchServer:
    """A server on a port of its own, with its data in a folder that goes with it."""

    def __init__(self, kind: Kind, jars: list[Path]) -> None:
        self._kind = kind
        self._jars = jars
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.home = Path(tempfile.mkdtemp(prefix=f"clues-{kind.name}-"))
        self.log = self.home / "output.log"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        (self.home / "config").mkdir()
        own = [jar for jar in self._jars if not jar.name.startswith(self._kind.module or ("-",))]
        if self._kind.module:
            self._lay_module(set(self._jars) - set(own))
        command = ["java", "-Xms512m", "-Xmx512m", "-cp", os.pathsep.join(map(str, own))]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [*command, str(_HERE / self._kind.program), str(self.home), str(self.port)],
                stdin=subprocess.PIPE,  # it ends when this closes, however we end
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        wait_for(self._answers_or_died, f"{self._kind.name}'s answer", timeout=_START_TIME)
        if self._process.poll() is not None:
            raise RuntimeError(self.log.read_text(errors="replace")[-2000:])

    def stop(self) -> None:
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        shutil.rmtree(self.home, ignore_errors=True)

    def _lay_module(self, jars: set[Path]) -> None:
        folder = self.home / "modules" / "transport-netty4"
        folder.mkdir(parents=True)
        for jar in jars:
            shutil.copy(jar, folder)
        (folder / "plugin-descriptor.properties").write_text(_DESCRIPTOR.format(version=self._kind.version))

    def _answers_or_died(self) -> bool:
        assert self._process is not None
        try:
            with urllib.request.urlopen(f"{self.url}/_cluster/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return self._process.poll() is not None


@pytest.fixture(scope="session")
def real_elasticsearch() -> Iterator[str]:
    """The URL of an Elasticsearch: that of CLUES_ELASTICSEARCH_URL, or one of our own."""
    yield from _url(ELASTICSEARCH)


@pytest.fixture(scope="session")
def real_opensearch() -> Iterator[str]:
    """The URL of an OpenSearch: that of CLUES_OPENSEARCH_URL, or one of our own."""
    yield from _url(OPENSEARCH)


def _url(kind: Kind) -> Iterator[str]:
    if url := _URLS[kind.name]:
        yield url
        return
    if shutil.which("java") is None or shutil.which("javac") is None:
        lacking(kind.name, f"no JDK on PATH, and no CLUES_{kind.name.upper()}_URL")
    server = SearchServer(kind, _jars(kind))
    try:
        try:
            server.start()
        except (AssertionError, RuntimeError) as error:
            lacking(kind.name, f"it doesn't start: {error}")
        yield server.url
    finally:
        server.stop()


def _jars(kind: Kind) -> list[Path]:
    folder = _CACHE / f"{kind.name}-{kind.version}"
    wanted = _wanted(_HERE / f"{folder.name}.sha256")
    missing = {path: digest for path, digest in wanted.items() if not (folder / Path(path).name).exists()}
    if missing and kind.name not in os.environ.get("CLUES_REQUIRE", ""):
        lacking(kind.name, f"not in {_CACHE}; CLUES_REQUIRE={kind.name} downloads {len(missing)} jars, 42 MB in all")
    folder.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + _DOWNLOAD_TIME
    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda path: _download(folder, path, missing[path], deadline), missing))
    except (OSError, ValueError) as error:
        lacking(kind.name, f"its jars can't be had: {error}")
    return sorted(folder / Path(path).name for path in wanted)


def _wanted(listing: Path) -> dict[str, str]:
    """The jars' paths on Maven Central, and their hashes."""
    found = {}
    for line in listing.read_text().splitlines():
        digest, path = line.split("  ")
        found[path] = digest
    return found


def _download(folder: Path, path: str, digest: str, deadline: float) -> None:
    if time.monotonic() > deadline:
        raise TimeoutError(f"downloading took longer than {_DOWNLOAD_TIME} s")
    with urllib.request.urlopen(_CENTRAL + path, timeout=30) as answer:
        data = answer.read()
    if hashlib.sha256(data).hexdigest() != digest:
        raise ValueError(f"{path} is not the file that was expected")
    part = folder / f"{Path(path).name}.{os.getpid()}"
    part.write_bytes(data)
    part.replace(folder / Path(path).name)
