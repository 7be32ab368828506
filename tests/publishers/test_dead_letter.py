"""What a destination has refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clues.publishers import dead_letter
from clues.publishers.spool import Spool

AT = "2026-11-20T20:59:58.123456Z"


def letters(path: Path) -> list[object]:
    return [json.loads(line)["event"] for line in path.read_text().splitlines()] if path.exists() else []


def test_lines_with_their_reasons(tmp_path: Path) -> None:
    """Whatever they hold: they were refused, so they may be anything."""
    path = tmp_path / "one.jsonl"
    lines = [(b'{"a":1}', "bad date"), (b"\xff{", "no event"), (b"[" * 100_000, "too deep")]
    assert dead_letter.add_letters(path, "one", lines, AT) == (0, 0)
    first, *_ = map(json.loads, path.read_text().splitlines())
    assert first == {"destination": "one", "reason": "bad date", "at": AT, "event": {"a": 1}}
    assert letters(path) == [{"a": 1}, "\\xff{", "[" * 100_000]
    assert path.stat().st_mode & 0o777 == 0o640


def test_the_oldest_go(tmp_path: Path) -> None:
    """Whole files of them; how many they were is told."""
    path = tmp_path / "one.jsonl"
    told = [dead_letter.add_letters(path, "one", [(b"%d" % number, "no")] * 2, AT, most=200) for number in range(6)]
    assert letters(path) == [4, 4, 5, 5]
    assert letters(tmp_path / "one.1.jsonl") == [2, 2, 3, 3]
    assert len(list(tmp_path.iterdir())) == 2
    assert [count for count, _ in told] == [0, 0, 0, 0, 4, 0]
    assert sum(size for _, size in told) == (tmp_path / "one.1.jsonl").stat().st_size


def test_a_spool_counts_them_as_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letter.add_letters, "__defaults__", (1,))
    spool = Spool(tmp_path)
    spool.make()
    for number in range(5):
        spool.bury("one", [(b"%d" % number, "no")], AT)
    assert letters(spool.dead_letter("one")) == [4]
    assert spool.dropped()[0] == 3
