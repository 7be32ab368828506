"""One job's page: its timeline, what it enqueued, and what it was enqueued by."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from clues.analysis.reader import Reader
from clues.analysis.rotation import siblings
from clues.analysis.story import AttemptStory, Timeline
from clues.analysis.timeline import timeline
from clues.event import Event
from clues.web.finding import children
from clues.web.history import History

_MOST_NAMES = 2
_SHORTEST = 4


def told(history: History, name: str, *, everywhere: bool = False) -> dict[str, Any] | None:
    """A job by its hash, the beginning of one, or its own system's id; None where it is not known.

    Args:
        history: where to look.
        name: the job.
        everywhere: look through the files, rotated ones too, rather than among the newest events.

    Raises:
        AmbiguousHashError: several jobs' hashes begin so.
    """
    if everywhere:
        events: Iterable[Event] = _scanned(history.paths, name)
        event_hash = name
    else:
        known = _named(history, name)
        if not known:
            return None
        event_hash = known[0]
        events = [event for one in known for event in history.events_of(one)]
        if len(known) > 1:
            event_hash = name  # which says how they can be told apart
    story = timeline(events, event_hash)
    return {**_as_dict(story), "descendants": list(children(history.archive, story.event_hash))}


def _named(history: History, name: str) -> list[str]:
    if len(name) < _SHORTEST:
        return []
    low, high = name.lower(), name.lower() + "\U0010ffff"
    rows = history.archive.ask(
        "SELECT DISTINCT hash FROM jobs WHERE hash = ? OR job_id = ? "
        "UNION SELECT * FROM (SELECT DISTINCT hash FROM jobs WHERE hash >= ? AND hash < ? LIMIT ?)",
        (name, name, low, high, _MOST_NAMES),
    )
    found = [row["hash"] for row in rows]
    return [name] if name in found else found


def _scanned(paths: Iterable[Path], name: str) -> Iterable[Event]:
    files = [file for path in paths for file in ([path] if path.is_dir() else siblings(path) or [path])]
    segments = [segment for file in files for segment in (sorted(file.glob("*.jsonl")) if file.is_dir() else [file])]
    return Reader(about=name).read(*segments)


def _as_dict(story: Timeline) -> dict[str, Any]:
    """As ``clues trace --json``, but what the application wrote as JSON's text: a browser's numbers are not ours."""
    return {
        "hash": story.event_hash,
        "class": story.worker_class,
        "queue": story.queue,
        "system": story.system,
        "job_id": story.job_id,
        "parent": story.parent,
        "duplicates": story.duplicates,
        "args": as_json(list(story.args)),
        "attempts": [_attempt(attempt) for attempt in story.attempts],
    }


def _attempt(attempt: AttemptStory) -> dict[str, Any]:
    failure = attempt.failure
    return {
        "attempt": attempt.number,
        "state": "retrying" if attempt.retrying else attempt.outcome,
        "queue_time": attempt.time_in_queue,
        "run_time": attempt.time_to_perform,
        "fields": {key: as_json(value) for key, value in attempt.fields.items()},
        "added": sorted(attempt.added),
        "failure": failure
        and {
            "exception": failure.exception,
            "message": failure.message,
            "backtrace": list(failure.backtrace),
            "reason": failure.reason,
            "reporter": failure.reporter,
        },
        "steps": [
            {
                "type": step.event.event_type.value.removeprefix("perform_"),
                "at": step.event.timestamp,
                "moment": step.moment and step.moment.timestamp(),
                "gap": step.gap,
                "exact": step.exact,
                "host": str(step.event.metadata.get("_hostname") or ""),
                "process": str(step.event.metadata.get("_process") or ""),
                "metadata": as_json(dict(step.event.metadata)),
            }
            for step in attempt.steps
        ],
    }


def as_json(value: Any) -> str:
    """A value as JSON's text, to be shown as it is."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)
