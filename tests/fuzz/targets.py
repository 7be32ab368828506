"""What reads foreign data, each as a function of bytes: it gives clues' own errors, or nothing is wrong.

Hypothesis calls them with what it makes in ``make test``, atheris with what it finds by coverage in ``make fuzz``.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import tempfile
import unicodedata
from collections.abc import Callable
from pathlib import Path
from unittest import mock

from clues import pickles
from clues.analysis import facts
from clues.analysis.reader import Reader, whole_lines
from clues.attempt import METADATA
from clues.cli.event_line import event_line
from clues.cli.output import clean, clean_json
from clues.config import Config, Settings
from clues.environment import Environment
from clues.errors import CluesError, ConfigError, DecodeError
from clues.event import Event
from clues.lifecycle import Lifecycle
from clues.metadata import Failure
from clues.plain import plain
from clues.plugs import publisher_from_url, split_url
from clues.publishers.filed import _unwrapped
from clues.publishers.lines import event_of
from clues.publishers.otlp_ids import parsed, spans_of
from clues.publishers.statsd_packets import Metric, part, spelled, tag
from clues.redaction import SECRET_WORDS, SecretNames
from clues.resque import times
from clues.resque.job import Job
from clues.resque.lease import Lease
from clues.resque.options import Options
from clues.resque.overview import _state
from clues.resque.recipe import client_by
from clues.resque.records import Roster
from clues.resque.stored_failure import StoredFailure
from clues.resque.wire import decode, encode, join, members
from clues.runtime import clues_metadata
from clues.sanitize import UNSAFE, Sanitizer, for_log, one_line
from clues.testing import RecordingPublisher
from clues.variables import WORKERS
from tests.fuzz import answers, files
from tests.fuzz.registry import TARGETS, Target, target, text_of

__all__ = ["TARGETS", "Target", "answers", "files"]

_SANITIZER = Sanitizer()


def _complaint(call: Callable[[], object], variable: str = "CLUES_X") -> str:
    try:
        call()
    except ConfigError as error:
        return str(error)
    return variable


def _is_harmless(url: str) -> bool:
    """Whether its publisher opens no file and looks no name up."""
    return url.partition(":")[0] in {"noop", "stdout"}


@target
def event_lines(data: bytes) -> None:
    """A line of a log: an event, or ValueError; both readers agree, and what it tells is shown safely."""
    try:
        event = Event.from_line(data)
    except ValueError:
        event = None
    try:
        quick = event_of(data)
    except ValueError:
        quick = None
    assert (event is None) == (quick is None)
    if event is None:
        return
    assert b"\n" not in event.line
    shown = event_line(event).plain
    assert not UNSAFE.search(shown)
    assert "\n" not in shown
    for fact in vars(facts).values():
        if getattr(fact, "__module__", "") == facts.__name__ and getattr(fact, "__annotations__", {}).get("event"):
            fact(event)
    told = clean_json(data.decode("utf-8", "surrogatepass"))
    assert not UNSAFE.search(told.strip())


@target
def logs(data: bytes) -> None:
    """A log, plain and gzipped: bad lines are counted."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "log")
        path.write_bytes(data)
        zipped = Path(folder, "log.gz")
        zipped.write_bytes(data if data.startswith(b"\x1f\x8b") else gzip.compress(data, 1))
        reader = Reader()
        for _ in reader.entries(path, zipped):
            pass
        assert all(len(bad.text) <= 480 for bad in reader.samples)
    for line in whole_lines(io.BytesIO(data)):
        _unwrapped(line)


@target
def items(data: bytes) -> None:
    """An item from a queue."""
    with contextlib.suppress(DecodeError):
        decode(data)
    with contextlib.suppress(DecodeError):
        found = members(data)
        assert members(join(found)) == found
    job = Job("q", data)
    with contextlib.suppress(CluesError):
        plain(job.item)
        json.dumps(_SANITIZER.args("Job", job.item.get("args"))[0], allow_nan=False)


@target
def metadata_slots(data: bytes) -> None:
    """What an adapter finds where a message's metadata should be: the job's whole story is told all the same."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        found = text_of(data)
    recorder = RecordingPublisher()
    config = Config(recorder, adopt_unstamped=True)
    lifecycle = Lifecycle(Settings(config), system="celery")
    for item in (
        {"class": "Job", "args": [], "job_id": "1", METADATA: found},
        {"class": found, "args": found, "job_id": found},
    ):
        recorder.events.clear()
        again = lifecycle.stamp("q", {**item}, preprocess=False)
        lifecycle.enqueued(again)
        attempt = lifecycle.dequeued("q", item)
        with contextlib.suppress(KeyError), lifecycle.performing(attempt, "q", item):
            clues_metadata["found"] = found
            raise KeyError
        lifecycle.failed(attempt, Failure("KeyError", str(found)[:100]))
        assert recorder.types == ["enqueued", "dequeued", "perform_started", "failed"]
        assert all(Event.from_line(event.line).line == event.line for event in recorder.events)
    assert config.faults.counts.keys() <= {"clues_metadata"}  # what is too deep is cut, and that is said


@target
def failures(data: bytes) -> None:
    """An entry of a list of failures."""
    found = StoredFailure.read(0, data)
    for name in ("id", "queue", "worker_class", "exception", "error", "failed_at", "retried", "event_hash"):
        getattr(found, name)
    json.dumps(found.entry)


@target
def workers(data: bytes) -> None:
    """A worker's id, its lease, and what it tells of itself."""
    name = data.decode("utf-8", "surrogateescape")
    Lease.read(data)
    standing = mock.Mock(token=None, lease=data, further=0, started=name, processed=0, failed=0)
    _state(name, standing, Roster(0.0, [name], {name: name}, {name: name}))


@target
def moments(data: bytes) -> None:
    """Times, as Resque spells them."""
    times.parse_failed_at(data.decode("latin-1"))
    times.parse_heartbeat(data.decode("utf-8", "replace"))


@target
def traces(data: bytes) -> None:
    """Trace context in an item, and beside it."""
    text = data.decode("latin-1")
    for metadata in ({"_traceparent": text, "_tracestate": text}, {"_traceparent": text, "_tracestate": 1}):
        spans_of(metadata, "link")
        parsed(metadata["_traceparent"], metadata["_tracestate"])


@target
def urls(data: bytes) -> None:
    """A publisher's URL and its options; no password in what is said of it."""
    text = text_of(data).replace("\0", "")
    assert "hunter2" not in _complaint(lambda: publisher_from_url(text) if _is_harmless(text) else split_url(text))


@target
def variables(data: bytes) -> None:
    """The environment: a value, or an error that names the variable."""
    given = Environment({"CLUES_X": data.decode("utf-8", "surrogateescape").replace("\0", "")})
    for read in (
        lambda: given.name("CLUES_X", None),
        lambda: given.flag("CLUES_X", None),
        lambda: given.secret_words("CLUES_X", None),
        lambda: given.cap("CLUES_X", None, 64),
    ):
        assert "CLUES_X" in _complaint(read)


@target
def pickled(data: bytes) -> None:
    """A pickle; anything may be wrong with it, and nothing happens."""
    with contextlib.suppress(Exception):
        plain(pickles.read(data)[0])


@target
def statsd(data: bytes) -> None:
    """Names in statsd's packets: one metric a line, whatever queues and classes are called."""
    text = text_of(data)
    for metric in (Metric(f"clues.{part(text)}", 1, "c"), Metric("clues.x", 1, "c", (tag("queue", text),))):
        (line,) = spelled(metric)
        assert line.count(b"\n") == 0
        assert line.count(b"|") == 1 + bool(metric.tags)
        name, _, rest = line.partition(b":")
        assert rest.startswith(b"1|c")
        assert not set(name) & set(b"|@#\n:")
        assert b"," not in rest
        assert rest.count(b"#") == bool(metric.tags)


@target
def shown(data: bytes) -> None:
    """Text that we show or log: on one line, and nothing that steers a terminal."""
    text = text_of(data)
    for made in (clean(text), one_line(text), for_log(text)):
        assert not UNSAFE.search(made)
        assert len(made.splitlines()) <= 1
        assert not any(unicodedata.category(mark) == "Cc" for mark in made)


@target
def redacted(data: bytes) -> None:
    """Text without its secrets: the same again, valid, and in a time that grows as it does."""
    names = SecretNames(SECRET_WORDS)
    once = names.redact(text_of(data))
    assert "hunter2hunter2" not in names.redact(f"{once} password=hunter2hunter2")


@target
def wire(data: bytes) -> None:
    """What Ruby can read, we write as it does."""
    with contextlib.suppress(DecodeError, CluesError):
        assert decode(encode(decode(data))) == decode(data)


@target
def worker_options(data: bytes) -> None:
    """Resque's and resque_starter's variables: a tree's options, or an error that names the variable."""
    text = data.decode("utf-8", "surrogateescape").replace("\0", "")
    for name in WORKERS:
        assert name in _complaint(lambda name=name: Options.from_environment({name: text}), name)  # type: ignore[misc]


@target
def recipes(data: bytes) -> None:
    """What a mould tells of its Redis: settings, or nothing; no function is called."""
    with contextlib.suppress(Exception):
        client_by(data)
