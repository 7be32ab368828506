"""Programs that benchmarks start: each in a session of its own, ended with all its children whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

_TICK = os.sysconf("SC_CLK_TCK")
_SCHEDULED = 2  # with a process' id, the clock that clock_getcpuclockid(3) gives
_LEFT_OUT = ("CLUES_", "RESQUE_", "REDIS_", "STATSD_", "OTEL_", "PYTHON")  # the user's settings are no benchmark's


class ProgramError(Exception):
    """A program ended, or did not do what it was waited for; the message has the last lines it said."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to start.

    Attributes:
        command: the program and its arguments.
        environ: variables, besides those of this process that are nobody's settings.
        folder: where it runs.
    """

    command: Sequence[str]
    environ: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """The variables of a program that nobody's settings change; clues is this checkout's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_LEFT_OUT)}
    return {"PYTHONPATH": str(Path(__file__).parents[1]), **kept, **more}


@contextmanager
def running(programs: Sequence[Program], *, stop: int = signal.SIGTERM) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run them for the time of a block; their output is shown if one fails before the block ends.

    Raises:
        ProgramError: one ended by itself, in the block, with an error.
    """
    started: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryFile() as output:
        try:
            for program in programs:
                started.append(_start(program, output))  # noqa: PERF401 - those that did start are ended
            yield started
            _check(started)
        except ProgramError as error:
            raise ProgramError(f"{error}\n{_last(output)}") from error
        finally:
            _end(started, stop)


def output_of(program: Program) -> str:
    """What a program prints that runs to its end.

    Raises:
        ProgramError: it failed.
    """
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            program.command, cwd=program.folder, env=environment(program.environ), stdout=subprocess.PIPE, stderr=said,
            start_new_session=True,
        )  # fmt: skip
        try:
            output, _ = process.communicate()
        finally:
            _end([process], signal.SIGTERM)
        if process.returncode:
            raise ProgramError(f"{program.command!r} ended with {process.returncode}\n{_last(said)}")
    return output.decode()


def wait_until(condition: Callable[[], object], what: str, *, patience: float = 60.0) -> None:
    """Until it holds.

    Raises:
        ProgramError: it does not, for long.
    """
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise ProgramError(f"waited {patience:.0f} s for {what}")
        time.sleep(0.02)


def family(session: int) -> list[int]:
    """The processes of a session."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields and fields[0] != "Z" and int(fields[3]) == session:
                found.append(int(entry.name))
    return found


def cpu_of(session: int) -> float:
    """CPU seconds that the processes of a session took, with those that they outlived."""
    return sum(_own_cpu(pid) + sum(map(int, _stat(pid)[13:15])) / _TICK for pid in family(session))


def _own_cpu(pid: int) -> float:
    """CPU seconds of a process, all its threads together; /proc knows them to the hundredth only."""
    try:
        return time.clock_gettime(~pid << 3 | _SCHEDULED)
    except OSError:
        return 0.0


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the state on: proc(5) counts from 3 there."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _start(program: Program, output: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        program.command, cwd=program.folder, env=environment(program.environ), stdin=subprocess.DEVNULL, stdout=output,
        stderr=output, start_new_session=True,
    )  # fmt: skip


def _check(started: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in started:
        if process.poll():
            raise ProgramError(f"{process.args!r} ended with {process.returncode}")


def _end(started: Sequence[subprocess.Popen[bytes]], stop: int) -> None:
    for process in started:
        if process.poll() is None:
            process.send_signal(stop)
    deadline = time.monotonic() + 10
    for process in started:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, deadline - time.monotonic()))
    deadline = time.monotonic() + 10
    for process in started:
        while (
            left := family(process.pid)
        ) and time.monotonic() < deadline:  # all of its session; what is killed takes a moment to be gone
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.poll()
            time.sleep(0.005)
        process.wait()


def _last(output: IO[bytes], lines: int = 15) -> str:
    output.seek(0)
    return "\n".join(output.read().decode(errors="replace").splitlines()[-lines:])
