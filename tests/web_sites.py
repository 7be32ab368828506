"""Web applications and their servers for tests: examples as their READMEs say, in the environments of frameworks."""

from __future__ import annotations

import http.cookiejar
import json
import os
import shutil
import socket
import subprocess
import tomllib
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.conformance.environments import ROOT, python_of
from tests.conformance.site import Event, Program
from tests.waiting import wait_for


class Project:
    """A copy of an example, in the environment of one release of its framework.

    Attributes:
        folder: where it is.
        log: its event log.
        python: the environment's interpreter.
    """

    def __init__(self, example: str, release: str, folder: Path, redis_url: str) -> None:
        self.python = python_of(release)
        self.folder = folder / example
        shutil.copytree(
            ROOT / "examples" / example, self.folder, ignore=shutil.ignore_patterns("__pycache__", "*.sqlite3", "*.log")
        )
        self.log = self.folder / "events.log"
        self.output = self.folder / "output.log"
        self._redis_url = redis_url
        # An old release may use what a newer Python deprecates.
        self._warnings = ["-W", "error"] if release.endswith("newest") else []
        self._metadata = folder / "metadata"
        _tell_entry_points(self._metadata)
        self.readme = (self.folder / "README.md").read_text()
        self._programs: list[Program] = []

    def environ(self, **more: str) -> dict[str, str]:
        """What its programs find in their environment."""
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("CLUES_", "PYTEST", "DJANGO"))
        }
        own = {
            "PYTHONPATH": f"{ROOT}:{self._metadata}",
            "PATH": f"{self.python.parent}:{os.environ['PATH']}",
            "REDIS_URL": self._redis_url,
            "CLUES_RUN_DIR": str(self.folder / "run"),
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        return kept | own | more

    def command(self, begin: str) -> str:
        """The README's command that begins so."""
        lines = [line.removeprefix("$ ") for line in self.readme.splitlines() if line.startswith("$ ")]
        (found,) = (line for line in lines if line.startswith(begin))
        return found

    def run(self, command: str, *, status: int = 0, **environ: str) -> str:
        """Run a command to its end; gives what it said."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=self.folder, env=self.environ(**environ), capture_output=True, text=True, check=False, timeout=90,
        )  # fmt: skip
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def python_says(self, program: str, **environ: str) -> Any:
        """Run a program whose last line is JSON."""
        done = subprocess.run(
            [self.python, *self._warnings, "-c", program],
            cwd=self.folder, env=self.environ(**environ), capture_output=True, text=True, check=False, timeout=90,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def serve(self, command: str, **environ: str) -> Server:
        """Start a server by the README's command, on a free port, and wait until it answers."""
        server = Server(self, command, environ)
        self._programs.append(server.program)
        return server

    def start(self, command: str, **environ: str) -> Program:
        """Start any program."""
        parts = [part for part in command.split() if "=" not in part.partition("/")[0] or part.startswith("-")]
        named = dict(part.split("=", 1) for part in command.split() if part not in parts)
        program = Program(parts, environ=self.environ(**named, **environ), output=self.output)
        self._programs.append(program)
        return program

    def said(self) -> str:
        """What its programs have written."""
        return self.output.read_text(errors="replace")[-5000:] if self.output.exists() else ""

    def events(self, event_hash: str | None = None) -> list[Event]:
        """What the event log holds."""
        lines = self.log.read_bytes().split(b"\n")[:-1] if self.log.exists() else []
        found = [json.loads(line) for line in lines]
        return [event for event in found if event_hash in (None, event["metadata"]["_event_hash"])]

    def carried(self, event_hash: str) -> dict[str, Any]:
        """The fields that a job was enqueued with, without those of clues."""
        (event,) = (event for event in self.events(event_hash) if event["event_type"] == "enqueued")
        return {name: value for name, value in event["metadata"].items() if not name.startswith("_")}

    def hash_of(self, job_id: str) -> str:
        """The hash of a job by its own system's id, once it is told."""
        found = wait_for(
            lambda: [event for event in self.events() if event["metadata"].get("_job_id") == job_id], "the job's events"
        )
        event_hash: str = found[0]["metadata"]["_event_hash"]
        return event_hash

    def ended(self, event_hash: str) -> list[Event]:
        """Wait for a job's end; gives its events."""
        wait_for(
            lambda: any(event["metadata"]["_event_id"].endswith(":end") for event in self.events(event_hash)),
            "the job's end",
            timeout=60,
        )
        return self.events(event_hash)

    def close(self) -> None:
        """End all that runs."""
        for program in self._programs:
            program.kill()


class Server:
    """A server at work."""

    def __init__(self, project: Project, command: str, environ: Mapping[str, str]) -> None:
        self.port = free_port()
        assert "8000" in command
        self.program = Program(
            command.replace("8000", str(self.port)).split(),
            environ=project.environ(**environ),
            output=project.output,
        )
        self._project = project
        self.cookies = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(self.cookies)
        )
        try:
            wait_for(self._answers, f"an answer of {command}", timeout=60)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{project.said()}") from None

    def _answers(self) -> bool:
        assert self.program.process.poll() is None, self._project.said()
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
        except OSError:
            return False
        return True

    def ask(self, path: str, *, method: str = "POST", headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Send a request; gives the answer's JSON."""
        return self.answer(path, method=method, headers=headers)[0]

    def answer(
        self, path: str, *, method: str = "POST", headers: Mapping[str, str] | None = None
    ) -> tuple[dict[str, Any], Mapping[str, str]]:
        """Send a request; gives the answer's JSON, and its headers."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", method=method, headers=dict(headers or {})
        )
        try:
            with self._opener.open(request, timeout=60) as answer:
                found: dict[str, Any] = json.loads(answer.read())
                return found, dict(answer.headers)
        except urllib.error.HTTPError as error:
            body = error.read().decode(errors="replace")[:3000]
            raise AssertionError(f"{error}: {body}\n{self._project.said()}") from None

    def stop(self) -> None:
        """TERM, as an operator does."""
        self.program.stop()


def snippet(heading: str) -> str:
    """The first Python block of a part of docs/initializers.md."""
    part = (ROOT / "docs" / "initializers.md").read_text().split(f"\n## {heading}\n")[1]
    return part.split("```python\n")[1].split("```")[0]


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _tell_entry_points(folder: Path) -> None:
    """What an installed clues would tell of itself: the environments have it by PYTHONPATH."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    place = folder / "clues-0.dist-info"
    place.mkdir(parents=True, exist_ok=True)
    (place / "METADATA").write_text("Metadata-Version: 2.1\nName: clues\nVersion: 0\n")
    groups = project["entry-points"]
    lines = [f"[{group}]\n" + "\n".join(f"{n} = {v}" for n, v in points.items()) for group, points in groups.items()]
    (place / "entry_points.txt").write_text("\n".join(lines) + "\n")
