"""Where a job system runs for a test: its Redis, its producer and worker programs, and the log of their events."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from tests.conformance.environments import ROOT, python_of
from tests.redis_server import RedisServer, private_server
from tests.waiting import wait_for

Event = dict[str, Any]
"""An event's line, read."""

_MUTE = {"CONFORMANCE_BARE", "CONFORMANCE_BROKEN"}  # in the environment of programs that tell nothing

TERMINAL = {"perform_finished", "failed", "destroyed"}


@dataclass(frozen=True)
class System:
    """One job system.

    Attributes:
        name: as clues calls it; its application is ``apps/<name>_app.py``.
        command: gives its worker program's command; everything in it is the system's own.
        releases: the environments in which it runs: ``celery-newest``; None for clues' own.
        environ: what its programs find in their environment besides.
        cells: what differs from `tests.conformance.cells`, by the cell's name: a function that asserts what is told
            instead. Its docstring says what the system makes impossible, and docs/adapters.md says it too.
        app: its application's module; left out, that of the suite.
    """

    name: str
    command: Callable[[Site], Sequence[str]]
    releases: tuple[str, ...]
    environ: Mapping[str, str] = field(default_factory=dict)
    cells: Mapping[str, Callable[[Site], None]] = field(default_factory=dict)
    app: str = ""


class Program:
    """A program in a process group of its own, so that it can be killed as a whole."""

    def __init__(self, command: Sequence[str], *, environ: Mapping[str, str], output: Path, **options: Any) -> None:
        with output.open("ab") as log:
            self.process = subprocess.Popen(
                [str(part) for part in command],
                env=dict(environ),
                cwd=output.parent,
                stderr=log,
                start_new_session=True,
                **{"stdout": log, "stdin": subprocess.DEVNULL, **options},
            )

    def signal(self, number: int) -> None:
        """Send a signal to the program's first process alone."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL to all of it at once, as when its container dies."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)
        # One that is not dead yet may still be given a job by Redis, which is then lost.
        wait_for(lambda: not _alive_in_group(self.process.pid), "the death of all its processes")
        for pipe in filter(None, (self.process.stdin, self.process.stdout)):
            pipe.close()

    def stop(self) -> None:
        """TERM, and what does not obey is killed."""
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(15)
        self.kill()


def _alive_in_group(group: int) -> bool:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, its_group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state not in "ZX":
                return True
    return False


class Hanging(NamedTuple):
    """A job that goes on until it is told.

    Attributes:
        event_hash: its hash.
        place: where it has written its process id; it ends once the same name with ``.go`` is there.
        pid: the process that runs it.
    """

    event_hash: str
    place: Path
    pid: int

    def let_go(self) -> None:
        """Let it end."""
        self.place.with_suffix(".go").touch()


class Site:
    """One release of one system at work.

    Attributes:
        system: which.
        python: its interpreter.
        redis: its Redis server.
        folder: for the files of jobs.
        log: the event log.
        worker: the worker program, while it runs.
    """

    def __init__(self, system: System, python: Path, redis: RedisServer) -> None:
        self.system = system
        self.python = python
        self.redis = redis
        self.folder = Path(tempfile.mkdtemp(prefix=f"clues-{system.name}-"))
        self.log = self.folder / "events.log"
        self.output = self.folder / "output.log"
        self.worker: Program | None = None
        self._producers: dict[str, Program] = {}
        self._made = 0

    def close(self) -> None:
        """End all that runs, and remove the files."""
        for program in (*self._producers.values(), *filter(None, [self.worker])):
            program.kill()
        self._producers = {}
        shutil.rmtree(self.folder, ignore_errors=True)

    def environ(self, **more: str) -> dict[str, str]:
        """What the system's programs find in their environment."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("CLUES_", "PYTEST"))}
        own = {
            "PYTHONPATH": str(ROOT),
            "PATH": f"{self.python.parent}:{os.environ['PATH']}",
            "REDIS_URL": self.redis.url,
            "CONFORMANCE_EVENTS": str(self.log),
            "CLUES_RUN_DIR": str(self.folder / "run"),
            "PYTHONUNBUFFERED": "1",
        }
        return kept | own | dict(self.system.environ) | more

    def place(self, name: str) -> Path:
        """A path for a job's file, unlike all others."""
        self._made += 1
        return self.folder / f"{name}-{self._made}"

    # The worker.

    def work(self, **environ: str) -> Program:
        """Start the worker, unless it runs, and wait until it has worked a job.

        Args:
            environ: what it finds in its environment besides; a worker that runs already is then stopped first.
        """
        if environ:
            self.stop()
        if not self._ended():
            assert self.worker is not None
            return self.worker
        worker = self.start(**environ)
        sign = self.place("sign")
        first = self.enqueue("mark", str(sign))
        wait_for(lambda: sign.exists() or self._ended(), "the worker's first job", timeout=60)
        assert sign.exists(), self.said()
        if not _MUTE & environ.keys():
            self.ended(first)  # what is told from now on is of other jobs
        return worker

    def start(self, **environ: str) -> Program:
        """Start the worker, unless it runs, and don't wait for it."""
        if self._ended():
            self.worker = self.program(self.system.command(self), **environ)
        assert self.worker is not None
        return self.worker

    def program(self, command: Sequence[str], **environ: str) -> Program:
        """Start any program beside the application."""
        return Program(command, environ=self.environ(**environ), output=self.output)

    def stop(self) -> None:
        """Stop the worker as an operator does."""
        if self.worker is not None:
            self.worker.stop()
            self.worker = None

    def kill(self) -> None:
        """Kill the worker, all its processes at once."""
        if self.worker is not None:
            self.worker.kill()
            self.worker = None

    def said(self) -> str:
        """What the programs have written lately, for messages of failed tests."""
        return self.output.read_text(errors="replace")[-5000:]

    def _ended(self) -> bool:
        return self.worker is None or self.worker.process.poll() is not None

    # Enqueueing.

    def ask(self, job: str, *args: Any, environ: Mapping[str, str] | None = None, **options: Any) -> dict[str, Any]:
        """Have the producer enqueue a job; gives its answer.

        Args:
            job: one of `tests.conformance.apps.common`.
            args: its arguments; ``"ODD"`` becomes an object that can't be serialised.
            environ: of a producer with other surroundings.
            options: as the application's `enqueue` takes them; ``delay`` in seconds.
        """
        producer = self._producer(environ or {})
        assert producer.process.stdin is not None
        assert producer.process.stdout is not None
        producer.process.stdin.write(json.dumps({"job": job, "args": args, "options": options}).encode() + b"\n")
        producer.process.stdin.flush()
        line = producer.process.stdout.readline()
        assert line, self.said()
        answer: dict[str, Any] = json.loads(line)
        return answer

    def enqueue(self, job: str, *args: Any, **options: Any) -> str:
        """Enqueue a job; gives its hash."""
        before = self.events()
        answer = self.ask(job, *args, **options)
        assert "error" not in answer, answer
        # The producer enqueues one job after the other, and the event is written when it answers; a worker may write
        # `enqueued` for other jobs' next attempts.
        new = [
            event
            for event in self.events()[len(before) :]
            if event["event_type"] == "enqueued" and event["metadata"]["_attempt"] == 1
        ]
        own = [event for event in new if answer["id"] in ("", event["metadata"].get("_job_id"))]
        assert len(own) == 1, (answer, new)
        found: str = own[0]["metadata"]["_event_hash"]
        return found

    def _producer(self, environ: Mapping[str, str]) -> Program:
        key = json.dumps(environ, sort_keys=True)
        app = self.system.app or f"tests.conformance.apps.{self.system.name}_app"
        if key not in self._producers:
            self._producers[key] = Program(
                [str(self.python), "-m", "tests.conformance.producer", app],
                environ=self.environ(**environ),
                output=self.output,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        return self._producers[key]

    # What is told.

    def events(self, event_hash: str | None = None) -> list[Event]:
        """What the event log holds, in its order; of one job, or of all."""
        if not self.log.exists():
            return []
        lines = self.log.read_bytes().split(b"\n")[:-1]  # the last is empty, or half written
        found = [json.loads(line) for line in lines]
        return [event for event in found if event_hash in (None, event["metadata"]["_event_hash"])]

    def ended(self, event_hash: str, attempt: int = 1, *, timeout: float = 60) -> list[Event]:
        """Wait for the end of a job's attempt; gives all its events."""

        def over() -> bool:
            return any(
                event["event_type"] in TERMINAL and event["metadata"]["_attempt"] == attempt
                for event in self.events(event_hash)
            )

        try:
            wait_for(over, f"the end of attempt {attempt}", timeout=timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}: {told(self.events(event_hash))}\n{self.said()}") from None
        if attempt > 1:
            # Another process tells that it has pushed this attempt, and may be slower than who has worked it since.
            with contextlib.suppress(AssertionError):
                wait_for(lambda: _whole(self.events(event_hash), attempt), "all of its events", timeout=3)
        return self.events(event_hash)

    def hanging(self) -> Hanging:
        """Enqueue a job that goes on until it is told, and wait until it does."""
        place = self.place("hang")
        event_hash = self.enqueue("hang", str(place))
        return Hanging(event_hash, place, self.pid_in(place))

    def pid_in(self, place: Path) -> int:
        """The process id that a hanging job wrote."""
        wait_for(place.exists, "the job's beginning", timeout=60)
        return int(place.read_text())


S = TypeVar("S", bound=Site)


@contextlib.contextmanager
def site_of(kind: type[S], system: System, release: str = "") -> Iterator[S]:
    """A release of a system, the newest unless said, with a Redis of its own; skipped where either can't be had."""
    name = release or f"{system.name}-newest"
    python = Path(sys.executable) if name == system.name else python_of(name)
    with private_server() as server:
        here = kind(system, python, server)
        try:
            yield here
        finally:
            here.close()


def _whole(events: Sequence[Event], attempts: int) -> bool:
    """Whether each attempt has its beginning and its end."""
    kinds = {(event["metadata"]["_attempt"], event["event_type"]) for event in events}
    ended = {number for number, kind in kinds if kind in TERMINAL}
    return all((number, "enqueued") in kinds and number in ended for number in range(1, attempts + 1))


def told(events: Sequence[Event]) -> list[str]:
    """A job's story in short: ``["1 enqueued", "1 dequeued", "1 perform_started", "1 failed timeout retrying"]``.

    In the order of the events' times, for two processes may write their lines in either order.
    """
    order = ["enqueued", "dequeued", "perform_started", "perform_finished", "failed", "destroyed"]
    found = sorted(
        events, key=lambda event: (event["metadata"]["_attempt"], event["timestamp"], order.index(event["event_type"]))
    )
    return [_told(event) for event in found]


def _told(event: Event) -> str:
    metadata = event["metadata"]
    words = [str(metadata["_attempt"]), event["event_type"]]
    if event["event_type"] == "dequeued" and metadata.get("_redelivered"):
        words.append("redelivered")
    words += [metadata["_reason"]] if "_reason" in metadata else []
    words += ["retrying"] if metadata.get("_retrying") else []
    return " ".join(words)


def by_type(events: Sequence[Event]) -> Iterator[tuple[str, Event]]:
    """Events with their types, to make a dict of."""
    return ((event["event_type"], event) for event in events)
