"""What must hold, as ratios of figures of one run: what at least, what is aimed at, and how each is computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks import table
from benchmarks.results import MissingFigureError, Results

UNBATCHED = ("clues, log, BATCH_SIZE=1", "clues, log, THREAD_COUNT=4", "clues, log, THREAD_COUNT=16")
BATCHED = ("clues, log, BATCH_SIZE=64", "clues, log, BATCH_SIZE=256")
"""Drains of clues that take batches and log every event; the faster one counts."""

_QUEUES = ("Huey", "Dramatiq", "taskiq")


@dataclass(frozen=True, slots=True)
class Promise:
    """Something that must hold.

    Attributes:
        what: for readers.
        unit: of the numbers; ``×`` for ratios.
        least: what must be reached.
        aim: what is aimed at.
        compute: its number, from figures.
        less: whether it is to be this or less, rather than this or more.
    """

    what: str
    unit: str
    least: float
    aim: float
    compute: Callable[[Results], float]
    less: bool = False

    def judge(self, value: float) -> str:
        """Say whether a number keeps it."""
        reached = [value <= bar if self.less else value >= bar for bar in (self.aim, self.least)]
        return "reached aim" if reached[0] else "holds" if reached[1] else "not reached"

    def spell(self, value: float) -> str:
        """A number of it, for readers."""
        return f"{table.number(value)} ×" if self.unit == "×" else table.spell(value, self.unit)


def judged(found: Results) -> Iterator[tuple[str, str, str, str, str]]:
    """Each promise: what, at least, aim, its number, and whether it holds."""
    for one in PROMISES:
        try:
            value = one.compute(found)
        except MissingFigureError as error:
            number, verdict = "–", str(error)
        else:
            number, verdict = one.spell(value), one.judge(value)
        yield one.what, one.spell(one.least), one.spell(one.aim), number, verdict


def printed(found: Results) -> str:
    """All of them, for a terminal."""
    quick = any(group.quick for group in found.groups.values())
    title = "must hold (by a quick look)" if quick else "must hold"
    lines = [(title, "at least", "aim", "measured", ""), *judged(found)]
    widths = [max(len(line[place]) for line in lines) for place in range(4)]
    return "\n".join(
        f"{line[0]:<{widths[0]}}  {line[1]:>{widths[1]}}  {line[2]:>{widths[2]}}  {line[3]:>{widths[3]}}  {line[4]}"
        for line in lines
    )


def markdown(found: Results) -> str:
    """All of them, for a page."""
    return table.markdown(("what", "at least", "aim", "measured", "verdict"), judged(found))


def _of(found: Results, group: str, *names: str) -> list[float]:
    """The medians of those figures of a group that were measured; at least one.

    Raises:
        MissingFigureError: none was.
    """
    values, error = [], MissingFigureError(f"not measured: {group}")
    for name in names:
        try:
            values.append(found.figure(group, name).median)
        except MissingFigureError as missing:
            error = missing
    if not values:
        raise error
    return values


def _one(found: Results, group: str, name: str) -> float:
    return found.figure(group, name).median


def _batched(found: Results) -> float:
    return max(_of(found, "drain", *BATCHED))


def _observing(found: Results) -> float:
    """CPU of an event: three of them in a worker, one in enqueueing; the dearer counts."""
    worker = _one(found, "drain", "clues, log, BATCH_SIZE=64: CPU of a job") - _one(
        found, "drain", "clues, unconfigured, BATCH_SIZE=64: CPU of a job"
    )
    enqueue = _one(found, "enqueue", "clues, log: CPU of a job") - _one(
        found, "enqueue", "clues, unconfigured: CPU of a job"
    )
    return max(worker / 3, enqueue)


def _added(found: Results, observer: str, system: str) -> list[float]:
    """What observing adds to a job of a system: CPU in its enqueueing, and in the worker."""
    return [_one(found, "adapters", f"{observer} on {system}, {where}") for where in ("enqueue", "worker")]


def _beside_opentelemetry(found: Results) -> float:
    ours, theirs = (_added(found, observer, "Celery") for observer in ("clues", "OpenTelemetry"))
    return max(own / other for own, other in zip(ours, theirs, strict=True))


def _adapter(system: str) -> Promise:
    return Promise(
        f"what clues adds to a job of {system}, every event in the log: CPU, the dearer of worker and enqueue",
        "s", 30e-6, 20e-6, lambda found: max(_added(found, "clues", system)), less=True,
    )  # fmt: skip


PROMISES = (
    Promise(
        "drain, 2 processes, BATCH_SIZE set, every event in the log, against the fastest of Huey, Dramatiq, taskiq",
        "×", 3.5, 15, lambda found: _batched(found) / max(_of(found, "drain", *_QUEUES)),
    ),
    Promise(
        "the same in jobs a minute on a 2-core machine",
        "jobs/min", 1_200_000, 6_000_000, lambda found: 60 * _batched(found),
    ),
    Promise(
        "drain, BATCH_SIZE=1, the best of 1, 4 and 16 threads, every event in the log, against the fastest of those",
        "×", 1.2, 2,
        lambda found: max(_of(found, "drain", *UNBATCHED)) / max(_of(found, "drain", *_QUEUES)),
    ),
    Promise(
        "the same with 1 thread in each process",
        "×", 1.2, 2, lambda found: _one(found, "drain", UNBATCHED[0]) / max(_of(found, "drain", *_QUEUES)),
    ),
    Promise(
        "drain, BATCH_SIZE set, every event in the log, against Celery prefork",
        "×", 20, 90, lambda found: _batched(found) / _one(found, "drain", "Celery prefork"),
    ),
    Promise(
        "a fork for each job (1/1/1, 2 workers), every event in the log, against RQ's fork worker",
        "×", 6, 9,
        lambda found: _one(found, "drain", "clues, log, JOBS_PER_FORK=1") / _one(found, "drain", "RQ fork"),
    ),
    Promise(
        "enqueue one at a time, stamped and logged, against the fastest of Huey, Dramatiq, RQ",
        "×", 1, 1.5,
        lambda found: _one(found, "enqueue", "clues, log") / max(_of(found, "enqueue", "Huey", "Dramatiq", "RQ")),
    ),
    Promise(
        "enqueue_many, stamped and logged, against the faster of RQ's enqueue_many and arq's enqueue_job, gathered",
        "×", 3, 6,
        lambda found: (
            _one(found, "enqueue", "clues enqueue_many, log")
            / max(_of(found, "enqueue", "RQ enqueue_many", "arq gathered"))
        ),
    ),
    Promise(
        "the same against a pipeline written by hand of what arq's enqueue_job writes",
        "×", 3, 6,
        lambda found: _one(found, "enqueue", "clues enqueue_many, log") / _one(found, "enqueue", "arq pipelined"),
    ),
    Promise(
        "cost of observing: CPU of a logged event over clues unconfigured, the dearer of worker and enqueue",
        "s", 7e-6, 4e-6, _observing, less=True,
    ),
    *(_adapter(system) for system in ("Celery", "RQ", "Dramatiq", "Huey", "arq", "taskiq")),
    Promise(
        "the same on Celery, against OpenTelemetry's instrumentation with its SDK and exporter",
        "×", 0.25, 0.2, _beside_opentelemetry, less=True,
    ),
    Promise(
        "log publisher, whole cost of an event, against build + orjson + os.write",
        "×", 2, 1.4,
        lambda found: (
            _one(found, "publishing", "log publisher, whole event")
            / _one(found, "publishing", "build + orjson + os.write")
        ),
        less=True,
    ),
    Promise(
        "publish in the caller: OTLP, Elasticsearch and TCP together (one journal)",
        "s", 7e-6, 4e-6,
        lambda found: _one(found, "publishing", "journal (OTLP + Elasticsearch + TCP), publish"),
        less=True,
    ),
    Promise(
        "publish in the caller: statsd",
        "s", 7e-6, 4e-6, lambda found: _one(found, "publishing", "statsd, publish"), less=True,
    ),
    Promise(
        "p99.9 of publish, back ends away",
        "s", 5e-3, 1e-3, lambda found: _one(found, "publishing", "journal, p99.9, back ends away"), less=True,
    ),
    Promise(
        "import clues, over a bare interpreter",
        "s", 30e-3, 10e-3,
        lambda found: _one(found, "core", "python -c 'import clues'") - _one(found, "core", "python -c pass"),
        less=True,
    ),
    Promise(
        "Elasticsearch delivery, CPU of an event against helpers.streaming_bulk",
        "×", 0.5, 0.25,
        lambda found: (
            _one(found, "delivery", "Elasticsearch delivery, CPU per event")
            / _one(found, "delivery", "helpers.streaming_bulk, CPU per document")
        ),
        less=True,
    ),
    Promise(
        "from push to start on an idle tree, p99",
        "s", 20e-3, 5e-3, lambda found: _one(found, "latency", "idle, p99"), less=True,
    ),
    Promise(
        "a further worker's memory (PSS), of a 200 MB application, a tenth touched by each job, after 1,000 jobs",
        "%", 15, 10, lambda found: _one(found, "memory", "… of the application's size, the same tenth"), less=True,
    ),
    Promise(
        "shipper, events/s to OTLP (HTTP), on one core",
        "events/s", 12_000, 30_000, lambda found: _one(found, "delivery", "shipper to OTLP (HTTP), one core"),
    ),
)  # fmt: skip
"""The table, in its order."""
