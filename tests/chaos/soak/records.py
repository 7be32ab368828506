"""What a soak has left behind: marks of jobs, notes of producers, faults that clues counted, event logs."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clues.lines import opened, salvaged
from tests.chaos.soak.suite import Suite


@dataclass
class Told:
    """What the event log tells under one id.

    Attributes:
        lines: how often it stands there.
        kinds: the event types, of which there is to be one.
        process: who published it.
        redelivered: whether it says that the broker delivered the job again.
    """

    lines: int = 0
    kinds: set[str] = field(default_factory=set)
    process: int = 0
    redelivered: bool = False
    reason: str = ""


@dataclass
class Job:
    """What is known of one job.

    Attributes:
        kind: its class.
        pushed: whether enqueueing said so.
        refused: the error that enqueueing raised: it may have been pushed or not.
        removed: whether the producer took it out of its queue again.
        begun: how often its code began; `ended` how often it came to its end.
        hashes: its event hashes, of which there is to be one.
    """

    kind: str = ""
    pushed: bool = False
    refused: str = ""
    removed: bool = False
    begun: int = 0
    ended: int = 0
    hashes: set[str] = field(default_factory=set)


@dataclass
class Records:
    """All of it.

    Attributes:
        jobs: by number.
        log: by event id.
        torn: lines of the log that are no events, for a kill or the disk's end has cut them off.
        faults: what clues counted, by culprit and error.
        failed: entries of Redis' list of failures, by number and attempt.
    """

    jobs: dict[int, Job] = field(default_factory=lambda: defaultdict(Job))
    log: dict[str, Told] = field(default_factory=lambda: defaultdict(Told))
    torn: int = 0
    faults: Counter[tuple[str, str]] = field(default_factory=Counter)
    failed: Counter[tuple[int, int]] = field(default_factory=Counter)


def read(suite: Suite) -> Records:
    """Read everything."""
    found = Records()
    for system in ("resque", "celery"):
        _read_notes(found, suite.folder / f"notes.{system}")
    for line in lines(suite.folder / "marks"):
        what, rest = line.decode().split(" ", 1)
        if what == "fault":
            fault = json.loads(rest)
            found.faults[fault["culprit"], fault["error"].partition(":")[0]] += fault["count"]
        else:
            told, event_hash, _ = rest.split()
            job = found.jobs[int(told)]
            job.begun += what == "begun"
            job.ended += what == "ended"
            job.hashes |= {event_hash} - {"-", "None"}
    for number, event_hash in suite.hashes():
        found.jobs[number].hashes.add(event_hash)
    for path in [*sorted((suite.folder / "old").iterdir()), *sorted(suite.events.parent.glob("events.log*"))]:
        for line in lines(path):
            _read_event(found, line)
    for _, entry in suite.client().failed.each():
        payload = entry["payload"]
        found.failed[payload["args"][0], payload.get("clues_metadata", {}).get("_attempt", 1)] += 1
    return found


def _read_notes(found: Records, path: Path) -> None:
    for line in lines(path):
        what, number, *rest = line.decode().split()
        job = found.jobs[int(number)]
        if what == "asked":
            job.kind = rest[0]
        elif what == "pushed":
            job.pushed = True
            if path.name == "notes.resque":
                job.hashes.add(rest[0])
        elif what == "removed":
            job.removed = rest[0] == "1"
        elif what == "refused":
            job.refused = rest[0]


def _read_event(found: Records, line: bytes) -> None:
    event = _event(line)
    if event is None:
        found.torn += bool(line.strip())
        event = _event(salvaged(line))
    if event is None:
        return
    metadata = event["metadata"]
    told = found.log[metadata["_event_id"]]
    told.lines += 1
    told.kinds.add(event["event_type"])
    told.process = metadata.get("_process", 0)
    told.redelivered |= bool(metadata.get("_redelivered"))
    told.reason = metadata.get("_reason", "")
    found.jobs[event["args"][0]].hashes.add(metadata["_event_hash"])


def _event(line: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
        event["metadata"]["_event_id"], event["args"][0]
    except (ValueError, KeyError, TypeError, IndexError):
        return None
    return dict(event)


def lines(path: Path) -> Iterator[bytes]:
    """The lines of a file that may not be there; the last one may be cut off."""
    if path.exists():
        with opened(path) as file:
            for line in file:
                yield line.rstrip(b"\n")
