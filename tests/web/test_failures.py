"""Failures on the page: many of them, hostile ones, moving ones; retried and removed."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from clues.lifecycle import Lifecycle
from clues.resque.client import Resque
from clues.resque.stored_failure import FailureFilter
from clues.web.failures import PAGE, Failures, Sought
from clues.web.operations import Operations
from tests.waiting import wait_for
from tests.web.worlds import HOSTILE, Redis, fail, failure


@pytest.fixture
def failures(redis_url: str) -> Failures:
    return Failures(Resque(redis_url, lifecycle=Lifecycle()))


def all_of(failures: Failures, sought: Sought) -> list[dict[str, Any]]:
    """Page after page, as the page asks for them."""
    rows: list[dict[str, Any]] = []
    before = None
    while True:
        page = failures.page("failed", sought, before)
        rows.extend(page["failures"])
        before = page["next"]
        if before is None:
            return rows


def test_pages_newest_first(redis: Redis, failures: Failures) -> None:
    fail(redis, map(failure, range(120)))
    first = failures.page("failed", Sought())
    assert (first["count"], len(first["failures"]), first["next"]) == (120, PAGE, 70)
    assert [row["index"] for row in all_of(failures, Sought())] == list(reversed(range(120)))


def test_nothing(redis: Redis, failures: Failures) -> None:
    assert failures.page("failed", Sought()) == {
        "list": "failed", "count": 0, "failures": [], "next": None, "looked_at": 0,
    }  # fmt: skip
    assert failures.groups("failed")["groups"] == []
    with pytest.raises(LookupError):
        failures.page("nothing", Sought())


def test_what_is_looked_for(redis: Redis, failures: Failures) -> None:
    fail(redis, [
        failure(0),
        failure(1, exception="KeyError", error="'größe'"),
        failure(2, queue="other", payload={"class": "ChargeCard", "args": [{"order": 4711}]}),
        failure(3, retried_at="2026/11/20 10:00:00"),
        b"no JSON, but 4711",
    ])  # fmt: skip

    def found(**given: Any) -> list[int]:
        text = given.pop("text", "")
        return [row["index"] for row in all_of(failures, Sought(FailureFilter(**given), text))]

    assert found() == [4, 3, 2, 1, 0]
    assert found(exceptions=["KeyError"]) == [1]
    assert found(classes=["ChargeCard"]) == found(queues=["other"]) == [2]
    assert found(retried=True) == [3]
    assert found(text="4711") == [4, 2]
    assert found(text="ORDER 3") == [3]
    assert found(text="größe") == [1]  # which stands there as \u00f6 and \u00df
    assert found(text="nowhere") == []


def test_a_hundred_thousand(redis: Redis, failures: Failures) -> None:
    """A page reads what it shows; a search goes on where it was, and never looks for long."""
    kinds = [("PdfGeneration", "TimeoutError")] * 9 + [("ChargeCard", "CardDeclined")]
    entries = [
        failure(number, payload={"class": name, "args": [number]}, exception=exception)
        for number, (name, exception) in enumerate(kinds * 10)
    ]
    fail(redis, entries * 1000)
    asked: list[int] = []
    read = failures._client.store.failures

    def counting(key: str, start: int, count: int) -> list[bytes]:
        found = read(key, start, count)
        asked.append(len(found))
        return found

    failures._client.store.failures = counting  # type: ignore[method-assign]
    for before in (None, 50_000, 10):
        failures.page("failed", Sought(), before)
    assert sum(asked) <= 3 * PAGE
    asked.clear()
    rare = failures.page("failed", Sought(FailureFilter(classes=["ChargeCard"])))
    assert len(rare["failures"]) == PAGE
    assert sum(asked) < 1000
    groups = failures.groups("failed")
    assert [(row["class"], row["count"]) for row in groups["groups"]] == [
        ("PdfGeneration", 90_000),
        ("ChargeCard", 10_000),
    ]
    asked.clear()
    fail(redis, [failure(1, exception="New")])
    assert failures.groups("failed")["groups"][-1]["exception"] == "New"
    assert sum(asked) < 10  # what was counted is not counted again


def test_groups_after_removal_are_counted_anew(redis: Redis, failures: Failures) -> None:
    fail(redis, [failure(number, exception=f"E{number % 2}") for number in range(10)])
    failures.groups("failed")
    redis.lpop("resque:failed")
    assert [row["count"] for row in failures.groups("failed")["groups"]] == [5, 4]


def test_one_that_moved_is_found_again(redis: Redis, failures: Failures) -> None:
    fail(redis, map(failure, range(10)))
    row = failures.page("failed", Sought())["failures"][0]
    redis.lpop("resque:failed", 3)
    found = failures.one("failed", row["index"], row["id"])
    assert found is not None
    assert (found["index"], found["error"]) == (6, "order 9 was too slow")
    assert failures.retry("failed", row["index"], row["id"])
    assert json.loads(redis.lindex("resque:queue:pdf", 0))["args"] == [9]
    assert failures.remove("failed", row["index"], row["id"])
    assert redis.llen("resque:failed") == 6
    assert failures.one("failed", row["index"], row["id"]) is None
    assert not failures.remove("failed", row["index"], row["id"])
    assert not failures.retry("failed", row["index"], row["id"])


def test_entries_that_are_odd(redis: Redis, failures: Failures) -> None:
    huge = ["x" * 100] * 10_000
    odd = [b"", b"\xff\xfe", b"[]", b"null", b'{"payload": 7, "failed_at": 9, "backtrace": "a\\nb", "queue": []}']
    fail(redis, [*odd, failure(1, backtrace=huge, error=HOSTILE, exception=HOSTILE, queue=HOSTILE)])
    rows = failures.page("failed", Sought())["failures"]
    assert len(rows) == 6
    assert len(rows[0]["error"]) <= 300
    for row in rows:
        found = failures.one("failed", row["index"], row["id"])
        assert found is not None
        json.dumps(found)
    assert failures.groups("failed")["count"] == 6


def test_all_of_a_kind_are_retried(redis: Redis, failures: Failures) -> None:
    """Those that were retried before are left out by the page; what names no job is told."""
    fail(redis, [failure(number, exception="A" if number % 2 else "B") for number in range(500)])
    fail(redis, [failure(1, queue=None, exception="A")])
    operations = Operations()
    sought = Sought(FailureFilter(exceptions=["A"], retried=False))
    begun = operations.begin("retry", failures.each_retried("failed", sought))
    wait_for(lambda: begun.done, "the end")
    assert begun.told()["counts"] == {"retried": 250, "refused": 1}
    assert redis.llen("resque:queue:pdf") == 250
    assert json.loads(redis.lindex("resque:queue:pdf", 0))["args"] == [1]  # the oldest first
    operations.begin("retry", failures.each_retried("failed", sought)).join()
    assert redis.llen("resque:queue:pdf") == 250


def test_all_of_a_kind_are_removed_while_others_come(redis: Redis, failures: Failures) -> None:
    fail(redis, [failure(number, exception="A" if number % 2 else "B") for number in range(1000)])
    removing = failures.each_removed("failed", Sought(FailureFilter(exceptions=["A"])))
    next(removing)
    fail(redis, [failure(1, exception="C")])
    redis.lpop("resque:failed")
    assert list(removing).count("removed") == 499
    left = [json.loads(raw)["exception"] for raw in redis.lrange("resque:failed", 0, -1)]
    assert (left.count("A"), left.count("B"), left.count("C")) == (0, 499, 1)


def test_long_work_can_be_stopped(redis: Redis, failures: Failures) -> None:
    def endless() -> Any:
        while True:
            time.sleep(0)
            yield "step"

    operations = Operations()
    begun = operations.begin("count", endless())
    wait_for(lambda: begun.told()["counts"].get("step", 0) > 10, "some steps")
    assert not begun.told()["done"]
    operations.close()
    assert (begun.told()["done"], begun.told()["stopped"]) == (True, True)


def test_work_that_fails_says_why() -> None:
    def broken() -> Any:
        yield "step"
        raise OSError("Redis went away")

    begun = Operations().begin("count", broken())
    begun.join()
    assert begun.told()["error"] == "OSError: Redis went away"
