"""``clues tail``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clues.event import Event
from tests.analysis.made import HASH, a_life, event, lines
from tests.cli.running import clues, read_to_end, start, start_in_terminal

FAILED = event(
    "failed",
    2,
    event_hash="b" * 32,
    attempt=2,
    queue="payments",
    worker_class="ChargeCard",
    _exception="CardDeclined",
    _message="no\x1b[2J funds\nmore",
    _reason="killed:SIGKILL",
    _time_to_perform=0.25,
    note="[bold red]x[/]",
)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log with two jobs."""
    path = tmp_path / "events.log"
    path.write_bytes(lines(*a_life(customer_id=7), FAILED))
    return path


def test_an_event_is_a_line(log: Path) -> None:
    found = clues("tail", log)
    assert found.returncode == 0
    assert found.stdout.splitlines()[3:] == [
        (
            "2020-09-13 12:26:41.500Z  finished   PdfGeneration     pdf       0695f49c  waited 500ms  ran 998ms"
            "  pages=3 customer_id=7"
        ),
        (
            "2020-09-13 12:26:42.000Z  failed     ChargeCard        payments  bbbbbbbb  attempt 2  ran 250ms"
            '  CardDeclined: no\\x1b[2J funds (killed:SIGKILL)  note="[bold red]x[/]"'
        ),
    ]
    assert len(found.stdout.splitlines()) == 5
    assert "\x1b" not in found.stdout


def test_what_an_adapter_tells(log: Path) -> None:
    log.write_bytes(
        lines(
            event("enqueued", _scheduled_time=1_600_000_060.0),
            event("dequeued", _redelivered=True),
            event("failed", _retrying=True, _exception="Boom"),
        )
    )
    assert [line[26:] for line in clues("tail", log).stdout.splitlines()] == [
        "enqueued   PdfGeneration     pdf       0695f49c  due 2020-09-13 12:27:40.000Z",
        "dequeued   PdfGeneration     pdf       0695f49c  delivered again",
        "failed     PdfGeneration     pdf       0695f49c  will be retried  Boom",
    ]


def test_as_many_as_are_asked_for(log: Path) -> None:
    assert len(clues("tail", "-n", "2", log).stdout.splitlines()) == 2
    assert clues("tail", "-n", "0", log).stdout == ""
    log.write_bytes(lines(*a_life()) * 20)
    assert len(clues("tail", log).stdout.splitlines()) == 10
    assert len(clues("tail", "--all", log).stdout.splitlines()) == 80


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (["--type", "failed"], 1),
        (["--type", "finished", "--type", "perform_started"], 2),
        (["--queue", "pdf"], 4),
        (["--class", "ChargeCard"], 1),
        (["--hash", HASH[:6].upper()], 4),
        (["--queue", "pdf", "--type", "failed"], 0),
    ],
)
def test_events_are_chosen(log: Path, options: list[str], count: int) -> None:
    assert len(clues("tail", log, *options).stdout.splitlines()) == count


def test_an_unknown_type_is_told(log: Path) -> None:
    found = clues("tail", log, "--type", "fialed")
    assert found.returncode == 2
    assert "fialed" in found.stderr


def test_json_gives_the_lines_as_they_stand(log: Path) -> None:
    assert clues("tail", "--json", "--all", log).stdout == log.read_text()


def test_the_default_log_is_the_publishers(log: Path) -> None:
    """The path is read from the URL as LogPublisher reads it."""
    odd = log.rename(log.with_name("my events,1.log"))
    url = f"stdout://,log://{str(odd).replace(' ', '%20').replace(',', '%2C')}"
    assert len(clues("tail", environ={"CLUES_PUBLISHERS": url}).stdout.splitlines()) == 5


def test_without_a_log_it_says_what_to_do() -> None:
    found = clues("tail")
    assert found.returncode == 2
    assert found.stderr == (
        "clues: error: which event log? name a file, or set CLUES_PUBLISHERS=log:///path/to/events.log\n"
    )


def test_a_missing_log_is_told(tmp_path: Path) -> None:
    found = clues("tail", tmp_path / "no.log")
    assert found.returncode == 1
    assert found.stderr.startswith("clues: error: can't read the event log")
    assert len(found.stderr.splitlines()) == 1


def test_bad_lines_are_told_and_harmless(log: Path) -> None:
    log.write_bytes(b"\x1b]0;title\x07 nonsense\n" + log.read_bytes())
    found = clues("tail", "--all", log)
    assert found.returncode == 0
    assert len(found.stdout.splitlines()) == 5
    assert "\\x1b]0;title\\x07 nonsense" in found.stderr


def test_rubys_log_is_shown(golden: Callable[[str], dict[str, Any]], tmp_path: Path) -> None:
    path = tmp_path / "ruby.log"
    path.write_text("".join(f"{entry['line']}\n" for entry in golden("events-success")["events"]))
    found = clues("tail", path)
    assert [line.split()[2] for line in found.stdout.splitlines()] == ["enqueued", "dequeued", "started", "finished"]
    assert found.stdout.count("customer_id=42") == 4
    assert found.stderr == ""


def test_following_shows_what_comes_across_a_rotation(log: Path) -> None:
    with start("tail", "--follow", "--lines", "1", "--json", log) as process:
        assert process.stdout is not None

        def comes(expected: Event) -> None:
            assert process.stdout is not None
            assert process.stdout.readline() == expected.line + b"\n"

        comes(FAILED)
        more = [event("enqueued", number, event_hash=f"{number:032x}") for number in range(4)]
        _append(log, more[0].line[:30])
        _append(log, more[0].line[30:] + b"\n")
        comes(more[0])
        log.rename(log.with_name("events.log.1"))
        _append(log.with_name("events.log.1"), lines(more[1]))
        _append(log, lines(more[2]))
        comes(more[1])
        comes(more[2])
        log.write_bytes(lines(more[3])[:0])
        process.terminate()


def test_following_waits_for_a_log_that_is_not_there_yet(tmp_path: Path) -> None:
    log = tmp_path / "events.log"
    with start("tail", "-f", log) as process:
        assert process.stdout is not None
        assert b"waiting for" in process.stdout.readline()
        log.write_bytes(lines(FAILED))
        assert b"ChargeCard" in process.stdout.readline()
        process.terminate()


def test_a_terminal_gets_colour_and_no_escapes_from_data(log: Path) -> None:
    process, terminal = start_in_terminal(["tail", log])
    shown = read_to_end(terminal)
    assert process.wait() == 0
    assert "\x1b[" in shown
    assert "\x1b[2J" not in shown
    assert "[bold red]x[/]" in shown


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_gets_no_colour_if_it_wants_none(log: Path, environ: dict[str, str]) -> None:
    process, terminal = start_in_terminal(["tail", log], environ)
    shown = read_to_end(terminal)
    assert process.wait() == 0
    assert "\x1b" not in shown


def _append(path: Path, text: bytes) -> None:
    with path.open("ab") as stream:
        stream.write(text)
