"""The last events, then those that come."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from clues.analysis import backwards
from clues.analysis.reader import Reader
from clues.analysis.selection import Selection
from clues.analysis.tailed import TailedLogs
from clues.event import EventType
from tests.analysis.made import event, lines

Tail = Callable[..., TailedLogs]

EVENTS = [
    event("failed" if number % 3 == 0 else "enqueued", number, event_hash=f"{number:032x}") for number in range(30)
]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of thirty events."""
    path = tmp_path / "events.log"
    path.write_bytes(lines(*EVENTS))
    return path


@pytest.fixture
def tailed() -> Iterator[Tail]:
    """Tail files, and close them at the end."""
    with ExitStack() as opened:

        def tail(*paths: Path, wanted: Selection | None = None) -> TailedLogs:
            return opened.enter_context(TailedLogs(paths, Reader(), wanted or Selection()))

        yield tail


@pytest.mark.parametrize("block", [1, 7, 64, 100_000])
def test_lines_are_found_from_the_end_whatever_the_block(
    tmp_path: Path, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backwards, "_BLOCK", block)
    path = tmp_path / "lines"
    path.write_bytes(b"one\n\ntwo\nthree\nhalf")
    with path.open("rb") as stream:
        assert backwards.end_of_whole_lines(stream) == 15
        assert list(backwards.lines_backwards(stream, 15)) == [b"three", b"two", b"one"]


def test_the_last_events_come_in_order(log: Path, tailed: Tail) -> None:
    assert [entry.event for entry in tailed(log).last(5, following=False)] == EVENTS[-5:]


def test_only_the_end_of_a_long_log_is_read(log: Path) -> None:
    reader = Reader()
    list(TailedLogs([log], reader, Selection()).last(3, following=False))
    assert reader.events == 3


def test_the_last_of_the_wanted_are_found(log: Path, tailed: Tail) -> None:
    logs = tailed(log, wanted=Selection(types={EventType.FAILED}))
    assert [entry.event for entry in logs.last(4, following=False)] == EVENTS[::3][-4:]


def test_nothing_is_left_out_or_doubled_between_last_and_new(log: Path, tailed: Tail) -> None:
    more = [event("finished", 100 + number, event_hash="f" * 32, attempt=number + 1) for number in range(2)]
    with log.open("ab") as stream:
        stream.write(more[0].line[:50])
    logs = tailed(log)
    assert [entry.event for entry in logs.last(1, following=True)] == EVENTS[-1:]
    assert not list(logs.new())
    with log.open("ab") as stream:
        stream.write(more[0].line[50:] + b"\n" + more[1].line + b"\n")
    assert [entry.event for entry in logs.new()] == more


def test_a_gzipped_log_has_last_events_too(log: Path, tailed: Tail) -> None:
    zipped = log.with_name("events.log.1.gz")
    zipped.write_bytes(gzip.compress(log.read_bytes()))
    assert [entry.event for entry in tailed(zipped).last(2, following=False)] == EVENTS[-2:]


def test_several_logs_are_merged_by_time(tmp_path: Path, tailed: Tail) -> None:
    paths = [tmp_path / "a", tmp_path / "b"]
    for path, part in zip(paths, (EVENTS[::2], EVENTS[1::2]), strict=True):
        path.write_bytes(lines(*part))
    assert [entry.event for entry in tailed(*paths).last(6, following=False)] == EVENTS[-6:]
    assert [entry.event for entry in tailed(*paths).last(None, following=False)] == EVENTS
    logs = tailed(*paths)
    assert [entry.event for entry in logs.last(2, following=True)] == EVENTS[-2:]
    more = [event("finished", 100 + number, event_hash="f" * 32) for number in range(4)]
    for path, part in zip(paths, (more[1::2], more[::2]), strict=True):
        with path.open("ab") as stream:
            stream.write(lines(*part))
    assert [entry.event for entry in logs.new()] == more


def test_all_events_are_streamed(log: Path, tailed: Tail) -> None:
    assert [entry.event for entry in tailed(log).last(None, following=False)] == EVENTS
    logs = tailed(log)
    assert [entry.event for entry in logs.last(None, following=True)] == EVENTS
    assert not list(logs.new())


def test_no_events_are_asked_for(log: Path, tailed: Tail) -> None:
    logs = tailed(log)
    assert not list(logs.last(0, following=True))
    assert not list(logs.new())


def test_a_line_is_given_as_it_stands(tmp_path: Path, tailed: Tail) -> None:
    path = tmp_path / "events.log"
    line = EVENTS[0].line.replace(b'":', b'": ')
    path.write_bytes(line + b"\n")
    assert [entry.line for entry in tailed(path).last(1, following=False)] == [line]
