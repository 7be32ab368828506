"""The page of events: their types, their fields, each system key, and where back ends have them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from clues.event import TERMINAL, Event, EventType
from clues.system_keys import KEYS
from docs.reference_source.docstrings import described
from docs.reference_source.markdown import code, table, whole
from docs.reference_source.told import places_of, places_of_key

_INTRO = """
One JSON object a line, keys in this order; resque-clues writes the same:

```json
{"event_type":"dequeued","timestamp":"2026-11-20T20:59:58.123456Z","queue":"mailers","metadata":{"_event_hash":"0695f49c5e70fc18da91961113e1769a","_event_id":"0695f49c5e70fc18da91961113e1769a:1:dequeued","_attempt":1,"_hostname":"web-1","_process":30731,"_enqueued_time":1795208398.02,"_time_in_queue":0.1034},"worker_class":"Welcome","args":[42]}
```

The columns *Elasticsearch* and *OTLP* say where these back ends have it: fields of a document, attributes and fields of
a log record. They were found by making both, with a value and without it.
"""
_OF_SYSTEM = re.compile(r"messaging\.\w+\.job_class")
_TYPES = {
    EventType.ENQUEUED: "the job is in its queue",
    EventType.DEQUEUED: "a worker has taken it",
    EventType.PERFORM_STARTED: "its code is about to run",
    EventType.PERFORM_FINISHED: "its code has ended well",
    EventType.FAILED: "it has failed, or whoever ran it has died; with `_retrying` another attempt follows by itself",
    EventType.DESTROYED: "it was removed from its queue, and never performed",
}
_OTHER = {
    "event_type": EventType.DEQUEUED,
    "timestamp": "2026-11-21T20:59:58.123456Z",
    "queue": "mailers",
    "worker_class": "Welcome",
    "args": ["another"],
}
_YOURS = """
Keys without `_` before them are yours: from item preprocessors, from `clues_metadata`. Elasticsearch has them in
`clues.metadata` (with the publisher's `chart` also as `clues.metrics.<name>` and `labels.<name>`), OTLP as
`clues.metadata.<name>`.

An item from Ruby may carry keys twice, with `_` and without; the one with `_` counts, the other is passed on untouched.
"""


def page() -> str:
    """The page."""
    return whole("Events", "clues/event.py and clues/system_keys.py", *_blocks())


def _blocks() -> Iterator[str]:
    yield _INTRO
    yield "## Types"
    yield table(("`event_type`", "when", "ends an attempt"), _types())
    yield "## Fields"
    yield table(("field", "what it says", "Elasticsearch", "OTLP"), _fields())
    yield "## Keys of metadata"
    yield table(("key", "type, unit", "on", "what it says", "Elasticsearch", "OTLP"), _keys())
    yield _YOURS


def _types() -> Iterator[tuple[str, str, str]]:
    for kind in EventType:
        yield code(kind), _TYPES[kind], "yes" if kind in TERMINAL else ""


def _fields() -> Iterator[tuple[str, str, str, str]]:
    for name, text in described(Event, "Attributes").items():
        if name == "metadata":
            yield code(name), text, "see below", "see below"
        elif name in _OTHER:
            document, record = places_of(name, _OTHER[name])
            yield code(name), text, _listed(document), _listed(record)


def _keys() -> Iterator[tuple[str, str, str, str, str, str]]:
    for name, key in KEYS.items():
        document, record = places_of_key(name)
        yield code(name), key.type, key.on, key.about, _listed(document), _listed(record)


def _listed(names: list[str]) -> str:
    shown = dict.fromkeys(_OF_SYSTEM.sub("messaging.<system>.job_class", name) for name in names)
    return ", ".join(code(name) if " " not in name else f"`{name.split()[0]}` of the resource" for name in shown)
