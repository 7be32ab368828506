"""Metrics by statsd: names, tags, packets, the environment, and a real statsd."""

from __future__ import annotations

import math
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from clues.errors import ConfigError
from clues.event import Event, EventType, Sample
from clues.publishers.statsd import StatsdPublisher
from clues.publishers.statsd_packets import packed
from tests.forks import forked
from tests.publishers.receivers import Lines, Packets, free_port
from tests.requirements import lacking
from tests.stories import Stage, live
from tests.waiting import wait_for

RECIPES = Path(__file__).parents[2] / "docs" / "recipes.md"


def an_event(
    event_type: EventType = EventType.ENQUEUED, queue: str | None = "mail", job: str | None = "Welcome", **metadata: Any
) -> Event:
    return Event(event_type, "2026-11-20T20:59:58.123456Z", queue, metadata, job, [])


@pytest.fixture
def receiver() -> Iterator[Packets]:
    with Packets() as found:
        yield found


class Sends:
    """Gives what a publisher of these options sends."""

    def __init__(self, receiver: Packets, **options: Any) -> None:
        self.receiver = receiver
        self.publisher = StatsdPublisher(port=receiver.port, **options)

    def for_event(self, event: Event) -> list[str]:
        self.publisher.publish(event)
        self.publisher.close()
        return self.receiver.next().decode().split("\n")

    def for_samples(self, *samples: Sample) -> list[str]:
        self.publisher.publish_samples(samples)
        self.publisher.close()
        return self.receiver.next().decode().split("\n")


# --- Metrics ---


@pytest.mark.parametrize(
    ("event", "metrics"),
    [
        (an_event(), ["clues.enqueued.mail.Welcome:1|c"]),
        (
            an_event(EventType.DEQUEUED, _time_in_queue=1.5),
            ["clues.dequeued.mail.Welcome:1|c", "clues.time_in_queue.mail.Welcome:1500|ms"],
        ),
        (an_event(EventType.DEQUEUED), ["clues.dequeued.mail.Welcome:1|c"]),
        (an_event(EventType.PERFORM_STARTED, _time_in_queue=1.5), ["clues.perform_started.mail.Welcome:1|c"]),
        (
            an_event(EventType.PERFORM_FINISHED, _time_to_perform=0.0123456),
            ["clues.perform_finished.mail.Welcome:1|c", "clues.time_to_perform.mail.Welcome:12.346|ms"],
        ),
        (
            an_event(EventType.FAILED, _time_to_perform=0),
            ["clues.failed.mail.Welcome:1|c", "clues.time_to_perform.mail.Welcome:0|ms"],
        ),
        (an_event(EventType.FAILED, _reason="lost"), ["clues.failed.mail.Welcome:1|c"]),
        (an_event(EventType.DESTROYED), ["clues.destroyed.mail.Welcome:1|c"]),
    ],
)
def test_what_is_sent_for_an_event(event: Event, metrics: list[str], receiver: Packets) -> None:
    assert Sends(receiver).for_event(event) == metrics


@pytest.mark.parametrize("value", [None, "1.5", True, -1, math.nan, math.inf, [1]])
def test_a_time_that_is_none_makes_no_timer(value: Any, receiver: Packets) -> None:
    assert Sends(receiver).for_event(an_event(EventType.DEQUEUED, _time_in_queue=value)) == [
        "clues.dequeued.mail.Welcome:1|c"
    ]


@pytest.mark.parametrize(
    ("queue", "job", "name"),
    [
        ("mail.bulk", "shop.jobs:Welcome", "clues.enqueued.mail_bulk.shop_jobs_Welcome"),
        ("a b|c@d\ne", "Shop::Jobs::Welcome", "clues.enqueued.a_b_c_d_e.Shop_Jobs_Welcome"),
        (None, None, "clues.enqueued.unknown.unknown"),
        ("", "Grüße", "clues.enqueued.unknown.Gr_e"),
        ("q" * 500, "J", f"clues.enqueued.{'q' * 100}.J"),
    ],
)
def test_names_can_break_no_packet(queue: str | None, job: str | None, name: str, receiver: Packets) -> None:
    assert Sends(receiver).for_event(an_event(queue=queue, job=job)) == [f"{name}:1|c"]


def test_prefix_and_key(receiver: Packets) -> None:
    """The key with the job's name appended, as in Action Verb's fork."""
    sends = Sends(receiver, prefix="shop.jobs", key="production.resque")
    assert sends.for_event(an_event(EventType.FAILED, job="shop.Welcome", _time_to_perform=0.25)) == [
        "shop.jobs.failed.mail.shop_Welcome:1|c",
        "shop.jobs.time_to_perform.mail.shop_Welcome:250|ms",
        "production.resque.shop_Welcome:250|ms",
    ]


def test_datadogs_tags(receiver: Packets) -> None:
    sends = Sends(receiver, tags="datadog")
    event = an_event(EventType.DEQUEUED, queue="a,b|c#d e", job="Shop::Grüße", _time_in_queue=1)
    assert sends.for_event(event) == [
        "clues.dequeued:1|c|#queue:a_b_c_d_e,job_class:Shop::Grüße",
        "clues.time_in_queue:1000|ms|#queue:a_b_c_d_e,job_class:Shop::Grüße",
    ]
    assert sends.for_event(an_event(queue=None, job=None)) == ["clues.enqueued:1|c|#queue:unknown,job_class:unknown"]


def test_states_are_gauges(receiver: Packets) -> None:
    samples = (
        Sample("clues.queue.depth", 12, "{job}", {"queue": "mail.bulk"}),
        Sample("clues.queue.oldest.age", 1.25, "s", {"queue": "mail"}),
        Sample("clues.worker.busy", 0, "{worker}"),
        Sample("broken", math.nan),
        Sample("skew", -0.5, "s", {"z": "last", "a": "first"}),
    )
    assert Sends(receiver).for_samples(*samples) == [
        "clues.queue.depth.mail_bulk:12|g",
        "clues.queue.oldest.age.mail:1.25|g",
        "clues.worker.busy:0|g",
        "clues.skew.first.last:0|g",
        "clues.skew.first.last:-0.5|g",
    ]
    assert Sends(receiver, tags="datadog").for_samples(*samples) == [
        "clues.queue.depth:12|g|#queue:mail.bulk",
        "clues.queue.oldest.age:1.25|g|#queue:mail",
        "clues.worker.busy:0|g",
        "clues.skew:-0.5|g|#a:first,z:last",
    ]


# --- Packets ---


def test_samples_share_packets_below_the_mtu(receiver: Packets) -> None:
    publisher = StatsdPublisher(port=receiver.port, mtu=600)
    publisher.publish_samples(Sample("clues.queue.depth", n, attributes={"queue": f"q{n}"}) for n in range(100))
    publisher.close()
    packets = receiver.rest()
    assert max(map(len, packets)) <= 600
    assert min(map(len, packets[:-1])) > 600 - 40
    assert b"\n".join(packets).split(b"\n") == [b"clues.queue.depth.q%d:%d|g" % (n, n) for n in range(100)]


def test_a_metric_that_fits_no_packet_is_counted_and_the_others_go() -> None:
    packets = packed([b"a:1|c", b"b" * 11, b"c:1|c"], 10)
    assert [next(packets), next(packets)] == [b"a:1|c", b"c:1|c"]
    with pytest.raises(OSError, match="1 metrics are longer than 10 bytes"):
        next(packets)


def test_nobody_listens_costs_no_job() -> None:
    stage = Stage(options={"publisher": StatsdPublisher(port=free_port(socket.SOCK_DGRAM))})
    live(stage.lifecycle, {"class": "Job", "args": []})
    assert set(stage.config.faults.counts) == {"StatsdPublisher"}
    stage.config.publisher.close()  # type: ignore[attr-defined]


def test_over_a_unix_socket(tmp_path: Path) -> None:
    with Packets(path=tmp_path / "dsd.socket") as receiver:
        for publisher in (
            StatsdPublisher(f"unix://{tmp_path}/dsd.socket"),
            StatsdPublisher.from_url(urlsplit(f"statsd+unix://{tmp_path}/dsd.socket?prefix=clues")),
        ):
            publisher.publish(an_event())
            assert receiver.next() == b"clues.enqueued.mail.Welcome:1|c"
            publisher.close()


def test_forked_children_send_too(receiver: Packets) -> None:
    publisher = StatsdPublisher(port=receiver.port)
    publisher.publish(an_event(queue="parent"))
    assert forked(lambda: publisher.publish(an_event(queue="child"))) == 0
    assert [receiver.next(), receiver.next()] == [b"clues.enqueued.parent.Welcome:1|c", b"clues.enqueued.child.Welcome:1|c"]  # fmt: skip # noqa: E501
    publisher.close()


# --- Clients of one's own ---


class StatsClient:
    """As PyPI's statsd."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def incr(self, stat: str, count: float = 1, rate: float = 1) -> None:
        self.calls.append(("incr", stat, count))

    def timing(self, stat: str, delta: float, rate: float = 1) -> None:
        self.calls.append(("timing", stat, delta))

    def gauge(self, stat: str, value: float, rate: float = 1, delta: bool = False) -> None:
        self.calls.append(("gauge", stat, value))


class DogStatsd:
    """As PyPI's datadog."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def increment(self, metric: str, value: float = 1, tags: list[str] | None = None) -> None:
        self.calls.append(("increment", metric, value, tags))

    def timing(self, metric: str, value: float, tags: list[str] | None = None) -> None:
        self.calls.append(("timing", metric, value, tags))

    def gauge(self, metric: str, value: float, tags: list[str] | None = None) -> None:
        self.calls.append(("gauge", metric, value, tags))


def test_a_client_of_ones_own() -> None:
    client = StatsClient()
    publisher = StatsdPublisher(client=client)
    publisher.publish(an_event(EventType.DEQUEUED, _time_in_queue=1.5))
    publisher.publish_samples([Sample("clues.queue.depth", 3, attributes={"queue": "mail"})])
    publisher.close()
    assert client.calls == [
        ("incr", "clues.dequeued.mail.Welcome", 1),
        ("timing", "clues.time_in_queue.mail.Welcome", 1500),
        ("gauge", "clues.queue.depth.mail", 3),
    ]


def test_a_client_with_tags() -> None:
    client = DogStatsd()
    publisher = StatsdPublisher(client=client, tags="datadog")
    publisher.publish(an_event(EventType.DEQUEUED, _time_in_queue=1.5))
    tags = ["queue:mail", "job_class:Welcome"]
    assert client.calls == [("increment", "clues.dequeued", 1, tags), ("timing", "clues.time_in_queue", 1500, tags)]


def test_what_is_no_client_is_refused() -> None:
    with pytest.raises(ConfigError, match="object has not"):
        StatsdPublisher(client=object())


# --- Settings ---


def test_the_environment_switches_it_on(receiver: Packets) -> None:
    environ = {"STATSD_HOST": "127.0.0.1", "STATSD_PORT": str(receiver.port), "STATSD_KEY": "resque."}
    publisher = StatsdPublisher.from_environment(environ)
    assert publisher is not None
    publisher.publish(an_event(EventType.PERFORM_FINISHED, _time_to_perform=1))
    publisher.close()
    assert receiver.next().split(b"\n")[2] == b"resque.Welcome:1000|ms"


@pytest.mark.parametrize("environ", [{}, {"STATSD_HOST": " "}, {"STATSD_PORT": "8125", "STATSD_KEY": "resque"}])
def test_the_environment_leaves_it_off(environ: dict[str, str]) -> None:
    assert StatsdPublisher.from_environment(environ) is None


def test_the_host_alone_is_enough() -> None:
    publisher = StatsdPublisher.from_environment({"STATSD_HOST": "127.0.0.1", "STATSD_PORT": "", "STATSD_KEY": ""})
    assert publisher is not None
    publisher.close()


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"STATSD_HOST": "h", "STATSD_PORT": "statsd"}, "STATSD_PORT must be a port"),
        ({"STATSD_HOST": "127.0.0.1", "STATSD_PORT": "0"}, "port from 1"),
        ({"STATSD_HOST": "a b"}, "host's name"),
        ({"STATSD_HOST": "127.0.0.1", "STATSD_KEY": "a:b"}, "key must be a name"),
    ],
)
def test_a_mistaken_environment(environ: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        StatsdPublisher.from_environment(environ)


@pytest.mark.parametrize(
    ("rest", "metric"),
    [
        ("", "clues.enqueued.mail.Welcome:1|c"),
        ("/shop.jobs", "shop.jobs.enqueued.mail.Welcome:1|c"),
        ("/shop?tags=datadog&mtu=512", "shop.enqueued:1|c|#queue:mail,job_class:Welcome"),
        ("?key=resque&resolve_every=5", "clues.enqueued.mail.Welcome:1|c"),
    ],
)
def test_urls(rest: str, metric: str, receiver: Packets) -> None:
    publisher = StatsdPublisher.from_url(urlsplit(f"statsd://127.0.0.1:{receiver.port}{rest}"))
    publisher.publish(an_event())
    publisher.close()
    assert receiver.next().decode() == metric


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("statsd://127.0.0.1:99999", "Port out of range"),
        ("statsd://me:secret@127.0.0.1", "no user"),
        ("statsd://127.0.0.1/a/b", "prefix must be a name"),
        ("statsd://127.0.0.1?tags=influx", "datadog"),
        ("statsd://127.0.0.1?mtu=1", "mtu"),
        ("statsd://127.0.0.1?mtu=wide", "wide"),
        ("statsd://127.0.0.1?resolve_every=0", "resolve_every"),
        ("statsd://127.0.0.1?color=red", "color"),
        ("statsd+unix://relative/path", "a path"),
        (f"statsd+unix:///{'x' * 200}", "a path"),
    ],
)
def test_mistaken_urls(url: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        StatsdPublisher.from_url(urlsplit(url))
    assert "secret" not in str(caught.value)


# --- A real statsd ---


def statsd_program() -> tuple[str, Path]:
    """Node and npm's statsd."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        lacking("statsd", "no node and npm on PATH")
    root = subprocess.run([npm, "root", "--global"], capture_output=True, text=True, timeout=60, check=True).stdout
    for folder in (*os.environ.get("NODE_PATH", "").split(os.pathsep), root.strip()):
        if folder and (Path(folder) / "statsd" / "stats.js").is_file():
            return node, Path(folder) / "statsd" / "stats.js"
    return lacking("statsd", "no statsd in NODE_PATH; npm install --global --omit=optional statsd@0.9.0")


def test_a_real_statsd_takes_them_to_graphite(tmp_path: Path) -> None:
    """By the configuration that docs/recipes.md shows, with a listener in Graphite's place."""
    node, program = statsd_program()
    ports = {"8125": free_port(socket.SOCK_DGRAM), "8126": free_port()}
    with Lines() as graphite:
        shown = re.search(r"```js\n(.*?)```", RECIPES.read_text(), re.DOTALL)
        assert shown is not None
        config = shown[1].replace("2003", str(graphite.port)).replace("10000", "200")
        for port, other in ports.items():
            config = config.replace(port, str(other))
        (tmp_path / "config.js").write_text(config)
        with (tmp_path / "log").open("wb") as log:
            server = subprocess.Popen([node, program, tmp_path / "config.js"], stdout=log, stderr=log)
        try:
            wait_for(lambda: _answers(ports["8126"]) or server.poll() is not None, "statsd")
            publisher = StatsdPublisher(port=ports["8125"], key="resque")
            stage = Stage(options={"publisher": publisher})
            live(
                stage.lifecycle,
                {"class": "shop.Welcome", "args": []},
                lambda: stage.monotonic.__setattr__("now", 1002.5),
            )
            publisher.publish_samples([Sample("clues.queue.depth", -7, attributes={"queue": "mail"})])
            publisher.close()
            expected = {
                "stats.counters.clues.enqueued.mail.shop_Welcome.count 1",
                "stats.counters.clues.perform_finished.mail.shop_Welcome.count 1",
                "stats.timers.clues.time_to_perform.mail.shop_Welcome.upper 2500",
                "stats.timers.resque.shop_Welcome.mean 2500",
                "stats.gauges.clues.queue.depth.mail -7",
            }
            wait_for(lambda: expected <= _without_times(graphite.lines), f"{expected} in Graphite")
            assert stage.config.faults.counts == {}
            assert not any("bad_lines" in line and not line.endswith(" 0") for line in _without_times(graphite.lines))
        finally:
            server.terminate()
            server.wait(30)


def _answers(port: int) -> bool:
    with socket.socket() as trial:
        return trial.connect_ex(("127.0.0.1", port)) == 0


def _without_times(lines: list[bytes]) -> set[str]:
    return {line.decode().rpartition(" ")[0] for line in lines}
