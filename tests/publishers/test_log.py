"""LogPublisher: whole lines in one file, whatever happens to processes, files and disks."""

from __future__ import annotations

import io
import json
import logging
import os
import resource
import stat
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from clues.errors import ConfigError
from clues.event import Event, EventType
from clues.logging import JobFormatter
from clues.publishers import LogPublisher, flood
from tests.forks import forked, held_elsewhere
from tests.stories import Stage, live
from tests.waiting import wait_for

ROOT = Path(__file__).parents[2]
DESCRIPTORS = Path("/proc/self/fd")


def an_event(number: int = 0, **metadata: Any) -> Event:
    return Event(EventType.ENQUEUED, "2026-11-20T20:59:58.123456Z", "mail", {"n": number, **metadata}, "Job", [])


def numbers(path: Path) -> list[int]:
    """The events' numbers in a log whose every line must be whole."""
    return [json.loads(line)["metadata"]["n"] for line in path.read_bytes().split(b"\n")[:-1]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.log"


@pytest.fixture
def log(path: Path) -> Iterator[LogPublisher]:
    publisher = LogPublisher(path)
    yield publisher
    publisher.close()


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What is written from now on, write by write."""
    found: list[bytes] = []
    write = os.write

    def watched(fd: int, data: bytes) -> int:
        found.append(data)
        return write(fd, data)

    monkeypatch.setattr(os, "write", watched)
    return found


# --- one process ---


def test_a_line_for_each_event(log: LogPublisher, path: Path) -> None:
    """The event's line and a newline."""
    log.publish(an_event(1))
    log.publish(an_event(2))
    assert path.read_bytes() == an_event(1).line + b"\n" + an_event(2).line + b"\n"


def test_one_write_for_each_event(log: LogPublisher, writes: list[bytes]) -> None:
    """Newline included: that is what makes sharing the file safe."""
    log.publish(an_event(1))
    assert writes == [an_event(1).line + b"\n"]


def test_many_events(log: LogPublisher, path: Path, writes: list[bytes]) -> None:
    """One write for all of them."""
    log.publish_many([an_event(number) for number in range(3)])
    assert writes == [path.read_bytes()]
    assert numbers(path) == [0, 1, 2]


@pytest.mark.parametrize("to", ["file", "logger"])
def test_an_event_that_the_marshaller_refuses(path: Path, to: str, caplog: pytest.LogCaptureFixture) -> None:
    """The others are written; what it raised is raised when they are."""

    def marshal(*fields: Any) -> str:
        return f"event {10 // fields[3]['n']}"

    events = [replace(an_event(number), marshaller=marshal) for number in (1, 0, 2)]
    log = LogPublisher(path if to == "file" else logging.getLogger("test.refused"))
    with caplog.at_level(logging.INFO), pytest.raises(ZeroDivisionError):
        log.publish_many(events)
    log.close()
    written = path.read_text().splitlines() if to == "file" else [record.getMessage() for record in caplog.records]
    assert written == ["event 10", "event 5"]


def test_many_events_into_a_pipe(tmp_path: Path) -> None:
    """A write for each: a pipe takes no more than some kilobytes whole."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    log = LogPublisher(fifo)
    events = [an_event(number, text="x" * 3000) for number in range(40)]
    with pytest.raises(OSError, match="temporarily unavailable"):
        log.publish_many(events)
    lines = os.read(reader, 1 << 20).split(b"\n")
    assert lines.pop() == b""
    assert lines == [event.line for event in events[: len(lines)]]
    log.close()
    os.close(reader)


def test_many_events_for_a_logger(caplog: pytest.LogCaptureFixture) -> None:
    """A record for each."""
    with caplog.at_level(logging.INFO):
        LogPublisher(logging.getLogger("test.many")).publish_many([an_event(1), an_event(2)])
    assert [json.loads(record.getMessage())["metadata"]["n"] for record in caplog.records] == [1, 2]


def test_a_flood(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not every write looks for the file then; nothing is lost, and the next look finds that it was renamed."""
    now = [0.0]
    monkeypatch.setattr(flood, "time", SimpleNamespace(monotonic=lambda: now[0]))
    now[0] = 100.0
    log = LogPublisher(path)
    for number in range(20):
        log.publish(an_event(number))
    renamed = path.rename(path.with_suffix(".1"))
    log.publish(an_event(20))
    assert numbers(renamed) == list(range(21))
    now[0] = 101.0
    log.publish(an_event(21))
    assert numbers(path) == [21]
    log.close()


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o640), (0o077, 0o600), (0o000, 0o640)])
def test_a_new_file_is_not_the_worlds(path: Path, umask: int, mode: int) -> None:
    """0640, less what the umask takes."""
    before = os.umask(umask)
    try:
        LogPublisher(path).close()
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_an_existing_file_is_appended_to_and_keeps_its_mode(path: Path) -> None:
    """As logs are."""
    path.write_text("before\n")
    path.chmod(0o604)
    log = LogPublisher(str(path))
    log.publish(an_event(1))
    log.close()
    assert path.read_bytes() == b"before\n" + an_event(1).line + b"\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o604


def test_a_relative_path_survives_chdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon goes to / after it was configured, and the file may be reopened there."""
    monkeypatch.chdir(tmp_path)
    log = LogPublisher("events.log")
    monkeypatch.chdir("/")
    (tmp_path / "events.log").unlink()
    log.publish(an_event(1))
    log.close()
    assert numbers(tmp_path / "events.log") == [1]


def test_close_then_publish_opens_it_again(log: LogPublisher, path: Path) -> None:
    """And a second close does nothing."""
    log.publish(an_event(1))
    log.close()
    log.close()
    log.publish(an_event(2))
    assert numbers(path) == [1, 2]


def test_lines_longer_than_any_pipe_buffer(log: LogPublisher, path: Path) -> None:
    """A failed event with its backtrace has 20 KB."""
    log.publish(an_event(1, text="x" * 200_000))
    log.publish(an_event(2))
    assert numbers(path) == [1, 2]


def test_no_descriptor_leaks(log: LogPublisher, path: Path) -> None:
    """Over any number of rotations."""
    log.publish(an_event(1))
    before = len(list(DESCRIPTORS.iterdir()))
    for number in range(50):
        path.rename(path.with_suffix(f".{number}"))
        log.publish(an_event(number))
    assert len(list(DESCRIPTORS.iterdir())) == before


def test_the_descriptor_is_not_inherited_by_programs(log: LogPublisher, path: Path) -> None:
    """A job that starts a program doesn't keep a rotated log open there; also after a reopening."""
    program = "import os; print([os.path.realpath(f'/proc/self/fd/{n}') for n in os.listdir('/proc/self/fd')])"
    for _ in range(2):
        log.publish(an_event(1))
        listed = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, close_fds=False
        )
        assert "events.log" not in listed.stdout
        path.unlink()


# --- rotation ---


def test_rename_opens_a_new_file(log: LogPublisher, path: Path) -> None:
    """logrotate's default needs no signal."""
    log.publish(an_event(1))
    rotated = path.rename(path.with_suffix(".1"))
    log.publish(an_event(2))
    path.rename(path.with_suffix(".2"))
    path.touch()  # logrotate's `create`
    log.publish(an_event(3))
    assert (numbers(rotated), numbers(path.with_suffix(".2")), numbers(path)) == ([1], [2], [3])


def test_copytruncate_leaves_no_hole(log: LogPublisher, path: Path) -> None:
    """The next line begins at the start of the file."""
    log.publish(an_event(1))
    os.truncate(path, 0)
    log.publish(an_event(2))
    assert numbers(path) == [2]


def test_a_removed_file_is_made_again(log: LogPublisher, path: Path) -> None:
    """Lines don't go into a file without a name."""
    log.publish(an_event(1))
    path.unlink()
    log.publish(an_event(2))
    assert numbers(path) == [2]


def test_a_folder_that_vanished_is_counted_and_recovers(tmp_path: Path) -> None:
    """The job is unharmed meanwhile."""
    folder = tmp_path / "logs"
    folder.mkdir()
    log = LogPublisher(folder / "events.log")
    stage = Stage(options={"publisher": log})
    live(stage.lifecycle, {"class": "Job", "args": []})
    folder.rename(tmp_path / "gone")
    ran: list[int] = []
    live(stage.lifecycle, {"class": "Job", "args": []}, lambda: ran.append(1))
    assert ran == [1]
    assert stage.config.faults.counts == {"LogPublisher": 4}
    folder.mkdir()
    live(stage.lifecycle, {"class": "Job", "args": []})
    log.close()
    assert len((folder / "events.log").read_text().split("\n")) == 5
    assert len((tmp_path / "gone" / "events.log").read_text().split("\n")) == 5


WRITER = """
import sys
from clues.event import Event, EventType
from clues.publishers import LogPublisher
from clues.publishers import flood
path, number, count, fork = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]

def write(log, number):
    for n in range(count):
        log.publish(Event(EventType.ENQUEUED, "t", "mail", {"p": number, "n": n, "text": "x" * (n % 300)}, "Job", [n]))

if fork == "fork":  # the parent opened the file, as a master does
    import os
    log = LogPublisher(path)
    pids = []
    for child in range(number):
        pid = os.fork()
        if pid == 0:
            write(log, child)
            os._exit(0)
        pids.append(pid)
    sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids))
write(LogPublisher(path), number)
"""


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_ten_processes_write_one_file_across_two_rotations(path: Path, start: str) -> None:
    """10 x 20,000 events: every line whole, none missing, none twice."""
    count = 20_000
    numbers_of = [10] if start == "fork" else range(10)
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(number), str(count), start], cwd=ROOT)
        for number in numbers_of
    ]
    try:
        rotated = []
        for turn in (1, 2):
            wait_for(
                lambda: path.exists() and path.stat().st_size > 5_000_000,
                f"{turn} rotations' worth of lines",
                timeout=120,
            )
            rotated.append(path.rename(path.with_suffix(f".{turn}")))
        assert any(writer.poll() is None for writer in writers), "the rotations must happen while lines are written"
        assert [writer.wait(120) for writer in writers] == [0] * len(writers)
    finally:
        for writer in writers:
            writer.kill()
    seen: Counter[tuple[int, int]] = Counter()
    for one in (*rotated, path):
        data = one.read_bytes()
        assert data.endswith(b"\n")
        for line in data.split(b"\n")[:-1]:
            metadata = json.loads(line)["metadata"]
            seen[metadata["p"], metadata["n"]] += 1
    assert len(seen) == 10 * count
    assert set(seen.values()) == {1}


def test_threads_publish_while_another_rotates(log: LogPublisher, path: Path) -> None:
    """Nothing lost, and no line in a file that isn't the log's: descriptors are reused at once by another thread."""
    done = threading.Event()
    foreign = path.with_name("foreign")

    def rotate() -> None:
        turn = 0
        while not done.is_set():
            turn += 1
            if path.exists():
                path.rename(path.with_name(f"rotated.{turn}"))
            with foreign.open("ab") as file:
                file.flush()
            if turn % 3 == 0:
                log.close()

    def write(first: int) -> None:
        for number in range(first, first + 2000):
            log.publish(an_event(number))

    rotator = threading.Thread(target=rotate)
    writers = [threading.Thread(target=write, args=(first,)) for first in range(0, 8000, 2000)]
    for thread in (rotator, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    rotator.join()
    found = [number for one in path.parent.iterdir() if one != foreign for number in numbers(one)]
    assert sorted(found) == list(range(8000))
    assert foreign.read_bytes() == b""


# --- forks ---


def test_parent_and_child_both_write(log: LogPublisher, path: Path) -> None:
    """Also a child that leaves by `os._exit`; whoever rotates, both follow."""
    log.publish(an_event(1))
    assert forked(lambda: log.publish(an_event(2))) == 0
    log.publish(an_event(3))
    path.rename(path.with_suffix(".1"))
    assert forked(lambda: log.publish(an_event(4))) == 0
    log.publish(an_event(5))
    assert (numbers(path.with_suffix(".1")), numbers(path)) == ([1, 2, 3], [4, 5])


def descriptor_of(path: Path) -> int:
    [found] = [int(link.name) for link in DESCRIPTORS.iterdir() if link.resolve() == path]
    return found


@pytest.mark.parametrize("before", ["publish", "close", "nothing"])
def test_a_descriptor_that_became_anothers_is_not_touched(log: LogPublisher, path: Path, before: str) -> None:
    """A daemon closes all descriptors; the log's number is the database's next, in the same process even."""
    precious = path.with_name("precious")

    def daemon() -> None:
        if before == "publish":
            log.publish(an_event(1))
        number = descriptor_of(path)
        os.close(number)
        fd = os.open(precious, os.O_WRONLY | os.O_CREAT)
        if fd != number:
            os.dup2(fd, number)
            os.close(fd)
        if before == "close":
            log.close()
        log.publish(an_event(2))
        log.close()
        os.write(number, b"mine")  # it was neither closed nor written to

    assert forked(daemon) == 0
    assert precious.read_bytes() == b"mine"
    assert numbers(path) == ([1, 2] if before == "publish" else [2])


def test_a_child_forked_while_a_thread_writes_can_write(log: LogPublisher, path: Path) -> None:
    """The child's lock is free, whoever held the parent's."""

    def child() -> None:
        log.publish(an_event(1))
        log.close()

    with held_elsewhere(log._sink._using.lock):  # type: ignore[attr-defined]
        assert forked(child) == 0
    assert numbers(path) == [1]


@pytest.mark.parametrize("rotated", [False, True])
def test_no_descriptor_is_left(log: LogPublisher, path: Path, rotated: bool) -> None:
    """A child goes on with its parent's, and so does who finds the file renamed: nothing is lost."""

    def child() -> None:
        if rotated:
            log.publish(an_event(1))
            path.rename(path.with_suffix(".1"))
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        log.publish(an_event(2))

    assert forked(child) == 0
    assert numbers(path.with_suffix(".1") if rotated else path) == ([1, 2] if rotated else [2])


def test_no_descriptor_is_left_and_the_file_is_gone(log: LogPublisher, path: Path) -> None:
    """What nobody would ever read is not taken for written."""

    def child() -> None:
        path.unlink()
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        with pytest.raises(OSError, match="Too many open files"):
            log.publish(an_event(2))

    assert forked(child) == 0


# --- disks that are full, and what is no file ---


def test_dev_full_is_counted_and_the_job_unharmed() -> None:
    """It opens, but takes nothing."""
    stage = Stage(options={"publisher": LogPublisher("/dev/full")})
    ran: list[int] = []
    live(stage.lifecycle, {"class": "Job", "args": []}, lambda: ran.append(1))
    assert ran == [1]
    assert stage.config.faults.counts == {"LogPublisher": 4}


def test_a_full_disk_tears_one_line_and_the_next_begins_on_its_own(path: Path) -> None:
    """A file size limit stands in for the disk: the line that hits it is written in part."""

    def child() -> None:
        log = LogPublisher(path)
        log.publish(an_event(1))
        size = path.stat().st_size
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, hard))
        for number in (2, 3):
            with pytest.raises(OSError):
                log.publish(an_event(number))
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        log.publish(an_event(4))
        log.publish(an_event(5))

    assert forked(child) == 0
    lines = path.read_bytes().split(b"\n")
    assert [line for line in lines if line] == [
        an_event(1).line, an_event(2).line[:20], an_event(4).line, an_event(5).line,
    ]  # fmt: skip
    assert b"" not in lines[:-1]


def test_after_a_full_disk_another_process_begins_on_its_own_line_too(path: Path) -> None:
    """One that failed meanwhile, though it was not the one that tore the line; and a new file has no empty line."""

    def child() -> None:
        tearing, other = LogPublisher(path), LogPublisher(path)
        tearing.publish(an_event(1))
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 20, hard))
        for log in (tearing, other):
            with pytest.raises(OSError):
                log.publish(an_event(2))
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        other.publish(an_event(3))
        path.rename(path.with_suffix(".1"))
        tearing.publish(an_event(4))

    assert forked(child) == 0
    assert path.with_suffix(".1").read_bytes().split(b"\n") == [
        an_event(1).line, an_event(2).line[:20], an_event(3).line, b"",
    ]  # fmt: skip
    assert path.read_bytes() == an_event(4).line + b"\n"


def test_a_really_full_file_system(tmp_path: Path) -> None:
    """A tmpfs of 64 KB, where this machine lets us mount one."""
    mount = tmp_path / "small"
    mount.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(mount)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("mounting a tmpfs needs root")
    try:
        log = LogPublisher(mount / "events.log")
        stage = Stage(options={"publisher": log})
        ballast = mount / "ballast"
        ballast.write_bytes(b"x" * 40_000)
        for number in range(40):
            live(stage.lifecycle, {"class": "Job", "args": [number, "x" * 500]})
        refused = stage.config.faults.counts["LogPublisher"]
        assert refused > 0
        ballast.unlink()
        live(stage.lifecycle, {"class": "Last", "args": []})
        log.close()
        lines = (mount / "events.log").read_bytes().split(b"\n")[:-1]
        whole = [json.loads(line) for line in lines if is_json(line)]
        assert [event["worker_class"] for event in whole[-4:]] == ["Last"] * 4
        assert len(whole) == 164 - refused
        assert len(lines) - len(whole) <= 1  # the one that was torn
    finally:
        subprocess.run(["umount", str(mount)], check=False)


def is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def test_a_named_pipe_never_blocks_the_job(tmp_path: Path) -> None:
    """Without a reader it can't be configured; a reader that stalls costs events, not time; whole lines follow."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with pytest.raises(ConfigError):
        LogPublisher(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    log = LogPublisher(fifo)
    refused = 0
    for number in range(2000):
        try:
            log.publish(an_event(number, text="x" * 100))
        except BlockingIOError:
            refused += 1
    assert refused > 0
    data = os.read(reader, 1 << 20)
    log.publish(an_event(9999))
    data += os.read(reader, 1 << 20)
    found = [json.loads(line)["metadata"]["n"] for line in data.split(b"\n") if line]
    assert found == [*range(2000 - refused), 9999]
    os.close(reader)
    log.close()


def test_mistaken_targets() -> None:
    """A folder, a missing folder, no path at all."""
    for target in ("/", "/no/such/folder/x", ""):
        with pytest.raises(ConfigError, match=r"can't append to"):
            LogPublisher(target)
    with pytest.raises(ConfigError, match="NoneType"):
        LogPublisher(None)  # type: ignore[arg-type]


# --- a standard library logger ---


@pytest.fixture
def logger() -> Iterator[tuple[logging.Logger, io.StringIO]]:
    logger = logging.Logger("events")  # noqa: LOG001 - no state of it shall outlive the test
    stream = io.StringIO()
    logger.addHandler(logging.StreamHandler(stream))
    yield logger, stream
    logger.handlers[0].close()


def test_a_logger_gets_each_line_as_a_message(logger: tuple[logging.Logger, io.StringIO]) -> None:
    """With the event itself on the record; percent signs are no formats."""
    found: list[logging.LogRecord] = []

    def keep(record: logging.LogRecord) -> bool:
        found.append(record)
        return True

    logger[0].addFilter(keep)
    event = an_event(1, text="100 %s")
    log = LogPublisher(logger[0], level=logging.WARNING)
    log.publish(event)
    log.close()
    assert logger[1].getvalue() == event.line.decode() + "\n"
    assert (found[0].levelname, found[0].clues_event) == ("WARNING", event)  # type: ignore[attr-defined]


def test_a_loggers_level_is_respected(logger: tuple[logging.Logger, io.StringIO]) -> None:
    """And the line is not even encoded."""
    logger[0].setLevel(logging.WARNING)
    event = an_event(1)
    LogPublisher(logger[0]).publish(event)
    assert logger[1].getvalue() == ""
    assert event._line is None


def test_a_logger_with_the_job_formatter(logger: tuple[logging.Logger, io.StringIO]) -> None:
    """The record's job is the event's, and the event is in it once."""
    logger[0].handlers[0].setFormatter(JobFormatter())
    event = an_event(1, _event_hash="h")
    LogPublisher(logger[0]).publish(event)
    [line] = logger[1].getvalue().splitlines()
    found = json.loads(line)
    assert (found["event_hash"], found["queue"], found["worker_class"]) == ("h", "mail", "Job")
    assert json.loads(found["message"]) == json.loads(event.line)
    assert "clues_event" not in found


def test_a_logging_handler_that_raises_is_counted(logger: tuple[logging.Logger, io.StringIO]) -> None:
    """The job never hears of it."""

    def emit(record: logging.LogRecord) -> None:
        raise RuntimeError("no")

    logger[0].handlers[0].emit = emit  # type: ignore[method-assign]
    stage = Stage(options={"publisher": LogPublisher(logger[0])})
    assert live(stage.lifecycle, {"class": "Job", "args": []}) is not None
    assert stage.config.faults.counts == {"LogPublisher": 4}
