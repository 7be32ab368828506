"""Each query of each panel, rule and alert, asked of a real Prometheus that the real publisher has fed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from clues.dashboards_source import objectives
from clues.dashboards_source.files import DASHBOARDS
from clues.dashboards_source.metrics import METRICS
from clues.dashboards_source.model import Panel, Prom
from clues.dashboards_source.rules import rules
from clues.event import Event, EventType
from clues.publishers.otlp import OTLPPublisher
from clues.publishers.otlp_counts import METRICS as COUNTED
from clues.publishers.otlp_destination import OTLPDestination
from tests.dashboards.history import ENDS, MINUTES, STEP, History, made
from tests.dashboards.prometheus_server import Prometheus, binary, running
from tests.stories import Clock

pytestmark = pytest.mark.timeout(1200)  # it may have to be built

Found = dict[frozenset[tuple[str, str]], float]
Log = Iterable[Event]
RANGE, RATE = 360, 60
"""Minutes that the dashboards show, and over which rates are taken."""

QUERIES = [
    pytest.param(panel, query, id=f"{dashboard.uid}: {panel.title} {number}")
    for dashboard in DASHBOARDS
    for panel in dashboard.panels()
    for number, query in enumerate(panel.prom)
]


@pytest.fixture(scope="session")
def history() -> History:
    return made()


@pytest.fixture(scope="session")
def prometheus(history: History, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("prometheus")
    with running(binary("prometheus"), folder) as server:
        feed(server.otlp, history, folder / "spool")
        yield server


def feed(endpoint: str, history: History, spool: Path) -> None:
    """Send a history by the real publisher, minute by minute, at its own times."""
    publisher = OTLPPublisher(
        endpoint,
        protocol="http/protobuf",
        spool=spool,
        service_name="shop",
        logs=False,
        traces=False,
        metrics_interval=0,
    )
    clock = Clock(history.begin)
    with (
        closing(publisher),
        closing(publisher.destination()) as of_now,
        closing(OTLPDestination(of_now._plan, clock=clock)) as destination,  # type: ignore[attr-defined]
    ):
        for number, (events, samples) in enumerate(zip(history.minutes, history.samples, strict=True), 1):
            clock.now = history.begin + number * STEP
            sent = destination.send([event.line for event in events])
            assert (sent.problem, sent.retry, sent.refused) == ("", [], [])
            destination.state()
            destination.send_samples(samples)


def asked(expr: str, *, chosen: str = ".*") -> str:
    """A query as Grafana sends it, with everything chosen."""
    found = re.sub(r"\$(job|queue|class|destination)\b", chosen, expr)
    return found.replace("$__range", f"{RANGE}m").replace("$__rate_interval", f"{RATE}m")


def only(log: Log, *kinds: EventType, outcome: str = "", **fields: str) -> list[Event]:
    """The events of these kinds, of that outcome, with these attributes."""
    return [
        event
        for event in log
        if event.event_type in kinds
        and (not outcome or outcome_of(event) == outcome)
        and all(getattr(event, name) == value for name, value in fields.items())
    ]


def outcome_of(event: Event) -> str:
    if event.event_type is EventType.FAILED:
        return "retrying" if event.metadata.get("_retrying") else "failed"
    return "finished"


def counted(found: Counter[str], label: str) -> Found:
    return {frozenset({(label, key)}): float(value) for key, value in found.items()}


def one(value: float) -> Found:
    return {frozenset(): value}


def quantile(values: Iterable[float], share: float, metric: str) -> tuple[float, float]:
    """The bucket that a quantile lies in."""
    ordered = sorted(values)
    exact = ordered[min(int(share * len(ordered)), len(ordered) - 1)]
    (bounds,) = (known.bounds for known in COUNTED if known.name == metric)
    above = next(bound for bound in bounds if exact <= bound)
    return max((bound for bound in bounds if bound < exact), default=0.0), above


def is_about(answer: float, expected: float) -> bool:
    """Rates and growths are extrapolated to their whole time, here by a minute of each hour at most."""
    return answer == pytest.approx(expected, rel=0.03, abs=0.05)


# What the event log says, by a panel's title and its queries' numbers. `day` is what the dashboard shows, `hour` what
# rates are taken of.
ENQUEUED, DEQUEUED = EventType.ENQUEUED, EventType.DEQUEUED
DONE, FAILED, DESTROYED = EventType.PERFORM_FINISHED, EventType.FAILED, EventType.DESTROYED
SECONDS = (RATE - 1) * STEP  # what a rate sees begins with the first sample in its time


def per_second(events: list[Event], label: str = "", of: Callable[[Event], str] = lambda event: "") -> Found:
    if not label:
        return one(len(events) / SECONDS)
    return {key: value / SECONDS for key, value in counted(Counter(map(of, events)), label).items()}


def failed_share(log: Log) -> Found:
    events = [*log]
    bad, good = only(events, FAILED, outcome="failed"), only(events, DONE)
    return one(len(bad) / (len(bad) + len(good)))


def untaken(log: Log) -> Found:
    events = [*log]
    return one(len(only(events, ENQUEUED)) - len(only(events, DEQUEUED)) - len(only(events, DESTROYED)))


def unended(log: Log) -> Found:
    events = [*log]
    return one(len(only(events, DEQUEUED)) - len(only(events, *ENDS)))


def burnt(log: Log, objective: str) -> dict[str, float]:
    """The share of jobs that broke a promise, by queue."""
    broken: Counter[str] = Counter()
    judged: Counter[str] = Counter()
    for event in log:
        queue = str(event.queue)
        if objective == "queue_time" and event.event_type is DEQUEUED:
            judged[queue] += 1
            broken[queue] += event.metadata["_time_in_queue"] > objectives.QUEUE_TARGET
        if objective == "execution" and event.event_type in ENDS and outcome_of(event) != "retrying":
            judged[queue] += 1
            broken[queue] += event.event_type is FAILED or event.metadata["_time_to_perform"] > objectives.RUN_TARGET
    return {queue: broken[queue] / judged[queue] for queue in judged}


def kept(log: Log, objective: str) -> Found:
    broken = judged = 0
    for event in log:
        if objective == "queue_time" and event.event_type is DEQUEUED:
            judged, broken = judged + 1, broken + (event.metadata["_time_in_queue"] > objectives.QUEUE_TARGET)
        if objective == "execution" and event.event_type in ENDS and outcome_of(event) != "retrying":
            slow = event.metadata["_time_to_perform"] > objectives.RUN_TARGET
            judged, broken = judged + 1, broken + (event.event_type is FAILED or slow)
    return one(1 - broken / judged)


def spent(log: Log, objective: str) -> Found:
    return one((1 - kept(log, objective)[frozenset()]) / (1 - objectives.SHARE))


def burning(log: Log, objective: str) -> Found:
    return {
        frozenset({("job", "shop"), ("messaging_destination_name", queue)}): share / (1 - objectives.SHARE)
        for queue, share in burnt(log, objective).items()
    }


def queue_of(event: Event) -> str:
    return str(event.queue)


def class_of(event: Event) -> str:
    return str(event.worker_class)


def worked(log: Log) -> Found:
    took: Counter[str] = Counter()
    for event in only(log, *ENDS):
        took[queue_of(event)] += event.metadata["_time_to_perform"]
    return {key: value / SECONDS for key, value in counted(took, "messaging_destination_name").items()}


Expected = Callable[[list[Event], list[Event]], Found]
QUEUE_LABEL, CLASS_LABEL = "messaging_destination_name", "clues_job_class"
JOBS: dict[str, tuple[Expected, ...]] = {
    "Enqueued": (lambda day, hour: one(len(only(day, ENQUEUED))),),
    "Finished": (lambda day, hour: one(len(only(day, DONE))),),
    "Failed": (lambda day, hour: one(len(only(day, FAILED, outcome="failed"))),),
    "Failure ratio now": (lambda day, hour: failed_share(day),),
    "Failure ratio": (lambda day, hour: failed_share(hour),),
    "Throughput by outcome": (
        lambda day, hour: per_second(only(hour, ENQUEUED)),
        lambda day, hour: per_second(only(hour, *ENDS), "clues_job_outcome", outcome_of),
        lambda day, hour: per_second(only(hour, DESTROYED)),
    ),
    "Retries": (lambda day, hour: per_second(only(hour, FAILED, outcome="retrying")),),
    "Exceptions by type": (
        lambda day, hour: counted(Counter(e.metadata["_exception"] for e in only(day, FAILED)), "error_type"),
    ),
    "Most failing classes": (
        lambda day, hour: counted(Counter(map(class_of, only(day, FAILED, outcome="failed"))), CLASS_LABEL),
    ),
    "By queue": (lambda day, hour: counted(Counter(map(queue_of, only(day, *ENDS))), QUEUE_LABEL),),
    "Enqueued, not dequeued": (lambda day, hour: untaken(day),),
    "Dequeued, not ended": (lambda day, hour: unended(day),),
    "Busy seconds a second": (lambda day, hour: worked(hour),),
    "Coming and going": (
        lambda day, hour: per_second(only(hour, ENQUEUED), QUEUE_LABEL, queue_of),
        lambda day, hour: per_second(only(hour, DEQUEUED), QUEUE_LABEL, queue_of),
        lambda day, hour: per_second(only(hour, *ENDS), QUEUE_LABEL, queue_of),
    ),
    "Time in queue: within target": (lambda day, hour: kept(day, "queue_time"),),
    "Execution: within target": (lambda day, hour: kept(day, "execution"),),
    "Time in queue: burn rate, last 1h": (lambda day, hour: spent(hour, "queue_time"),),
    "Time in queue: burn rate, last 6h": (lambda day, hour: spent(day, "queue_time"),),
    "Execution: burn rate, last 1h": (lambda day, hour: spent(hour, "execution"),),
    "Execution: burn rate, last 6h": (lambda day, hour: spent(day, "execution"),),
    "Time in queue: burn rate": (
        lambda day, hour: burning(hour, "queue_time"),
        lambda day, hour: burning(day, "queue_time"),
    ),
    "Execution: burn rate": (
        lambda day, hour: burning(hour, "execution"),
        lambda day, hour: burning(day, "execution"),
    ),
}
QUANTILES = {
    "Run time": ("_time_to_perform", "messaging.process.duration", RATE, ENDS, None),
    "Time in queue": ("_time_in_queue", "clues.job.queue.duration", RATE, {DEQUEUED}, None),
    "Slowest classes": ("_time_to_perform", "messaging.process.duration", RANGE, ENDS, (CLASS_LABEL, class_of)),
    "Run time by outcome": (
        "_time_to_perform",
        "messaging.process.duration",
        RATE,
        ENDS,
        ("clues_job_outcome", outcome_of),
    ),
}
STATES: dict[str, Callable[[History], tuple[Found, ...]]] = {
    "Waiting": lambda h: (one(sum(h.state("clues.queue.depth", queue=q) for q in ("mail", "pdf"))),),
    "Waiting jobs": lambda h: (one(sum(h.state("clues.queue.depth", queue=q) for q in ("mail", "pdf"))),),
    "Longest wait": lambda h: (one(h.state("clues.queue.oldest.age", queue="pdf")),),
    "Workers alive": lambda h: (one(8),),
    "Workers busy": lambda h: (one(h.state("clues.worker.busy")),),
    "Utilisation": lambda h: (one(h.state("clues.worker.busy") / 8),),
    "Workers": lambda h: (one(8), one(h.state("clues.worker.busy"))),
    "Longest running job": lambda h: (one(31.5),),
    "Paused queues": lambda h: (one(1),),
    "Depth of queues": lambda h: (labelled(h, "clues.queue.depth", "queue"),),
    "Depth": lambda h: (labelled(h, "clues.queue.depth", "queue"),),
    "Oldest waiting job": lambda h: (labelled(h, "clues.queue.oldest.age", "queue"),),
    "Age of the oldest job": lambda h: (labelled(h, "clues.queue.oldest.age", "queue"),),
    "Longest running job, by queue": lambda h: (labelled(h, "clues.job.running.longest", "queue"),),
    "Published": lambda h: (one(h.state("clues.delivery.published")),),
    "Dropped": lambda h: (one(3),),
    "Refused": lambda h: (one(1),),
    "Waiting events": lambda h: (one(41),),
    "Lag": lambda h: (one(3.5),),
    "Sent again": lambda h: (one(15),),
    "Delivered": lambda h: (
        {frozenset({("destination", "otlp")}): 90 / 60, frozenset({("destination", "elasticsearch")}): 91 / 60},
    ),
    "Lag by destination": lambda h: (labelled(h, "clues.delivery.lag.duration", "destination"),),
    "Events that wait": lambda h: (labelled(h, "clues.delivery.lag.events", "destination"),),
    "Lost or refused": lambda h: (one(3), labelled(h, "clues.delivery.dead_lettered", "destination")),
}


def labelled(history: History, name: str, label: str) -> Found:
    return {
        frozenset({(label, sample.attributes[label])}): sample.value
        for sample in history.samples[-1]
        if sample.name == name
    }


@pytest.mark.parametrize(("panel", "query"), QUERIES)
def test_a_panel_says_what_the_log_says(prometheus: Prometheus, history: History, panel: Panel, query: Prom) -> None:
    answer = prometheus.at(asked(query.expr), history.end)
    day, hour = [*history.last(RANGE - 1)], [*history.last(RATE - 1)]
    number = panel.prom.index(query)
    if panel.title in QUANTILES:
        key, metric, minutes, kinds, by = QUANTILES[panel.title]
        share = float(query.expr.partition("histogram_quantile(")[2].partition(",")[0])
        groups: dict[frozenset[tuple[str, str]], list[float]] = {}
        for event in only(history.last(minutes - 1), *kinds):
            group = frozenset({(by[0], by[1](event))} if by else ())
            groups.setdefault(group, []).append(event.metadata[key])
        assert answer.keys() == groups.keys()
        for group, values in groups.items():
            low, high = quantile(values, share, metric)
            assert low <= answer[group] <= high
        return
    expected = STATES[panel.title](history)[number] if panel.title in STATES else JOBS[panel.title][number](day, hour)
    assert answer.keys() == expected.keys()
    for group, value in expected.items():
        assert is_about(answer[group], value), (query.expr, group, answer[group], value)


@pytest.mark.parametrize(("panel", "query"), QUERIES)
def test_a_panel_of_nothing_says_nothing(prometheus: Prometheus, history: History, panel: Panel, query: Prom) -> None:
    """Where nothing is chosen, a count is 0, and all else is empty; no query fails."""
    assert set(prometheus.at(asked(query.expr, chosen="none such"), history.end).values()) <= {0.0}


def recorded() -> dict[str, str]:
    return {rule["record"]: rule["expr"] for group in rules()["groups"] for rule in group["rules"] if "record" in rule}


@pytest.mark.parametrize("name", recorded())
def test_what_is_recorded_is_what_the_log_says(prometheus: Prometheus, history: History, name: str) -> None:
    over = re.fullmatch(r"clues:(\w+)_errors:ratio_increase(\d+)([mh])", name)
    assert over is not None
    minutes = int(over[2]) * (60 if over[3] == "h" else 1)
    answer = prometheus.at(recorded()[name], history.end)
    # increase() sees what happened after the first sample of its time
    expected = burnt(history.last(minutes - 1), over[1])
    found = {dict(key)["messaging_destination_name"]: value for key, value in answer.items()}
    assert found.keys() == expected.keys()
    for queue, share in expected.items():
        assert found[queue] == pytest.approx(share, rel=0.03, abs=0.03)


ALERTS = {rule["alert"]: rule["expr"] for group in rules()["groups"] for rule in group["rules"] if "alert" in rule}
BURNING = {"Fast": (60, 5, objectives.FAST), "Slow": (360, 30, objectives.SLOW)}


def firing(history: History, name: str, ago: int) -> set[str]:
    """The queues of which the log says so many minutes ago that an alert is due."""
    found = re.fullmatch(r"Clues(QueueTime|Execution)Burns(Fast|Slow)", name)
    if found is None:
        return set()
    objective = {"QueueTime": "queue_time", "Execution": "execution"}[found[1]]
    *windows, burn = BURNING[found[2]]
    shares = [burnt(history.last(int(minutes) - 1, ago), objective) for minutes in windows]
    return {
        queue for queue in shares[0] if all(share.get(queue, 0) > burn * (1 - objectives.SHARE) for share in shares)
    }


@pytest.mark.parametrize("ago", [0, 3])
@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_is_active_where_the_log_says_so(
    prometheus: Prometheus, history: History, name: str, ago: int
) -> None:
    expr = ALERTS[name]
    for record, of in recorded().items():
        expr = re.sub(rf"{re.escape(record)}\b", lambda _, of=of: f"({of})", expr)  # type: ignore[misc]
    answer = prometheus.at(expr, history.end - ago * STEP)
    assert {dict(key).get("messaging_destination_name") for key in answer} == firing(history, name, ago)
    if ago and "Burns" in name:
        assert answer  # a fifth of what comes to one queue waits too long, and a quarter fails


def test_metrics_are_those_that_prometheus_has(prometheus: Prometheus) -> None:
    """The list of metrics is what Prometheus has made of what the publisher has sent, names and labels."""
    wanted = {name: labels for metric in METRICS for name, labels in metric.series()}
    names = {name for name in prometheus.ask("label/__name__/values") if name.startswith(("clues_", "messaging_"))}
    assert names == set(wanted)
    for name, labels in wanted.items():
        path = f"series?match[]={name}"
        there = {label for series in prometheus.ask(path) for label in series} - {"__name__"}
        assert there == labels, name


def test_all_of_our_metrics_are_listed() -> None:
    """Whatever events are counted as is in the list."""
    assert {metric.name for metric in COUNTED} <= {metric.otlp for metric in METRICS}
    assert MINUTES >= RANGE
