"""What an event tells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from clues.analysis.facts import moment_of, users_fields
from clues.event import Event
from tests.analysis.made import event, ruby_event


def test_rubys_twins_are_not_the_users_fields(golden: Callable[[str], dict[str, Any]]) -> None:
    lines = [entry["line"] for entry in golden("events-success")["events"][1:]]
    assert len(lines) == 4
    for line in lines:
        assert users_fields(Event.from_line(line).metadata) == {"customer_id": 42}


def test_our_users_may_name_a_field_like_rubys_twins() -> None:
    assert users_fields(event("failed", message="hello", _message="boom").metadata) == {"message": "hello"}


def test_moments_are_utc_with_and_without_fractions() -> None:
    precise, whole = moment_of(event("enqueued", 0.25)), moment_of(ruby_event("enqueued", "35"))
    assert precise is not None
    assert whole is not None
    assert precise.isoformat() == "2020-09-13T12:26:40.250000+00:00"
    assert whole.isoformat() == "2026-11-20T15:14:35+00:00"
