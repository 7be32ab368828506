"""A program that publishes at full speed, and notes each event whose `publish` has returned; tests kill it.

``python -m tests.chaos.publishing SPOOL URL NOTES START COUNT``
"""

from __future__ import annotations

import os
import sys
from urllib.parse import urlencode

from clues.errors import JournalFullError
from clues.event import Event, EventType
from clues.metadata import event_id
from clues.plugs import publisher_from_url
from clues.publishers.shipped import ShippedPublisher


def event(number: int) -> Event:
    """The event of this number: always the same."""
    event_hash = f"{number:032x}"
    metadata = {
        "_event_hash": event_hash,
        "_event_id": event_id(event_hash, 1, EventType.ENQUEUED),
        "_attempt": 1,
        "_hostname": "web-1",
        "_process": 1,
        "_enqueued_time": 1795000000.0,
        "customer_id": number % 1000,
    }
    return Event(EventType.ENQUEUED, "2026-11-20T20:59:58.123456Z", "q", metadata, "Job", [number, "x" * 100])


def main(spool: str, url: str, notes: str, start: int, count: int) -> None:
    """Publish; somebody else ships."""
    publisher = publisher_from_url(f"{url}{'&' if '?' in url else '?'}{urlencode({'spool': spool})}")
    assert isinstance(publisher, ShippedPublisher)
    publisher.outbox.accompany()
    fd = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in range(start, start + count):
        try:
            publisher.publish(event(number))
        except JournalFullError:
            continue
        os.write(fd, b"%d\n" % number)


if __name__ == "__main__":
    main(*sys.argv[1:4], *map(int, sys.argv[4:6]))  # type: ignore[arg-type]
