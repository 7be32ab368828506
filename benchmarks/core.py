"""The core: importing it, a hook that nobody listens to, an event for each publisher, and what an event is made of."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from unittest import mock

from benchmarks.run import Run
from benchmarks.timing import Figure, each_call, each_run
from clues.config import Config, Settings
from clues.event import Event, EventType, Publisher, json_encoder
from clues.lifecycle import Lifecycle
from clues.publishers import CompositePublisher, LogPublisher, NoOpPublisher, StreamPublisher
from clues.sanitize import Sanitizer

ARGS = [42, "quarterly-report", {"format": "pdf", "pages": [1, 2, 3], "customer": "Jürgen"}]
METADATA = {"customer_id": 42, "tier": "gold", "host_hint": "eu-1"}


def measure(run: Run) -> list[Figure]:
    """All of it."""
    return [*importing(run), *unconfigured(run), *publishing(run), *making(run)]


def importing(run: Run) -> list[Figure]:
    """``import clues`` over a bare interpreter; both are whole processes."""
    cases = {
        "python -c pass": "pass",
        "python -c 'import clues'": "import clues",
        "python -c 'import json, logging'": "import json, logging",
    }
    return each_run({name: _program(code) for name, code in cases.items()}, rounds=run.rounds(31, 3))


def _program(code: str) -> Callable[[], object]:
    return lambda: subprocess.run([sys.executable, "-c", code], check=True)


def unconfigured(run: Run) -> list[Figure]:
    """A hook while clues is not configured, beside the test that any code would make."""
    settings = Settings()
    lifecycle = Lifecycle(settings)
    item = _item()

    def attribute_test() -> None:
        if settings.config is not None:
            raise AssertionError

    def hook() -> None:
        lifecycle.dequeued("mail", item)

    def nothing() -> None:
        pass

    cases = {
        "an empty function": nothing,
        "a function with one attribute test": attribute_test,
        "a hook, unconfigured": hook,
    }
    return each_call(cases, rounds=run.rounds(15, 3), calls=run.pick(200_000, 10_000))


def publishing(run: Run) -> list[Figure]:
    """One dequeued event in its caller, from the hook's call to its return."""
    with _publishers() as publishers:
        cases = {f"dequeued, to {name}": _dequeue(publisher) for name, publisher in publishers.items()}
        return each_call(cases, rounds=run.rounds(15, 3), calls=run.pick(5_000, 500))


@contextmanager
def _publishers() -> Iterator[dict[str, Publisher]]:
    with tempfile.TemporaryDirectory() as folder, Path("/dev/null").open("w") as null:
        log, beside = LogPublisher(Path(folder, "a.log")), LogPublisher(Path(folder, "b.log"))
        yield {
            "noop": NoOpPublisher(),
            "stream to /dev/null": StreamPublisher(null),
            "log": log,
            "composite of log and stream": CompositePublisher(beside, StreamPublisher(null)),
        }
        log.close()
        beside.close()


def _dequeue(publisher: Publisher) -> Callable[[], object]:
    lifecycle = Lifecycle(Settings(Config(publisher)))
    item = _item()
    lifecycle.stamp("mail", item)
    return lambda: lifecycle.dequeued("mail", item)


def making(run: Run) -> list[Figure]:
    """What an event is made of: sanitising its values, building it, encoding it by either encoder."""
    sanitizer = Sanitizer()
    metadata = {"_event_hash": "0" * 32, "_hostname": "web-1", "_process": 4711, **METADATA}
    stamp = "2026-11-20T20:59:58.123456Z"

    def sanitise() -> None:
        sanitizer.args("Report", ARGS)
        sanitizer.metadata(METADATA)

    def build() -> Event:
        return Event(EventType.DEQUEUED, stamp, "mail", metadata, "Report", ARGS)

    cases: dict[str, Callable[[], object]] = {"sanitise args and metadata": sanitise, "build the event": build}
    for name, encode in _encoders().items():
        cases[f"encode its line ({name})"] = _encoding(encode, metadata, stamp)
    return each_call(cases, rounds=run.rounds(15, 3), calls=run.pick(20_000, 1_000))


def _encoding(encode: Callable[[object], bytes], metadata: dict[str, object], stamp: str) -> Callable[[], object]:
    shape = {
        "event_type": "dequeued", "timestamp": stamp, "queue": "mail", "metadata": metadata, "worker_class": "Report",
        "args": ARGS,
    }  # fmt: skip
    return lambda: encode(shape)


def _encoders() -> dict[str, Callable[[object], bytes]]:
    found = {}
    with mock.patch.dict(sys.modules, {"orjson": None}):
        found["standard library"] = json_encoder.__wrapped__()
    with suppress(ImportError):
        import orjson  # noqa: F401, PLC0415 - measured where it is installed

        found["orjson"] = json_encoder.__wrapped__()
    return found


def _item() -> dict[str, object]:
    return {"class": "Report", "args": ARGS, "clues_metadata": dict(METADATA)}
