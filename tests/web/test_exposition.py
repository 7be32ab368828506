"""``/metrics``: read by Prometheus' own parser, equal to what the log says, under the names of OTLP."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from clues.event import Sample
from clues.publishers.otlp_counts import Counts
from clues.web.exposition import exposition, name_of
from tests.requirements import lacking
from tests.web.serving import serving
from tests.web.worlds import HOSTILE, Redis, life, wait_in, work, write

openmetrics: Any = None
plain: Any = None
try:
    from prometheus_client import parser as plain
    from prometheus_client.openmetrics import parser as openmetrics
except ImportError:
    pass

AT = 1_700_000_000.0


@pytest.fixture(params=[False, True], ids=["plain", "openmetrics"])
def open_metrics(request: pytest.FixtureRequest) -> bool:
    if plain is None:
        lacking("prometheus-client", "it is not installed")
    return bool(request.param)


def parsed(text: str, *, open_metrics: bool) -> dict[str, Any]:
    reader = openmetrics if open_metrics else plain
    return {family.name: family for family in reader.text_string_to_metric_families(text)}


@pytest.mark.parametrize(
    ("name", "unit", "gauge", "expected"),
    [
        ("clues.queue.oldest.age", "s", True, "clues_queue_oldest_age_seconds"),
        ("clues.queue.depth", "{job}", True, "clues_queue_depth"),
        ("clues.queue.paused", "1", True, "clues_queue_paused_ratio"),
        ("messaging.process.duration", "s", False, "messaging_process_duration_seconds"),
        ("messaging.client.sent.messages", "{message}", False, "messaging_client_sent_messages"),
    ],
)
def test_names_are_prometheus_spelling(name: str, unit: str, gauge: bool, expected: str) -> None:
    assert name_of(name, unit, gauge=gauge) == expected


def test_it_is_read(open_metrics: bool) -> None:
    counts = Counts(0)
    for number, kind in enumerate(["finished", "finished", "failed", "retrying"]):
        for event in life(number, AT, kind, ran=float(number)):
            counts.add(event)
    samples = [Sample("clues.queue.depth", 3, "{job}", {"queue": "pdf"}), Sample("clues.odd", math.inf)]
    families = parsed(exposition(samples, counts, open_metrics=open_metrics), open_metrics=open_metrics)
    assert families["clues_queue_depth"].samples[0].value == 3
    sent = families["messaging_client_sent_messages"]
    assert (sent.type, sent.documentation) == ("counter", "Jobs enqueued.")
    assert [(one.name, one.value) for one in sent.samples] == [("messaging_client_sent_messages_total", 4.0)]
    duration = families["messaging_process_duration_seconds"]
    assert duration.type == "histogram"
    assert duration.unit == ("seconds" if open_metrics else "")
    sums = {one.labels["clues_job_outcome"]: one.value for one in duration.samples if one.name.endswith("_sum")}
    assert sums == {"finished": 1.0, "failed": 2.0, "retrying": 3.0}
    finished = [one for one in duration.samples if one.labels["clues_job_outcome"] == "finished"]
    buckets = {float(one.labels["le"]): one.value for one in finished if one.name.endswith("_bucket")}
    assert (buckets[0.5], buckets[1.0], buckets[math.inf]) == (1, 2, 2)


def test_any_label_is_escaped(open_metrics: bool) -> None:
    counts = Counts(0)
    names = [HOSTILE, 'a"b\\c\nd', "größe", "\ud800", "\\n", "a{b}=,"]
    for number, name in enumerate(names):
        counts.add(life(number, AT, worker_class=name, queue=name)[0])
    text = exposition([Sample("clues.queue.depth", 1, "{job}", {"queue": names[1]})], counts, open_metrics=open_metrics)
    families = parsed(text, open_metrics=open_metrics)
    found = {one.labels["clues_job_class"] for one in families["messaging_client_sent_messages"].samples}
    assert {'a"b\\c\nd', "größe", "\\n", "a{b}=,", HOSTILE} <= found
    assert families["clues_queue_depth"].samples[0].labels["queue"] == names[1]


def test_what_is_served_equals_the_log(redis: Redis, redis_url: str, tmp_path: Path, open_metrics: bool) -> None:
    wait_in(redis, "pdf", 5)
    work(redis)
    events = [event for number in range(30) for event in life(number, AT, "failed" if number % 3 == 0 else "finished")]
    with serving(redis_url=redis_url, log=write(tmp_path / "events.log", events)) as site:
        site.ready()
        accept = {"Accept": "application/openmetrics-text"} if open_metrics else {}
        answer = site.ask("metrics", headers={**site.bearer, **accept})
    families = parsed(answer.text, open_metrics=open_metrics)
    assert ("openmetrics" in answer.headers["content-type"]) == open_metrics
    depth = {one.labels["queue"]: one.value for one in families["clues_queue_depth"].samples}
    assert depth == {"pdf": 5}
    assert 100 <= families["clues_queue_oldest_age_seconds"].samples[0].value < 200
    assert families["clues_worker_alive"].samples[0].value == 2
    assert families["clues_worker_busy"].samples[0].value == 1
    consumed = families["messaging_client_consumed_messages"].samples
    assert {one.labels["clues_job_outcome"]: one.value for one in consumed} == {"finished": 20, "failed": 10}
    queued = [one for one in families["clues_job_queue_duration_seconds"].samples if one.name.endswith("_sum")]
    assert [one.value for one in queued] == [30.0]


def test_as_long_as_the_log_is_being_read_no_counts_are_told() -> None:
    """Else Prometheus would see the whole log happen within a minute."""
    assert "messaging" not in exposition([], None, open_metrics=False)
