"""A back end that is down while events come at full speed, and everybody who handles them is killed once.

CLUES_DRILL_EVENTS and CLUES_DRILL_OUTAGE (seconds) make it longer; the figures of record are those of 200,000 events
and 30 s.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.publishers.fake_elasticsearch import FakeElasticsearch, fake
from tests.publishers.otlp_receiver import Receiver, grpc_receiver, http_receiver, values
from tests.publishers.proxy import Proxy
from tests.publishers.receivers import Lines
from tests.waiting import wait_for

EVENTS = int(os.environ.get("CLUES_DRILL_EVENTS", "20000"))
OUTAGE = float(os.environ.get("CLUES_DRILL_OUTAGE", "1"))
PROCESSES = 4
MOST_MEMORY = 200 * 1024  # KiB of each process, at any time

pytestmark = [
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads processes' memory in /proc"),
    pytest.mark.timeout(900),
]
__all__ = ["fake"]  # a fixture


@dataclass
class BackEnd:
    """What a drill needs of one.

    Attributes:
        url: where to ship to.
        down: ends it.
        up: starts it again.
        ids: the event ids that it has, one for each time that it has them.
    """

    url: str
    down: Callable[[], object]
    up: Callable[[], object]
    ids: Callable[[], list[str]]


@contextlib.contextmanager
def elasticsearch(fake: FakeElasticsearch) -> Iterator[BackEnd]:
    """A dated index."""
    with Proxy(urlsplit(fake.url).port or 0) as proxy:
        url = f"elasticsearch://127.0.0.1:{proxy.port}?index=drill&dated=true"
        yield BackEnd(url, proxy.down, proxy.up, lambda: [name for _, name in list(fake.documents)])


@contextlib.contextmanager
def otlp(receiver: Receiver, scheme: str) -> Iterator[BackEnd]:
    """Log records."""
    with Proxy(urlsplit(receiver.endpoint).port or 0) as proxy:
        url = f"{scheme}://127.0.0.1:{proxy.port}?traces=false&metrics=false&timeout=5&insecure=true"
        yield BackEnd(
            url,
            proxy.down,
            proxy.up,
            lambda: [str(values(one.attributes)["clues.event_id"]) for one in receiver.logs()],
        )


@contextlib.contextmanager
def tcp() -> Iterator[BackEnd]:
    """Lines."""
    listening = [Lines()]
    port = listening[0].port

    def ids() -> list[str]:
        return [json.loads(line)["metadata"]["_event_id"] for one in listening for line in list(one.lines)]

    def down() -> None:
        listening[-1].close()

    try:
        yield BackEnd(f"tcp://127.0.0.1:{port}", down, lambda: listening.append(Lines(port=port)), ids)
    finally:
        listening[-1].close()


@pytest.fixture(params=["elasticsearch", "otlp", "otlp+http", "tcp"])
def back_end(request: pytest.FixtureRequest, fake: FakeElasticsearch) -> Iterator[BackEnd]:
    """Each kind."""
    with contextlib.ExitStack() as stack:
        if request.param == "elasticsearch":
            yield stack.enter_context(elasticsearch(fake))
        elif request.param == "tcp":
            yield stack.enter_context(tcp())
        else:
            receivers = contextlib.contextmanager(grpc_receiver if request.param == "otlp" else http_receiver)
            yield stack.enter_context(otlp(stack.enter_context(receivers()), request.param))


@dataclass
class Drill:
    """The processes of a drill.

    Attributes:
        folder: for the spool and notes.
        url: where to.
        peaks: the most memory that any process has had, in KiB, by what it did.
    """

    folder: Path
    url: str
    peaks: dict[str, int] = field(default_factory=dict)

    def notes(self, which: int) -> list[int]:
        """The events whose `publish` has returned in a process."""
        path = self.folder / f"notes{which}"
        *whole, _ = path.read_bytes().split(b"\n") if path.exists() else [b""]
        return [int(line) for line in whole]

    def publish(self, which: int, start: int, count: int) -> subprocess.Popen[bytes]:
        """Start one that publishes."""
        spool, notes = self.folder / "spool", self.folder / f"notes{which}"
        return self._start("tests.chaos.publishing", spool, self.url, notes, start, count)

    def ship(self) -> subprocess.Popen[bytes]:
        """Start one that ships."""
        return self._start("clues", "ship", "--follow", self.folder / "spool", "--to", self.url)

    def look(self, what: str, process: subprocess.Popen[bytes]) -> None:
        """Note how much memory a process has had."""
        with contextlib.suppress(OSError, IndexError):
            text = Path(f"/proc/{process.pid}/status").read_text()
            peak = int(text.partition("VmHWM:")[2].split()[0])
            self.peaks[what] = max(self.peaks.get(what, 0), peak)

    def _start(self, module: str, *args: object) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen([sys.executable, "-m", module, *map(str, args)], stderr=log)


def test_an_outage(tmp_path: Path, back_end: BackEnd) -> None:
    """All whose `publish` has returned is delivered; in a dated index each event is there once."""
    drill = Drill(tmp_path, back_end.url)
    share = EVENTS // PROCESSES
    shipper = drill.ship()
    publishing = [drill.publish(which, which * share, share) for which in range(PROCESSES)]
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            drill.look("shipping", shipper)
            for process in publishing:
                drill.look("publishing", process)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        wait_for(lambda: len(back_end.ids()) > 0, "the first deliveries", timeout=60)
        back_end.down()
        went_down = time.monotonic()
        for which in range(PROCESSES):  # each is killed once, and goes on after what it has noted
            wait_for(lambda which=which: len(drill.notes(which)) > 10)  # type: ignore[misc]
            publishing[which].kill()
            publishing[which].wait(30)
            done = len(drill.notes(which))
            publishing[which] = drill.publish(which, which * share + done, share - done)
        shipper.kill()
        shipper.wait(30)
        shipper = drill.ship()
        wait_for(lambda: time.monotonic() > went_down + OUTAGE, "the outage's end", timeout=OUTAGE + 60)
        back_end.up()
        for process in publishing:
            assert process.wait(600) == 0
        wanted = {f"{number:032x}:1:enqueued" for which in range(PROCESSES) for number in drill.notes(which)}
        assert len(wanted) == EVENTS
        wait_for(lambda: wanted <= set(back_end.ids()), "the rest of the deliveries", timeout=600)
        shipper.send_signal(signal.SIGTERM)
        assert shipper.wait(60) == 0
    finally:
        over.set()
        watching.join()
        for process in (shipper, *publishing):
            process.kill()
            process.wait(30)
    found = back_end.ids()
    if back_end.url.startswith("elasticsearch"):
        assert len(found) == len(set(found))
    assert set(found) == wanted
    assert max(drill.peaks.values()) < MOST_MEMORY, drill.peaks
    sys.stderr.write(f"{EVENTS} events, {len(found)} deliveries, most memory in KiB: {drill.peaks}\n")
