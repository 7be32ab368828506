"""Lines of event logs."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from clues.event import Event, EventType
from clues.lines import EVENT_START, count_lines, is_event, opened, salvaged

LINE = Event(EventType.FAILED, "2026-11-20T20:59:58.123456Z", "mail", {}, "Job", [1]).line
HOLDING = Event(EventType.FAILED, "2026-11-20T20:59:58.123456Z", "mail", {}, "Job", [{"event_type": "x"}]).line


def test_an_event() -> None:
    assert LINE.startswith(EVENT_START)
    assert is_event(LINE)
    assert not is_event(LINE[:-1])


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (LINE[:40] + LINE, LINE),
        (LINE[:40] + LINE[:50] + LINE, LINE),
        (b"\0" + LINE, LINE),
        (b" " + LINE, b""),  # an event as a whole
        (b"\0\0" + HOLDING, b""),  # what begins last is no event; the one before it is not looked for
        (LINE, b""),
        (HOLDING, b""),
        (LINE[:40] + LINE[:-1], b""),
        (b"nonsense", b""),
        (b"", b""),
    ],
)
def test_salvaged(line: bytes, found: bytes) -> None:
    """The last event of a line that is none itself."""
    assert salvaged(line) == found


def test_opened(tmp_path: Path) -> None:
    """Plain or gzipped, by the name."""
    (tmp_path / "a.log").write_bytes(LINE)
    (tmp_path / "a.log.gz").write_bytes(gzip.compress(LINE))
    for name in ("a.log", "a.log.gz"):
        with opened(tmp_path / name) as stream:
            assert stream.read() == LINE


def test_count_lines(tmp_path: Path) -> None:
    """Of files of any size; what has no end yet is no line, and what is not there has none."""
    path = tmp_path / "a.log"
    assert count_lines(path) == 0
    for lines, text in ((0, b""), (0, b"half"), (2, b"a\nb\nhalf"), (3_000_001, b"\n" * 3_000_001)):
        path.write_bytes(text)
        assert count_lines(path) == lines
    assert count_lines(tmp_path) == 0
