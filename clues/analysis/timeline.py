"""Tells one job's story from its events: in order, whatever order they come in, each once. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime

from clues.analysis.facts import (
    attempt_of,
    has_ended,
    hash_of,
    id_of,
    is_exact,
    is_redelivered,
    job_id_of,
    moment_of,
    parent_of,
    system_of,
)
from clues.analysis.story import AttemptStory, Child, Step, Timeline, first_known
from clues.errors import AmbiguousHashError, UnknownHashError
from clues.event import Event, EventType

SHORTEST_PREFIX = 6
"""Digits of a hash that are enough to name a job by, if no other job's begins so."""

_ORDER = {kind: place for place, kind in enumerate(EventType)}
_LAST = _ORDER[EventType.PERFORM_FINISHED]
_FAR = datetime.max.replace(tzinfo=UTC)


def timeline(events: Iterable[Event], prefix: str) -> Timeline:
    """Tell one job's life.

    Args:
        events: any events, in the order they were written; those of other jobs are passed over.
        prefix: how the job's hash begins, or its own system's id: all of it, or as much as no other job's begins with.

    Raises:
        UnknownHashError: no job's begins so.
        AmbiguousHashError: several do.
    """
    own: dict[str, list[Event]] = {}
    exactly: set[str] = set()
    enqueued_by: dict[str, dict[str, list[Event]]] = {}
    for event in events:
        found, parent = hash_of(event), parent_of(event)
        names = [name for name in (found, job_id_of(event)) if name is not None]
        if found is not None and any(name.startswith(prefix) for name in names):
            own.setdefault(found, []).append(event)
            if prefix in names:
                exactly.add(found)
        if found is not None and parent is not None and parent.startswith(prefix):
            enqueued_by.setdefault(parent, {}).setdefault(found, []).append(event)
    event_hash = _the_one(prefix, exactly or own.keys())
    return _tell(event_hash, own[event_hash], enqueued_by.get(event_hash, {}))


def _the_one(prefix: str, found: Collection[str]) -> str:
    if not found:
        raise UnknownHashError(prefix)
    if len(found) > 1:
        raise AmbiguousHashError(prefix, sorted(found))
    return next(iter(found))


def _tell(event_hash: str, events: list[Event], children: Mapping[str, list[Event]]) -> Timeline:
    distinct = list(_distinct(events))
    first = distinct[0]
    return Timeline(
        event_hash=event_hash,
        worker_class=first.worker_class,
        queue=first.queue,
        args=first.args,
        system=first_known(system_of(event) for event in distinct),
        job_id=first_known(job_id_of(event) for event in distinct),
        parent=first_known(parent_of(event) for event in distinct),
        attempts=tuple(_attempts(distinct)),
        children=tuple(_child(found, theirs) for found, theirs in children.items()),
        duplicates=len(events) - len(distinct),
    )


def _child(event_hash: str, events: list[Event]) -> Child:
    *_, last = _attempts(list(_distinct(events)))
    return Child(event_hash, events[0].worker_class, "retrying" if last.retrying else last.outcome)


def _distinct(events: Iterable[Event]) -> Iterator[Event]:
    seen: set[object] = set()
    for event in events:
        # What was delivered again happened again, under the same id.
        identity = (None if is_redelivered(event) else id_of(event)) or event.line
        if identity not in seen:
            seen.add(identity)
            yield event


def _attempts(events: list[Event]) -> Iterator[AttemptStory]:
    by_number: dict[int, list[Event]] = {}
    number = 1
    for event in sorted(events, key=lambda event: moment_of(event) or _FAR):
        told = attempt_of(event)
        # Ruby numbers no attempts: what follows an end is another one.
        if told is None and any(has_ended(before) for before in by_number.get(number, ())):
            number += 1
        number = told or number
        by_number.setdefault(number, []).append(event)
    for number, theirs in sorted(by_number.items()):
        yield AttemptStory(number, tuple(_steps(theirs)))


def _steps(events: list[Event]) -> Iterator[Step]:
    # By what comes after what, not by the clock: hosts disagree, and Ruby's timestamps are whole seconds.
    before: Event | None = None
    for event in sorted(events, key=_place):
        yield Step(event, moment_of(event), *_gap(before, event))
        before = event


def _place(event: Event) -> int:
    """Where it is in its attempt; what was delivered again comes after all that was before, as its clock says."""
    return _LAST + 1 if is_redelivered(event) else min(_ORDER[event.event_type], _LAST)


def _gap(before: Event | None, event: Event) -> tuple[float | None, bool]:
    start, end = moment_of(before) if before is not None else None, moment_of(event)
    if before is None or start is None or end is None:
        return None, False
    return (end - start).total_seconds(), is_exact(before) and is_exact(event)
