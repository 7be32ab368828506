"""Event logs are read whatever stands in them."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clues.analysis.reader import Reader
from clues.errors import LogFileError
from tests.analysis.made import HASH, a_life, event, lines


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Where the log is."""
    return tmp_path / "events.log"


def test_plain_and_gzipped_files_give_the_same_events(log: Path) -> None:
    life = a_life(customer_id=7)
    log.write_bytes(lines(*life))
    zipped = log.with_name("events.log.1.gz")
    zipped.write_bytes(gzip.compress(lines(*life)))
    reader = Reader()
    assert list(reader.read(zipped, log)) == life + life
    assert reader.events == 8
    assert reader.bad == 0
    assert reader.sources == [str(zipped), str(log)]


def test_bad_lines_are_counted_kept_and_never_fatal(log: Path) -> None:
    whole = event("enqueued").line
    log.write_bytes(
        b"\n".join([b'{"event_type":"enq', b"\xff\x00\x1b[2J", b"[1]", b"null", b'{"a":1}', whole, b"{}", b"x"])
    )
    reader = Reader()
    assert len(list(reader.read(log))) == 1
    assert reader.bad == 7
    assert [(line.number, line.source) for line in reader.samples] == [(number, str(log)) for number in range(1, 6)]


def test_comments_and_blank_lines_are_no_bad_lines(log: Path) -> None:
    log.write_bytes(b"# Logfile created on 2026-11-20 15:14:35 +0000 by logger.rb/v1.5.0\n\n  \n" + lines(*a_life()))
    reader = Reader()
    assert len(list(reader.read(log))) == 4
    assert reader.bad == 0


def test_an_event_behind_a_torn_one_is_found(log: Path) -> None:
    """A disk ran full in mid-line, and another process appended to that line."""
    torn, whole = event("enqueued", args=[{"event_type": "x"}]).line[:-9], event("dequeued")
    log.write_bytes(torn + whole.line + b"\n")
    reader = Reader()
    assert list(reader.read(log)) == [whole]
    assert (reader.events, reader.bad) == (1, 1)


def test_a_last_line_without_newline_is_read_if_it_is_whole(log: Path) -> None:
    whole = event("enqueued")
    log.write_bytes(whole.line)
    assert list(Reader().read(log)) == [whole]
    log.write_bytes(whole.line[:-1])
    reader = Reader()
    assert not list(reader.read(log))
    assert reader.bad == 1


def test_a_damaged_gzip_file_gives_what_is_readable(tmp_path: Path) -> None:
    cut = tmp_path / "cut.gz"
    cut.write_bytes(gzip.compress(lines(*a_life()))[:-20])
    none = tmp_path / "none.gz"
    none.write_bytes(b"not gzipped\n")
    reader = Reader()
    list(reader.read(cut, none))
    assert reader.bad == 2


def test_a_line_without_end_is_not_held_in_memory(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("clues.analysis.reader.LONGEST_LINE", 1000)
    log.write_bytes(b"x" * 5000 + b"\n" + lines(*a_life()))
    reader = Reader()
    assert len(list(reader.read(log))) == 4
    assert reader.bad == 1


def test_a_missing_file_is_told_by_its_name(log: Path) -> None:
    with pytest.raises(LogFileError, match=r"events\.log: No such file"):
        list(Reader().read(log))
    with pytest.raises(LogFileError, match="folder"):
        list(Reader().read(log.parent))


def test_rubys_lines_are_read(golden: Callable[[str], dict[str, Any]], log: Path) -> None:
    """What resque-clues' LogPublisher wrote, headline and all."""
    found = golden("events-success")["events"]
    log.write_text("".join(f"{entry['line']}\n" for entry in found))
    reader = Reader()
    kinds = [event.event_type.value for event in reader.read(log)]
    assert kinds == ["enqueued", "dequeued", "perform_started", "perform_finished"]
    assert reader.bad == 0


def test_a_search_gives_only_what_holds_the_text_and_counts_the_rest(log: Path) -> None:
    other = "f" * 32
    child = event("enqueued", event_hash="e" * 32, _parent_event_hash=HASH)
    log.write_bytes(lines(event("enqueued", event_hash=other), *a_life(), child) + b"torn {\n" + b'{"event_type":"enq')
    reader = Reader(about=HASH[:8])
    assert list(reader.read(log)) == [*a_life(), child]
    assert (reader.events, reader.bad) == (6, 2)


def test_progress_adds_up_to_the_file(log: Path) -> None:
    log.write_bytes(lines(*a_life()) * 10_000)
    told: list[int] = []
    assert sum(1 for _ in Reader(progress=told.append).read(log)) == 40_000
    assert len(told) > 2
    assert sum(told) == log.stat().st_size
