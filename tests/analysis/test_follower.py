"""A log is followed line by line, whatever is done to its file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from clues.analysis.follower import Follower, follow


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Where the log is."""
    return tmp_path / "events.log"


def polled(follower: Follower, times: int = 3) -> list[bytes]:
    """What several looks give: leaving a renamed file takes two."""
    return [line for _ in range(times) for line in follower.poll()]


def append(path: Path, text: bytes) -> None:
    """Write as another process would."""
    with path.open("ab") as stream:
        stream.write(text)


def test_new_lines_come_once(log: Path) -> None:
    log.write_bytes(b"1\n2\n")
    with Follower(log) as follower:
        assert polled(follower) == [b"1", b"2"]
        append(log, b"3\n")
        assert polled(follower) == [b"3"]
        assert polled(follower) == []


def test_a_half_written_line_is_waited_for(log: Path) -> None:
    log.write_bytes(b"1\n2")
    with Follower(log) as follower:
        assert polled(follower) == [b"1"]
        append(log, b"3")
        assert polled(follower) == []
        append(log, b"4\n5")
        assert polled(follower) == [b"234"]


def test_a_file_that_is_not_there_yet_is_waited_for(log: Path) -> None:
    with Follower(log) as follower:
        assert polled(follower) == []
        log.write_bytes(b"1\n")
        assert polled(follower) == [b"1"]


def test_a_renamed_file_is_read_to_its_end_first(log: Path) -> None:
    """A writer that had looked before the rename may still append to the old file."""
    log.write_bytes(b"1\n")
    with Follower(log) as follower:
        assert polled(follower) == [b"1"]
        append(log, b"2\n")
        log.rename(log.with_name("events.log.1"))
        assert polled(follower) == [b"2"]
        append(log.with_name("events.log.1"), b"3\n")
        log.write_bytes(b"4\n")
        assert list(follower.poll()) == [b"3"]
        append(log.with_name("events.log.1"), b"late\n")
        assert polled(follower) == [b"late", b"4"]


def test_two_rotations_between_two_looks_lose_nothing(log: Path) -> None:
    log.write_bytes(b"1\n")
    with Follower(log) as follower:
        assert polled(follower) == [b"1"]
        log.rename(log.with_name("events.log.2"))
        log.write_bytes(b"2\n")
        log.rename(log.with_name("events.log.1"))
        log.write_bytes(b"3\n")
        assert polled(follower, 6) == [b"2", b"3"]


def test_a_truncated_file_is_read_from_its_start(log: Path) -> None:
    """As logrotate's copytruncate does."""
    log.write_bytes(b"first\nhalf")
    with Follower(log) as follower:
        assert polled(follower) == [b"first"]
        log.write_bytes(b"2\n")
        assert polled(follower) == [b"2"]


def test_following_waits_between_looks(log: Path) -> None:
    log.write_bytes(b"1\n")
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        append(log, b"%d\n" % (len(waits) + 1))

    with Follower(log) as follower:
        found: Iterator[bytes] = follow(follower, interval=0.125, wait=wait)
        assert [next(found) for _ in range(3)] == [b"1", b"2", b"3"]
    assert waits == [0.125, 0.125]
