"""NoOp, Stream and StandardOut."""

from __future__ import annotations

import codecs
import contextlib
import errno
import fcntl
import gzip
import io
import json
import os
import pty
import subprocess
import sys
import tempfile
import threading
import tty
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest

from clues.errors import ConfigError
from clues.event import Event, EventType
from clues.publishers import LogPublisher, NoOpPublisher, StandardOutPublisher, StreamPublisher
from clues.publishers.stream import PATIENCE
from clues.sanitize import UNSAFE
from tests.forks import exit_code, fork, forked
from tests.stories import Stage, live
from tests.waiting import wait_for

ROOT = Path(__file__).parents[2]


def an_event(number: int = 0, text: str = "") -> Event:
    return Event(EventType.ENQUEUED, "2026-11-20T20:59:58.123456Z", "mail", {"n": number, "text": text}, "Job", [])


def numbers(data: bytes) -> list[int]:
    """The events' numbers, of lines that must all be whole."""
    assert data == b"" or data.endswith(b"\n")
    return [json.loads(line)["metadata"]["n"] for line in data.split(b"\n")[:-1]]


def test_noop_publishes_nothing_but_items_are_stamped() -> None:
    """So that others can follow them."""
    stage = Stage(options={"publisher": NoOpPublisher.from_url(urlsplit("noop://"))})
    item: dict[str, Any] = {"class": "Job", "args": []}
    live(stage.lifecycle, item)
    assert len(item["clues_metadata"]["_event_hash"]) == 32
    assert stage.config.faults.counts == {}


# --- StreamPublisher ---


def test_text_and_binary_streams(tmp_path: Path) -> None:
    """The same bytes in each."""
    event = an_event(1, "Jürgen \u2028")
    expected = event.line + b"\n"
    text, binary = io.StringIO(), io.BytesIO()
    StreamPublisher(text).publish(event)
    StreamPublisher(binary).publish(event)
    assert (text.getvalue().encode(), binary.getvalue()) == (expected, expected)
    for mode, options in (("w", {"encoding": "utf-8"}), ("wb", {}), ("wb", {"buffering": 0})):
        with (tmp_path / "f").open(mode, **options) as file:
            StreamPublisher(file).publish(event)
            assert (tmp_path / "f").read_bytes() == expected  # flushed at once
    with tempfile.NamedTemporaryFile() as file, Path(file.name).open("rb") as found:
        StreamPublisher(file).publish(event)
        assert found.read() == expected
    with gzip.open(tmp_path / "g", "wb") as zipped:
        StreamPublisher(zipped).publish(event)  # type: ignore[arg-type]
    with gzip.open(tmp_path / "g") as zipped:
        assert zipped.read() == expected


@pytest.mark.parametrize("kind", ["text", "binary", "log", "stdout"])
def test_a_terminal_is_not_steered(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arguments and names come from others; the event is the same still."""
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    with open(theirs, "w" if kind in {"text", "stdout"} else "wb", buffering=1 if kind == "text" else -1) as stream:  # noqa: PTH123 - a descriptor
        if kind == "stdout":
            monkeypatch.setattr(sys, "stdout", stream)
        publisher: LogPublisher | StandardOutPublisher | StreamPublisher = StreamPublisher(stream)
        if kind == "log":
            publisher = LogPublisher(os.ttyname(theirs))
        elif kind == "stdout":
            publisher = StandardOutPublisher()
        sent = an_event(1, "\x1b]0;owned\x07\x9b31m\u202etxt")
        publisher.publish(sent)
        said = os.read(ours, 65536)
        monkeypatch.undo()
    os.close(ours)
    assert not UNSAFE.search(said.decode())
    assert json.loads(said) == json.loads(sent.line)


def test_no_stream_is_an_error() -> None:
    """When it is made."""
    with pytest.raises(ConfigError, match="file object"):
        StreamPublisher("events.log")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="NoneType"):
        StreamPublisher(None)  # type: ignore[arg-type]


class Raw(io.RawIOBase):
    """Takes five bytes at most."""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int | None:
        return min(len(data), 5)


@pytest.mark.parametrize("stream", [Raw(), io.StringIO(), codecs.getwriter("ascii")(io.BytesIO())])
def test_what_a_stream_did_not_take_is_counted(stream: Any) -> None:
    """A short write, a closed stream, an encoding that can't: never an event lost without a word."""
    if isinstance(stream, io.StringIO):
        stream.close()
    stage = Stage(options={"publisher": StreamPublisher(stream)})
    live(stage.lifecycle, {"class": "Jöb", "args": []})
    assert stage.config.faults.counts == {"StreamPublisher": 4}


def test_a_buffered_file_and_children_that_leave_without_a_word(tmp_path: Path) -> None:
    """Nothing lost, nothing twice: resque-clues loses all that a forked child publishes."""
    path = tmp_path / "events.log"
    with path.open("w") as file:
        publisher = StreamPublisher(file)
        publisher.publish(an_event(0))
        assert [forked(partial(publisher.publish, an_event(number))) for number in range(1, 4)] == [0] * 3
        publisher.publish(an_event(4))
    assert numbers(path.read_bytes()) == [0, 1, 2, 3, 4]


def test_threads_write_whole_lines(tmp_path: Path) -> None:
    """Through one text file."""
    path = tmp_path / "events.log"
    with path.open("w") as file:
        publisher = StreamPublisher(file)

        def write(first: int) -> None:
            for number in range(500):
                publisher.publish(an_event(first + number, "x" * number))

        threads = [threading.Thread(target=write, args=(first,)) for first in range(0, 4000, 500)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(numbers(path.read_bytes())) == list(range(4000))


# --- StandardOutPublisher ---


class Pipe:
    """A pipe in standard output's place, with a reader that reads when it is told to."""

    def __init__(self, *, blocking: bool = True) -> None:
        self.reader, self.writer = os.pipe()
        fcntl.fcntl(self.writer, 1031, 8192)  # F_SETPIPE_SZ: two pages, quickly full
        os.set_blocking(self.reader, False)
        os.set_blocking(self.writer, blocking)
        self.stdout = os.fdopen(self.writer, "w", encoding="utf-8")
        self.data = b""

    def read(self) -> bytes:
        """What has come so far."""
        try:
            while found := os.read(self.reader, 1 << 16):
                self.data += found
        except BlockingIOError:
            pass
        return self.data

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.stdout.close()
        if self.reader >= 0:
            os.close(self.reader)


def standard_out(monkeypatch: pytest.MonkeyPatch, stream: Any) -> None:
    """Put a stream in standard output's place, for the publisher only: pytest has its own plans with sys.stdout."""
    monkeypatch.setattr("clues.publishers.stream.sys", SimpleNamespace(stdout=stream))


@pytest.fixture(params=["blocking", "O_NONBLOCK"])
def pipe(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipe]:
    pipe = Pipe(blocking=request.param == "blocking")
    standard_out(monkeypatch, pipe.stdout)
    yield pipe
    pipe.close()


def fill(publisher: StandardOutPublisher, text: str = "", limit: int = 1000) -> int:
    """Publish until the pipe takes no more; how many it took."""
    for number in range(limit):
        try:
            publisher.publish(an_event(number, text))
        except BlockingIOError:
            return number
    raise AssertionError("the pipe is never full")


class Waits:
    """Stands in for time: counts the patience that a poll was given, and doesn't wait."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        import select

        self.given: list[float] = []
        real = select.poll

        class Poll:
            def __init__(poll) -> None:
                poll.real = real()

            def register(poll, *args: int) -> None:
                poll.real.register(*args)

            def poll(poll, timeout: float) -> list[tuple[int, int]]:
                self.given.append(timeout)
                found: list[tuple[int, int]] = poll.real.poll(0)
                return found

        monkeypatch.setattr("select.poll", Poll)


@pytest.mark.parametrize("size", [0, 3000, 7000, 20_000])
def test_a_stalled_reader_costs_events_not_time(pipe: Pipe, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most one patience for the first event, none for those after it; then whole lines follow."""
    waits = Waits(monkeypatch)
    publisher = StandardOutPublisher()
    taken = fill(publisher, "x" * size)
    assert 0 < max(waits.given) <= PATIENCE * 1000
    waits.given.clear()
    for _ in range(5):
        with pytest.raises(BlockingIOError):
            publisher.publish(an_event(-1))
    assert set(waits.given) == {0}
    pipe.read()
    for number in range(taken, taken + 200):  # a line longer than the pipe goes out in parts, as the reader reads
        with contextlib.suppress(BlockingIOError):
            publisher.publish(an_event(number))
        pipe.read()
    found = numbers(pipe.data)
    assert found[:taken] == list(range(taken))
    assert found[-1] == taken + 199
    assert -1 not in found


def test_refused_events_are_counted_and_the_job_unharmed(pipe: Pipe) -> None:
    """By the seam, as any publisher's fault."""
    stage = Stage(options={"publisher": StandardOutPublisher()})
    ran: list[int] = []
    for _ in range(200):
        live(stage.lifecycle, {"class": "Job", "args": []}, lambda: ran.append(1))
    assert len(ran) == 200
    lines = len(pipe.read().splitlines())
    assert stage.config.faults.counts == {"StandardOutPublisher": 800 - lines}


def test_another_process_filling_the_pipe_after_the_poll_does_not_block_us(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers share their master's standard output, and each sees room until one has taken it."""
    try:
        while True:
            os.pwritev(pipe.writer, [b"x"], -1, os.RWF_NOWAIT)
    except BlockingIOError:
        pass
    except OSError:
        pytest.skip("this kernel can't write to a pipe without waiting")
    # What polls say after the other process has written: that there is room, which is no longer true.
    monkeypatch.setattr("clues.publishers.stream._ready", lambda fd, until: True)
    monkeypatch.setattr("clues.publishers.stream.PATIENCE", 0)
    with pytest.raises(BlockingIOError):
        StandardOutPublisher().publish(an_event(1))


def test_events_and_prints_keep_their_order_and_their_lines(pipe: Pipe) -> None:
    """What was printed before an event stands before it, though Python buffers prints to a pipe."""
    publisher = StandardOutPublisher()
    for number in range(10):
        print(f"print {number}", file=pipe.stdout)
        publisher.publish(an_event(number))
    lines = pipe.read().decode().splitlines()
    assert lines[::2] == [f"print {number}" for number in range(10)]
    assert [json.loads(line)["metadata"]["n"] for line in lines[1::2]] == list(range(10))


def test_what_a_job_printed_does_not_block_an_event_on_a_full_pipe(pipe: Pipe) -> None:
    """Python's buffer is flushed only when the pipe takes something."""
    publisher = StandardOutPublisher()
    fill(publisher)
    print("waits in the buffer", file=pipe.stdout)
    with pytest.raises(BlockingIOError):
        publisher.publish(an_event(1))
    before = pipe.read()
    publisher.publish(an_event(2))
    assert pipe.read()[len(before) :].split(b"\n")[0] == b"waits in the buffer"


def test_threads_do_not_tear_long_lines(pipe: Pipe) -> None:
    """Lines longer than a pipe takes at once go out in parts, one line after the other."""
    publisher = StandardOutPublisher()
    refused: list[int] = []

    def write(first: int) -> None:
        for number in range(first, first + 50):
            try:
                publisher.publish(an_event(number, "x" * 6000))
            except BlockingIOError:
                refused.append(number)

    threads = [threading.Thread(target=write, args=(first,)) for first in range(0, 200, 50)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        pipe.read()
        threads[0].join(0.001)
    for thread in threads:
        thread.join()

    def ended() -> bool:
        try:
            publisher.publish(an_event(999))
        except BlockingIOError:
            return False
        finally:
            pipe.read()
        return True

    wait_for(ended)
    found = numbers(pipe.data)
    assert sorted(found[:-1]) == sorted(set(range(200)) - set(refused))


def test_a_forked_child_does_not_write_the_rest_of_its_parents_line(pipe: Pipe) -> None:
    """Or it would be there twice."""
    publisher = StandardOutPublisher()
    publisher.publish(an_event(0, "x" * 9000))
    assert publisher._rest
    pipe.read()
    assert forked(lambda: publisher.publish(an_event(1))) == 0
    pipe.read()
    publisher.publish(an_event(2))
    lines = [event.line + b"\n" for event in (an_event(0, "x" * 9000), an_event(1), an_event(2))]
    assert pipe.read().endswith(lines[2])
    assert lines[1] in pipe.data
    assert len(pipe.data) == sum(map(len, lines))


def test_a_broken_pipe_is_counted(pipe: Pipe) -> None:
    """The reader has gone; the job goes on."""
    stage = Stage(options={"publisher": StandardOutPublisher()})
    os.close(pipe.reader)
    pipe.reader = -1
    ran: list[int] = []
    live(stage.lifecycle, {"class": "Job", "args": []}, lambda: ran.append(1))
    assert ran == [1]
    assert stage.config.faults.counts == {"StandardOutPublisher": 4}


JOBS = """
import sys
import clues
from clues.publishers import StandardOutPublisher
from tests.stories import live
from clues.lifecycle import Lifecycle
config = clues.configure(StandardOutPublisher(), environ={{}})
{first}
ran = 0
def job():
    global ran
    ran += 1
for _ in range(500):
    live(Lifecycle(), {{"class": "Job", "args": []}}, job)
print("jobs and faults:", ran, sum(config.faults.counts.values()), file=sys.stderr)
"""


def run(first: str = "", **options: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-W", "error", "-c", JOBS.format(first=first)]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, **options)


def test_piped_into_head() -> None:
    """``worker | head -1``: one line is read, all jobs run."""
    jobs = run(stdout=subprocess.PIPE)
    head = subprocess.Popen(["head", "-1"], stdin=jobs.stdout, stdout=subprocess.PIPE)
    assert jobs.stdout is not None
    jobs.stdout.close()
    line, _ = head.communicate(timeout=60)
    _, said = jobs.communicate(timeout=60)
    assert json.loads(line)["event_type"] == "enqueued"
    assert jobs.returncode == 0
    ran, refused = map(int, said.partition(b"jobs and faults:")[2].split()[:2])
    assert ran == 500
    assert refused > 0


@pytest.mark.parametrize(
    ("first", "refused"),
    [
        ("sys.stdout.close()", 2000),
        ("import os; os.close(1)", 2000),
        ("sys.stdout = None", 2000),
        ("import io; sys.stdout = io.StringIO()", 0),
        ("sys.stdout = open('/dev/full', 'w')", 2000),
    ],
)
def test_odd_standard_outputs(first: str, refused: int) -> None:
    """Closed, closed underneath, none at all, a stand-in, a full disk: all jobs run, all that is lost is counted."""
    jobs = run(first, stdout=subprocess.DEVNULL)
    _, said = jobs.communicate(timeout=60)
    counts = next(line for line in said.decode().splitlines() if line.startswith("jobs and faults:"))
    assert counts == f"jobs and faults: 500 {refused}"


def test_a_stand_in_gets_the_lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A test's capture, an application's object that only writes."""
    publisher = StandardOutPublisher.from_url(urlsplit("stdout://"))
    publisher.publish(an_event(1))
    assert numbers(capsys.readouterr().out.encode()) == [1]

    class OnlyWrites:
        text = ""

        def write(self, text: str) -> None:
            self.text += text

    stand_in: Any = OnlyWrites()
    standard_out(monkeypatch, stand_in)
    publisher.publish(an_event(2))
    assert numbers(stand_in.text.encode()) == [2]


@pytest.mark.parametrize("text", ["", "x" * 20_000])
def test_redirected_into_a_file_that_processes_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """``worker > events.log``: one write for each line, however long, from any child."""
    path = tmp_path / "out"
    with path.open("w") as file:
        standard_out(monkeypatch, file)
        publisher = StandardOutPublisher()

        def write(first: int) -> None:
            for number in range(first, first + 200):
                publisher.publish(an_event(number, text))

        pids = [fork(partial(write, first)) for first in range(0, 800, 200)]
        assert list(map(exit_code, pids)) == [0] * 4
    assert sorted(numbers(path.read_bytes())) == list(range(800))


def test_no_standard_output_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon may have none; what is lost to it is counted."""
    standard_out(monkeypatch, None)
    with pytest.raises(OSError, match="no standard output") as caught:
        StandardOutPublisher().publish(an_event(1))
    assert caught.value.errno == errno.EBADF
