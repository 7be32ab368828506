"""Who ships: a thread where events are published, or a companion; one at a time; and how long an exit may take."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from clues.errors import ConfigError
from clues.event import Event, Sample
from clues.publishers import CompositePublisher, StatsdPublisher, outbox, shipper
from clues.publishers.delivery import Sent
from clues.publishers.journal import JournalOptions
from tests.forks import fork
from tests.publishers.destinations import Appending, Recording, Shipping, event
from tests.publishers.receivers import Packets
from tests.waiting import wait_for


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Nothing of a test ships on after it."""
    yield
    for found in list(outbox._outboxes.values()):
        for publisher in list(found.publishers):
            found.remove(publisher)


def appended(path: Path) -> list[tuple[int, int]]:
    """What was delivered: the shipping process, the event's number."""
    if not path.exists():
        return []
    lines = [line.split(b" ", 1) for line in path.read_bytes().splitlines()]
    return [(int(pid), int(line.rsplit(b"[", 1)[1].rstrip(b"]}"))) for pid, line in lines]


# by a thread


def test_a_thread_ships(tmp_path: Path) -> None:
    """It begins with the first event; flush tells when all is delivered; the journal then is as good as empty."""
    destination = Recording()
    publisher = Shipping(destination, tmp_path)
    for number in range(3000):
        publisher.publish(event(number))
    assert publisher.flush(30)
    assert destination.numbers() == list(range(3000))
    publisher.close()
    assert destination.closed.is_set()
    assert publisher.outbox.journal.spool.size() == 0


def test_closing_delivers_the_rest(tmp_path: Path) -> None:
    """As far as its time allows; and what it can't deliver is there for the next."""
    stuck = Recording(answer=lambda batch: Sent(retry=batch))
    publisher = Shipping(stuck, tmp_path, flush_timeout=0.0)
    publisher.publish(event(1))
    assert not publisher.flush(0.0)
    publisher.close()
    destination = Recording()
    publisher = Shipping(destination, tmp_path, flush_timeout=30)
    publisher.publish(event(2))
    publisher.close()
    assert destination.numbers() == [1, 2]


def test_samples_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of samplers, and delivery's own; a sampler that raises keeps none from the others."""
    monkeypatch.setattr(shipper, "_TICK", 0.001)
    destination = Recording()
    publisher = Shipping(destination, tmp_path)

    class Sampler:
        def sample(self) -> list[Sample]:
            return [Sample("clues.queue.depth", 3)]

    class Broken:
        def sample(self) -> list[Sample]:
            raise LookupError

    made = publisher.outbox.shipper((Broken(), Sampler()))
    made.start()
    wait_for(lambda: destination.samples)
    assert {sample.name for sample in destination.samples} >= {"clues.queue.depth", "clues.delivery.delivered"}
    assert publisher.outbox.faults.counts
    made.end(30)


def test_forked_children_ship_what_they_publish(tmp_path: Path) -> None:
    """As gunicorn's and uWSGI's workers: one of them at a time, and each event once."""
    path = tmp_path / "delivered"
    publisher = Shipping(Appending(path), tmp_path / "spool")
    publisher.publish(event(0))
    assert publisher.flush(30)

    def work(start: int) -> None:
        for number in range(start, start + 50):
            publisher.publish(event(number))
        publisher.flush(30)

    children = [fork(partial(work, start)) for start in (100, 200, 300)]
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
    delivered = appended(path)
    assert {pid for pid, _ in delivered} == {os.getpid()}  # it was first, and lives
    assert sorted(number for _, number in delivered) == [0, *range(100, 150), *range(200, 250), *range(300, 350)]


def test_another_process_takes_over(tmp_path: Path) -> None:
    """When the one that ships is killed."""
    path = tmp_path / "delivered"
    publisher = Shipping(Appending(path), tmp_path / "spool")

    def live() -> None:
        publisher.publish(event(1))
        while True:
            signal.pause()

    child = fork(live)
    wait_for(lambda: appended(path) == [(child, 1)])
    publisher.publish(event(2))
    assert publisher.flush(30)
    assert appended(path)[-1] == (child, 2)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    publisher.publish(event(3))
    assert publisher.flush(30)
    assert appended(path)[-1] == (os.getpid(), 3)


def test_a_destination_that_can_not_be_had_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of certificates that is missing, say: it is tried again, and others may take over meanwhile."""
    monkeypatch.setattr(shipper, "_RETRY_LOCK", 0.001)
    destination, problems = Recording(), [FileNotFoundError("ca.pem"), MemoryError()]

    class Later(Shipping):
        def destination(self) -> Recording:
            if problems:
                raise problems.pop()
            return destination

    publisher = Later(destination, tmp_path)
    publisher.publish(event(1))
    assert publisher.flush(30)
    assert destination.numbers() == [1]


# several publishers


def test_one_journal_for_several(tmp_path: Path) -> None:
    """Under a composite an event is written once, and each destination gets what it wants."""
    one, other = Recording("one"), Recording("other")
    apart = Recording("apart")
    publisher = CompositePublisher(
        Shipping(one, tmp_path / "a"),
        (inner := CompositePublisher(Shipping(apart, tmp_path / "b"))),
        Shipping(other, tmp_path / "a", events=["failed"]),
    )
    within = Recording("within")
    inner << Shipping(within, tmp_path / "a")
    for number in range(20):
        publisher.publish(event(number))
    assert publisher.flush(30)
    assert (one.numbers(), within.numbers(), apart.numbers()) == (list(range(20)),) * 3
    assert other.numbers() == []
    assert len(publisher.outboxes) == 2
    publisher.close()


def test_what_they_must_agree_on(tmp_path: Path) -> None:
    """How their journal is kept."""
    Shipping(Recording("one"), tmp_path)
    with pytest.raises(ConfigError, match="must agree"):
        Shipping(Recording("other"), tmp_path, journal=JournalOptions(drop="oldest"))


def test_another_programs_destination(tmp_path: Path) -> None:
    """What it has not got yet is kept for it."""
    Shipping(Recording("theirs"), tmp_path).close()
    publisher = Shipping(Recording("ours"), tmp_path)
    publisher.publish(event(1))
    assert publisher.flush(30)
    publisher.close()
    theirs = Recording("theirs")
    publisher = Shipping(theirs, tmp_path, flush_timeout=30)
    publisher.publish(event(2))
    publisher.close()
    assert theirs.numbers() == [1, 2]


# a companion


def test_a_companion(tmp_path: Path) -> None:
    """Ships for its family, whose own processes don't; TERM does not end it, and what comes late is delivered too."""
    path = tmp_path / "delivered"
    publisher = CompositePublisher(Shipping(Appending(path), tmp_path / "spool"))
    companion = publisher.companion()
    assert companion is not None
    read, write = os.pipe()

    def ship() -> None:
        os.close(write)
        companion.run(read, timeout=30)

    child = fork(ship)
    publisher.publish(event(1))
    assert publisher.flush(30)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(child, number)
    publisher.publish(event(2))
    os.close(write)
    assert os.waitpid(child, 0)[1] == 0
    assert appended(path) == [(child, 1), (child, 2)]
    os.close(read)


def test_a_companion_leaves_when_told(tmp_path: Path) -> None:
    """Within its time, though the back end takes nothing."""
    publisher = Shipping(Recording(answer=lambda batch: Sent(retry=batch)), tmp_path)
    companion = publisher.companion()
    read, write = os.pipe()
    child = fork(lambda: companion.run(read, timeout=0.1))
    publisher.publish(event(1))
    wait_for(lambda: list((tmp_path / "destinations").glob("*.lock")))
    os.kill(child, signal.SIGQUIT)
    status = os.waitpid(child, 0)[1]
    assert status == 0 or os.WTERMSIG(status) == signal.SIGQUIT  # before it could listen
    os.close(read)
    os.close(write)


class Ring:
    """Refers to itself: only a collection frees it."""

    def __init__(self, freed: Path) -> None:
        self.me = self
        self._freed = freed

    def __del__(self) -> None:
        self._freed.touch()


def test_a_companion_keeps_no_garbage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What failures leave is freed in time, not only after thousands of them."""
    monkeypatch.setattr(outbox, "_COLLECT", 0.05)
    rings: list[Ring] = []  # who has one leaves it at once

    def answer(_batch: Sequence[bytes]) -> Sent:
        rings.append(Ring(tmp_path / "freed"))
        rings.clear()
        return Sent()

    publisher = Shipping(Recording(answer=answer), tmp_path / "spool")
    companion = publisher.companion()
    read, write = os.pipe()
    child = fork(lambda: companion.run(read, timeout=0.1))
    publisher.publish(event(1))
    wait_for((tmp_path / "freed").exists, "a collection")
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(read)
    os.close(write)


class Queues:
    """A sampler."""

    def sample(self) -> list[Sample]:
        return [Sample("clues.queue.depth", 3, "{job}", {"queue": "mail"})]


class Broken:
    """Knows nothing, takes nothing."""

    def sample(self) -> list[Sample]:
        msg = "no"
        raise ValueError(msg)

    def publish(self, event: Event) -> None:
        pass

    def publish_samples(self, _samples: object) -> None:
        msg = "no"
        raise ValueError(msg)


@pytest.mark.parametrize("alone", [True, False], ids=["alone", "with one that ships"])
def test_a_companion_tells_states_to_those_that_take_them(tmp_path: Path, alone: bool) -> None:
    """From all samplers that know any, and how delivery goes; one that raises harms nobody."""
    with Packets() as daemon:
        statsd = StatsdPublisher("127.0.0.1", daemon.port)
        both = CompositePublisher(Broken(), CompositePublisher(statsd), Shipping(Recording(), tmp_path))
        companion = statsd.companion() if alone else both.companion()
        assert companion is not None
        assert companion.ships is not alone
        read, write = os.pipe()
        child = fork(lambda: companion.run(read, [Broken(), Queues()], timeout=0.1))
        found = daemon.next().split(b"\n")
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert b"clues.queue.depth.mail:3|g" in found
    assert (b"clues.delivery.dropped:0|g" in found) is not alone
    os.close(read)
    os.close(write)


# scripts

SCRIPT = """
import sys
from pathlib import Path
from clues.publishers.delivery import Sent
from tests.publishers.destinations import Appending, Recording, Shipping, event

where = Path(sys.argv[1])

class Hung(Recording):
    def send(self, batch):
        import time
        print("sending", flush=True)
        time.sleep(600)

destination = Hung() if sys.argv[2] == "hung" else Appending(where / "delivered")
publisher = Shipping(destination, where / "spool", flush_timeout=float(sys.argv[3]))
publisher.publish(event(1))
if sys.argv[2] == "hung":
    while not (publisher.outbox._shipper and publisher.outbox._shipper._couriers):
        pass
print("done", flush=True)
"""


def run(where: Path, how: str, timeout: str) -> float:
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", SCRIPT, str(where), how, timeout], check=True, timeout=60)
    return time.monotonic() - started


def test_a_short_script(tmp_path: Path) -> None:
    """Ships at its exit."""
    run(tmp_path, "well", "30")
    assert [number for _, number in appended(tmp_path / "delivered")] == [1]


def test_an_exit_with_a_hung_back_end(tmp_path: Path) -> None:
    """Takes no longer than was allowed, not the minutes of the back end; the event is there for the next."""
    assert run(tmp_path, "hung", "0.2") < 30
    assert not (tmp_path / "delivered").exists()
    run(tmp_path, "well", "30")
    assert [number for _, number in appended(tmp_path / "delivered")] == [1, 1]


def test_publishing_at_the_very_end(tmp_path: Path) -> None:
    """When no thread can be started any more: the event is in the journal, and nothing is said."""
    script = SCRIPT.replace(
        "publisher.publish(event(1))", "import atexit\natexit.register(publisher.publish, event(1))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path), "well", "5"],
        check=True,
        timeout=60,
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    destination = Recording("appending")
    publisher = Shipping(destination, tmp_path / "spool", flush_timeout=30)
    publisher.publish(event(2))
    publisher.close()
    assert [*(number for _, number in appended(tmp_path / "delivered")), *destination.numbers()] == [1, 2]
