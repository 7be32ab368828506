"""Which queues a worker polls, against the golden rows of Resque."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

from clues.errors import NoQueueError, QueueNameError
from clues.resque.queues import QueueList

GOLDEN = Path(__file__).parents[1] / "wire" / "golden" / "api-semantics.json"
KNOWN = ["Zed", "a", "b", "b1", "low_x", "low_y", "high", ".hid", "a/b"]


def _rows() -> list[dict[str, Any]]:
    """Pick the rows that make a worker from a list of queues."""
    rows = json.loads(GOLDEN.read_text())["rows"]
    return [row for row in rows if re.fullmatch(r"Worker\.new\(.*\)", row.get("call", ""))]


def test_the_golden_rows_are_there() -> None:
    """The section of queue patterns has not moved."""
    assert len(_rows()) == 21


@pytest.mark.parametrize("row", _rows(), ids=lambda row: row["call"])
def test_a_golden_row(row: dict[str, Any]) -> None:
    """The id and the queues polled are those of Resque."""
    given = ast.literal_eval(row["call"].removeprefix("Worker.new(").removesuffix(")") + ",")
    if "raises" in row:
        words = row["raises"].removeprefix("Resque::NoQueueError: ")
        with pytest.raises(NoQueueError, match=re.escape(words)):
            QueueList(given)
        return
    queues = QueueList(given)
    expected_id, polls = re.fullmatch(r'\{:id=>"host:1:(.*)", :polls=>(.*)\}', row["returns"]).groups()  # type: ignore[union-attr]
    assert queues.id_part == expected_id
    assert queues.expand(reversed(KNOWN)) == ast.literal_eval(polls)


def test_text_is_split_at_commas() -> None:
    """As Resque splits QUEUES: spaces around names go, a comma at the end too."""
    queues = QueueList("a, b,")
    assert queues.id_part == "a,b"
    assert queues.expand(KNOWN) == ["a", "b"]
    assert not queues.has_patterns


def test_what_is_left_out_is_a_pattern_too() -> None:
    """An entry with ! alone makes the others patterns."""
    queues = QueueList("missing,b,!x")
    assert queues.has_patterns
    assert queues.expand(KNOWN) == ["b"]
    assert repr(queues) == "QueueList(['missing', 'b', '!x'])"


def test_names_sort_by_their_bytes() -> None:
    """Not by the locale, and as UTF-8."""
    assert QueueList("*").expand({"é", "z", "Z", "\U0001f600", "\uffee"}) == ["Z", "z", "é", "\uffee", "\U0001f600"]


@pytest.mark.parametrize("text", ["", " ", [], "!a", ["!a", "!b"]])
def test_nothing_to_poll_is_an_error(text: str | list[str]) -> None:
    """Resque's own words, and what to do."""
    with pytest.raises(NoQueueError, match=r"Please give each worker at least one queue\. Name them in --queues"):
        QueueList(text)


@pytest.mark.parametrize("text", ["heartbeat", "a, heartbeat ", "a,,b", ["a", " "], "a,!"])
def test_names_that_no_key_can_hold_are_refused(text: str | list[str]) -> None:
    """The key worker:<host>:<pid>:heartbeat means something else, and an empty name is a mistake."""
    with pytest.raises(QueueNameError):
        QueueList(text)
