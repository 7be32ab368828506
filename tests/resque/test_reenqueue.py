"""`resque.reenqueue`: the rest of a job's work, put back by the job itself."""

from __future__ import annotations

from typing import Any

import pytest

from clues import resque
from clues.errors import NoRunningJobError, UnknownJobError
from clues.lifecycle import Lifecycle
from clues.resque import Resque
from clues.resque.registry import Registry
from clues.testing import capture_events
from tests.resque.working import Running
from tests.waiting import wait_for


def add_customer(queue: str, item: dict[str, Any]) -> None:
    item["clues_metadata"].setdefault("customer_id", 42)


@pytest.fixture
def client(redis_url: str) -> Resque:
    """A client with one job, which does one of its numbers each time."""
    found = Resque(redis_url, registry=Registry())

    @found.registry.job(queue="own", name="Sum::Up")
    def sum_up(*numbers: int) -> None:
        if numbers[1:]:
            found.reenqueue(*numbers[1:])

    return found


def test_the_rest(client: Resque) -> None:
    """Goes to the queue that the job came from, under a hash of its own, with the job's as its parent's."""
    with capture_events(item_preprocessor=add_customer) as recorder, Running(client, "q"):
        client.enqueue_to("q", "Sum::Up", 1, 2, 3)
        wait_for(lambda: len(recorder.of("perform_finished")) == 3)
    enqueued = recorder.of("enqueued")
    assert [(event.queue, event.worker_class, event.args) for event in enqueued] == [
        ("q", "Sum::Up", [1, 2, 3]),
        ("q", "Sum::Up", [2, 3]),
        ("q", "Sum::Up", [3]),
    ]
    hashes = [event.metadata["_event_hash"] for event in enqueued]
    assert len(set(hashes)) == 3
    assert [event.metadata.get("_parent_event_hash") for event in enqueued] == [None, *hashes[:2]]
    assert {event.metadata["_attempt"] for event in enqueued} == {1}


def test_metadata_of_the_users_own(client: Resque) -> None:
    """Stays with the rest: what a preprocessor knew where the first job was enqueued it may not know in a worker."""
    at_the_web = [True]

    def only_there(queue: str, item: dict[str, Any]) -> None:
        if at_the_web:
            at_the_web.clear()
            item["clues_metadata"]["customer_id"] = 42

    with capture_events(item_preprocessor=only_there) as recorder, Running(client, "q"):
        client.enqueue_to("q", "Sum::Up", 1, 2)
        wait_for(lambda: len(recorder.of("perform_finished")) == 2)
    assert [event.metadata["customer_id"] for event in recorder.of("enqueued")] == [42, 42]


def test_unconfigured(client: Resque) -> None:
    """The same, without events, and without metadata."""
    with Running(client, "nothing"):
        client.enqueue_to("q", "Sum::Up", 1, 2)
    with Running(client, "q") as running:
        wait_for(lambda: running.worker.processed == 2)


def test_hooks_have_their_say(redis_url: str) -> None:
    """A veto is a veto."""
    client = Resque(redis_url, registry=Registry(), inline=True)
    answers = []

    @client.registry.job(queue="q")
    class Once:
        @classmethod
        def perform(cls, first: bool) -> None:
            answers.append(client.reenqueue(False))

        @classmethod
        def before_enqueue(cls, first: bool) -> bool:
            return first

    client.enqueue(Once, True)
    assert answers == [None]


def test_where_no_job_runs(client: Resque) -> None:
    """It says so, and what to do."""
    with pytest.raises(NoRunningJobError, match="no job runs here; use enqueue"):
        client.reenqueue(1)
    with pytest.raises(NoRunningJobError):
        resque.reenqueue()


def test_in_another_job_systems_job(client: Resque) -> None:
    """Its tasks are not put into Resque's queues."""
    with Lifecycle().performing(None, "celery", {"class": "tasks.add"}), pytest.raises(UnknownJobError):
        client.reenqueue(1)
    assert client.queues() == []
