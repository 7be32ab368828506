"""The time formats of Resque's keys, in several zones."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from clues.resque import times

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOW = 1795187979.75  # 2026-11-20 15:19:39 UTC


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Set the process's time zone for one test."""

    def to(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield to
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("name", ["UTC", "America/New_York", "Asia/Kolkata"])
def test_run_at_is_utc_wherever_we_are(zone: Callable[[str], None], name: str) -> None:
    """The zone does not show in run_at."""
    zone(name)
    assert times.run_at(NOW) == "2026-11-20T15:19:39Z"


@pytest.mark.parametrize(
    ("name", "failed_at", "started", "heartbeat"),
    [
        ("UTC", "2026/11/20 15:19:39 UTC", "2026-11-20 15:19:39 +0000", "2026-11-20T15:19:39+00:00"),
        ("America/New_York", "2026/11/20 10:19:39 EST", "2026-11-20 10:19:39 -0500", "2026-11-20T10:19:39-05:00"),
        ("Asia/Kolkata", "2026/11/20 20:49:39 IST", "2026-11-20 20:49:39 +0530", "2026-11-20T20:49:39+05:30"),
    ],
)
def test_local_times(zone: Callable[[str], None], name: str, failed_at: str, started: str, heartbeat: str) -> None:
    """Whole seconds, in the local zone, each spelled as Ruby does."""
    zone(name)
    assert times.failed_at(NOW) == times.retried_at(NOW) == failed_at
    assert times.started(NOW) == started
    assert times.heartbeat(NOW) == heartbeat
    assert times.parse_heartbeat(heartbeat) == int(NOW)


def test_the_offset_is_that_of_the_day(zone: Callable[[str], None]) -> None:
    """Summer time shows in summer only."""
    zone("America/New_York")
    assert times.heartbeat(NOW - 150 * 86400).endswith("-04:00")
    assert times.failed_at(NOW - 150 * 86400).endswith("EDT")


@pytest.mark.parametrize(
    "text",
    ["2026-11-20T10:19:39-05:00", "2026-11-20T15:19:39Z", " 2026-11-20 15:19:39 +0000\n", "2026-11-20T15:19:39+0000"],
)
def test_a_heartbeat_is_read_in_any_spelling(text: str) -> None:
    """Offsets in every common form are understood."""
    assert times.parse_heartbeat(text) == int(NOW)


def test_a_heartbeat_without_an_offset_is_local(zone: Callable[[str], None]) -> None:
    """As Ruby's Time.parse takes it."""
    zone("America/New_York")
    assert times.parse_heartbeat("2026-11-20T10:19:39") == int(NOW)


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01T00:00:00Z", "\x00"])
def test_what_is_no_time_is_none(text: str) -> None:
    """Rubbish in the heartbeats never raises."""
    assert times.parse_heartbeat(text) is None


@pytest.mark.parametrize("name", ["UTC", "America/New_York", "Asia/Kolkata", "America/Sao_Paulo", "Asia/Kathmandu"])
def test_what_we_write_of_a_failure_is_read_again(zone: Callable[[str], None], name: str) -> None:
    """In every zone, and in the hour that comes twice when summer ends in New York."""
    zone(name)
    for at in (int(NOW), 1793511000.0, 1793514600.0, NOW // 1 - 150 * 86400):
        assert times.parse_failed_at(times.failed_at(at)) == at


@pytest.mark.parametrize(
    "text",
    [
        "2026/11/20 10:19:39 EST",
        "2026/11/20 15:19:39 UTC",
        "2026/11/20 16:19:39 CET",
        "2026/11/20 12:19:39 -03",
        "2026/11/20 21:04:39 +0545",
        "2026/11/20 20:49:39",
        "2026/11/20 20:49:39 XYZ",
        "2026-11-20T15:19:39Z",
        "2026-11-20 20:49:39",
        " 2026/11/20 20:49:39 IST ",
    ],
)
def test_other_hosts_failures(zone: Callable[[str], None], text: str) -> None:
    """Other zones are known by their names or digits; without one it is ours."""
    zone("Asia/Kolkata")
    assert times.parse_failed_at(text) == int(NOW)


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "2026/13/01 00:00:00 UTC", "2026/11/20", "9999/99/99 99:99:99 +x", "0001/01/01 00:00:00 UTC"],
)
def test_no_failures_time(text: str) -> None:
    """What can't be read is None, or at least a number; it never raises."""
    assert isinstance(times.parse_failed_at(text), float | None)
