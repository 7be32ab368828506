"""Lines as datagrams, and the names of those who take them."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Any
from urllib.parse import urlsplit

import pytest

from clues.errors import ConfigError
from clues.event import Event, EventType
from clues.metadata import SYSTEM_KEYS
from clues.publishers import names
from clues.publishers.datagrams import Datagrams, Path
from clues.publishers.names import Address, Name
from clues.publishers.udp import UDPPublisher, shrunk
from tests.forks import forked
from tests.publishers.receivers import Packets, free_port
from tests.requirements import lacking
from tests.stories import Clock, Stage, live
from tests.waiting import wait_for


def an_event(number: int = 0, *, args: list[Any] | None = None, **metadata: Any) -> Event:
    kept = {"_event_hash": "0695f49c5e70fc18da91961113e1769a", "_event_id": "0695f49c5e70fc18da91961113e1769a:1:end"}
    return Event(
        EventType.FAILED, "2026-11-20T20:59:58.123456Z", "mail", kept | metadata | {"n": number}, "J", args or []
    )


@pytest.fixture
def receiver() -> Iterator[Packets]:
    with Packets() as found:
        yield found


@pytest.fixture
def udp(receiver: Packets) -> Iterator[UDPPublisher]:
    found = UDPPublisher("127.0.0.1", receiver.port)
    yield found
    found.close()


def number_of(datagram: bytes) -> int:
    found = json.loads(datagram)["metadata"]["n"]
    assert isinstance(found, int)
    return found


# --- Datagrams ---


def test_a_datagram_for_each_event(receiver: Packets, udp: UDPPublisher) -> None:
    for number in range(3):
        udp.publish(an_event(number))
    assert receiver.next() == an_event(0).line + b"\n"
    assert [number_of(receiver.next()), number_of(receiver.next())] == [1, 2]
    assert receiver.rest() == []


def test_the_users_own_spelling_is_what_is_sent(receiver: Packets) -> None:
    publisher = UDPPublisher("127.0.0.1", receiver.port)
    live(Stage(options={"publisher": publisher, "marshaller": lambda *values: f"{values[0]}!"}).lifecycle, {
        "class": "Job", "args": []
    })  # fmt: skip
    assert [receiver.next() for _ in range(4)] == [
        b"enqueued!\n", b"dequeued!\n", b"perform_started!\n", b"perform_finished!\n"
    ]  # fmt: skip
    publisher.close()


def test_ipv6() -> None:
    try:
        receiver = Packets("::1")
    except OSError as error:
        lacking("ipv6", str(error))
    with receiver:
        publisher = UDPPublisher("::1", receiver.port)
        publisher.publish(an_event(1))
        assert number_of(receiver.next()) == 1
        publisher.close()


def test_localhost_finds_who_listens_at_one_of_its_addresses(receiver: Packets) -> None:
    publisher = UDPPublisher("localhost", receiver.port)
    publisher.publish(an_event(1))
    assert number_of(receiver.next()) == 1
    publisher.close()


def test_nobody_listens_is_counted_for_each_lost_event() -> None:
    """Each but the last, of which nothing can be known as yet."""
    port = free_port(socket.SOCK_DGRAM)
    publisher = UDPPublisher("127.0.0.1", port)
    stage = Stage(options={"publisher": publisher})
    live(stage.lifecycle, {"class": "Job", "args": []})
    assert stage.config.faults.counts == {"UDPPublisher": 3}
    with Packets(port=port) as receiver, pytest.raises(ConnectionRefusedError, match="the datagram before this one"):
        publisher.publish(an_event(5))
    publisher.close()
    assert receiver is not None


def test_a_receiver_that_comes_back_gets_the_very_next_event() -> None:
    port = free_port(socket.SOCK_DGRAM)
    publisher = UDPPublisher("127.0.0.1", port)
    publisher.publish(an_event(1))
    with Packets(port=port) as receiver:
        with pytest.raises(ConnectionRefusedError):
            publisher.publish(an_event(2))
        publisher.publish(an_event(3))
        assert [number_of(receiver.next()), number_of(receiver.next())] == [2, 3]
    publisher.close()


def test_a_full_receiver_is_not_waited_for(tmp_path: FilePath) -> None:
    """A Unix socket tells of it, where UDP would drop."""
    with Packets(path=tmp_path / "s") as receiver:
        datagrams = Datagrams(Path(str(tmp_path / "s")))
        sent = 0
        while _fits(datagrams):
            sent += 1
        assert len(receiver.rest()) == sent > 0
        datagrams.send(b"next")
        assert receiver.next() == b"next"
        datagrams.close()


def _fits(datagrams: Datagrams) -> bool:
    try:
        datagrams.send(b"x")
    except BlockingIOError:
        return False
    return True


def test_a_unix_socket_that_is_made_again_loses_nothing(tmp_path: FilePath) -> None:
    datagrams = Datagrams(Path(str(tmp_path / "s")))
    with pytest.raises(FileNotFoundError):
        datagrams.send(b"0")
    for number in (b"1", b"2"):
        with Packets(path=tmp_path / "s") as receiver:
            datagrams.send(number)
            assert receiver.next() == number
        (tmp_path / "s").unlink()
    datagrams.close()


# --- Processes ---


def test_a_forked_child_has_a_socket_of_its_own(receiver: Packets, udp: UDPPublisher) -> None:
    udp.publish(an_event(1))
    opened = udp._datagrams._socket
    assert opened is not None
    mine = opened.getsockname()

    def child() -> None:
        udp.publish(an_event(2))
        other = udp._datagrams._socket
        assert other is not None
        assert other.getsockname() != mine

    assert forked(child) == 0
    udp.publish(an_event(3))
    assert udp._datagrams._socket is opened
    assert [number_of(receiver.next()) for _ in range(3)] == [1, 2, 3]


def test_a_number_that_is_another_files_now_is_left_alone(receiver: Packets, udp: UDPPublisher) -> None:
    """A daemon closes all it has inherited, and opens its own."""
    udp.publish(an_event(1))
    opened = udp._datagrams._socket
    assert opened is not None
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        os.dup2(ours.fileno(), opened.fileno())
        number = opened.fileno()
        try:
            udp.publish(an_event(2))
            theirs.settimeout(0)
            with pytest.raises(BlockingIOError):
                theirs.recv(1)
            os.fstat(number)  # still open, for whoever it belongs to
        finally:
            os.close(number)
    assert [number_of(receiver.next()) for _ in range(2)] == [1, 2]


def test_closed_then_published(receiver: Packets, udp: UDPPublisher) -> None:
    udp.publish(an_event(1))
    udp.close()
    udp.close()
    udp.publish(an_event(2))
    assert [number_of(receiver.next()) for _ in range(2)] == [1, 2]


def test_threads(receiver: Packets, udp: UDPPublisher) -> None:
    threads = [threading.Thread(target=udp.publish, args=(an_event(number),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(number_of(receiver.next()) for _ in range(8)) == list(range(8))


# --- Sizes ---

BIG = {
    "args": ["a" * 3000],
    "_backtrace": ["b" * 100] * 30,
    "_message": "m" * 3000,
    "user": "u" * 3000,
}


def big() -> Event:
    more = {key: value for key, value in BIG.items() if key != "args"}
    return an_event(7, args=["a" * 3000], _exception="ValueError", _time_to_perform=1.5, **more)


@pytest.mark.parametrize(
    ("size", "cut"),
    [
        (20_000, None),
        (11_000, ["args"]),
        (8_000, ["args", "_backtrace"]),
        (5_000, ["args", "_backtrace", "metadata"]),
        (2_000, ["args", "_backtrace", "metadata", "_message"]),
        (512, ["args", "_backtrace", "metadata", "_message"]),
    ],
)
def test_what_is_too_large_is_shortened_in_order(size: int, cut: list[str] | None, receiver: Packets) -> None:
    publisher = UDPPublisher("127.0.0.1", receiver.port, max_bytes=size)
    publisher.publish(big())
    datagram = receiver.next()
    publisher.close()
    assert len(datagram) <= size
    found = Event.from_line(datagram)
    assert found.metadata.get("_truncated") == cut
    for key in ("_event_hash", "_event_id", "_exception", "_time_to_perform"):
        assert found.metadata[key] == big().metadata[key]
    if cut is not None and size > 600:
        assert size - len(datagram) < 1000  # no more is taken than needs be


def test_every_size_gives_an_event_within_it() -> None:
    for size in range(511, 13_000, 97):
        line = shrunk(big(), size)
        assert len(line) <= size
        assert Event.from_line(line).metadata["_event_id"] == big().metadata["_event_id"]


def test_what_was_cut_before_is_still_said() -> None:
    event = an_event(1, args=["a" * 9000], _truncated=["_message"])
    assert Event.from_line(shrunk(event, 1000)).metadata["_truncated"] == ["_message", "args"]


def test_a_marshaller_that_ignores_all_limits() -> None:
    """The smallest standard line is sent in place of its text."""
    event = Event(
        EventType.FAILED, "2026-11-20T20:59:58.123456Z", "q" * 500, {"_event_hash": "h", "x": 1}, "J" * 500, [1],
        marshaller=lambda *_: "x" * 10_000,
    )  # fmt: skip
    found = Event.from_line(shrunk(event, 511))
    assert found.metadata["_event_hash"] == "h"
    assert "metadata" in found.metadata["_truncated"]


def test_what_can_not_be_shortened_is_counted_as_lost() -> None:
    with pytest.raises(OSError, match="larger than 511 bytes"):
        shrunk(an_event(1, _event_hash="h" * 1000), 511)


def test_system_keys_are_not_the_users() -> None:
    """What is emptied as the user's metadata has no underscore."""
    assert all(key.startswith("_") for key in SYSTEM_KEYS)


# --- Names ---


class Resolver:
    """Answers when it is told to."""

    def __init__(self, *places: tuple[str, int]) -> None:
        self.places = list(places)
        self.asked = 0
        self.answers = threading.Event()
        self.answers.set()

    def __call__(self, host: str, port: int, kind: int) -> list[Address]:
        self.asked += 1
        assert self.answers.wait(30)
        if not self.places:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [Address(socket.AF_INET, place) for place in self.places]


def test_a_name_is_looked_up_again_and_followed() -> None:
    clock = Clock(1000.0)
    with Packets() as old, Packets() as new:
        resolver = Resolver(("127.0.0.1", old.port))
        name = Name("logs.test", 1, every=60, resolve=resolver, clock=clock)
        publisher = UDPPublisher("logs.test", 1, place=name)
        publisher.publish(an_event(1))
        resolver.places = [("127.0.0.1", new.port)]
        clock.now += 59
        publisher.publish(an_event(2))
        assert resolver.asked == 1
        clock.now += 2
        resolver.answers.clear()
        publisher.publish(an_event(3))  # has it looked up, and does not wait for that
        resolver.answers.set()
        wait_for(lambda: name.addresses()[0].place[1] == new.port, "the new address")
        publisher.publish(an_event(4))
        assert number_of(new.next()) == 4
        assert [number_of(one) for one in old.rest()] == [1, 2, 3]
        assert resolver.asked == 2
        publisher.close()


def test_an_event_never_waits_for_a_name(monkeypatch: pytest.MonkeyPatch, receiver: Packets) -> None:
    monkeypatch.setattr(names, "PATIENCE", 0.0)
    resolver = Resolver(("127.0.0.1", receiver.port))
    resolver.answers.clear()
    name = Name("logs.test", 1, resolve=resolver)
    publisher = UDPPublisher("logs.test", 1, place=name)
    with pytest.raises(OSError, match=r"the address of logs\.test is not known"):
        publisher.publish(an_event(1))
    resolver.answers.set()
    wait_for(lambda: _takes(publisher, an_event(2)), "the name to be known")
    assert number_of(receiver.next()) == 2
    assert resolver.asked == 1
    publisher.close()


def _takes(publisher: UDPPublisher, event: Event) -> bool:
    try:
        publisher.publish(event)
    except OSError:
        return False
    return True


def test_a_name_that_is_not_found_is_asked_for_again_soon() -> None:
    clock = Clock(1000.0)
    resolver = Resolver()
    name = Name("logs.test", 1, resolve=resolver, clock=clock)
    with pytest.raises(OSError, match="Name or service not known"):
        name.addresses()
    assert resolver.asked == 1
    resolver.places = [("127.0.0.1", 9)]
    clock.now += 6
    wait_for(lambda: _knows(name), "the name to be known")
    assert resolver.asked == 2


def _knows(name: Name) -> bool:
    try:
        return bool(name.addresses())
    except OSError:
        return False


def test_a_failed_look_up_leaves_the_old_address() -> None:
    clock = Clock(1000.0)
    resolver = Resolver(("127.0.0.1", 9))
    name = Name("logs.test", 1, resolve=resolver, clock=clock)
    resolver.places = []
    clock.now += 61
    assert name.addresses() == (Address(socket.AF_INET, ("127.0.0.1", 9)),)
    wait_for(lambda: resolver.asked == 2, "the look-up")
    assert name.addresses() == (Address(socket.AF_INET, ("127.0.0.1", 9)),)


def test_forked_children_share_what_one_of_them_found() -> None:
    """Else each job's own process would look the name up."""
    clock = Clock(1000.0)
    resolver = Resolver(("127.0.0.1", 1))
    name = Name("logs.test", 1, resolve=resolver, clock=clock)
    clock.now += 61
    resolver.places = [("127.0.0.1", 2)]

    def looks_up() -> None:
        name.addresses()
        wait_for(lambda: name.addresses()[0].place[1] == 2, "the new address")
        assert resolver.asked == 2

    assert forked(looks_up) == 0
    assert name.addresses()[0].place == ("127.0.0.1", 2)
    assert resolver.asked == 1

    def does_not() -> None:
        assert name.addresses()[0].place[1] == 2
        assert resolver.asked == 1

    assert forked(does_not) == 0


def test_the_address_where_nobody_listens_is_tried_last(receiver: Packets) -> None:
    """By forked children too, after one of them has found out."""
    resolver = Resolver(("127.0.0.1", free_port(socket.SOCK_DGRAM)), ("127.0.0.1", receiver.port))
    name = Name("logs.test", 1, resolve=resolver)
    publisher = UDPPublisher("logs.test", 1, place=name)

    def finds_out() -> None:
        publisher.publish(an_event(1))
        with pytest.raises(ConnectionRefusedError):
            publisher.publish(an_event(2))

    assert forked(finds_out) == 0
    publisher.publish(an_event(3))
    assert [number_of(receiver.next()) for _ in range(2)] == [2, 3]
    publisher.close()


def test_a_look_up_keeps_the_one_that_listens_first() -> None:
    clock = Clock(1000.0)
    resolver = Resolver(("127.0.0.1", 1), ("127.0.0.1", 2))
    name = Name("logs.test", 1, resolve=resolver, clock=clock)
    name.refused(name.addresses()[0])
    clock.now += 61
    name.addresses()
    assert name._thread is not None
    name._thread.join()
    assert resolver.asked == 2
    assert [address.place[1] for address in name.addresses()] == [2, 1]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_an_address_is_never_looked_up(host: str) -> None:
    def never(*_: object) -> list[Address]:
        raise AssertionError

    clock = Clock(1000.0)
    name = Name(host, 9, resolve=never, clock=clock)
    clock.now += 1e9
    assert name.addresses()[0].place[:2] == (host, 9)


def test_a_process_that_can_have_no_more_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(1000.0)
    name = Name("logs.test", 1, resolve=Resolver(("127.0.0.1", 9)), clock=clock)
    clock.now += 61

    def none_left(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", none_left)
    assert name.addresses()


def test_more_addresses_than_there_is_room_for() -> None:
    name = Name("logs.test", 1, resolve=Resolver(*((f"127.0.{n}.1", 9) for n in range(250))))
    assert 50 < len(name.addresses()) < 250


# --- Settings ---


def test_urls(receiver: Packets) -> None:
    publisher = UDPPublisher.from_url(urlsplit(f"udp://127.0.0.1:{receiver.port}?max_bytes=1432&resolve_every=5"))
    publisher.publish(big())
    assert len(receiver.next()) <= 1432
    publisher.close()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("udp://127.0.0.1", "a host and a port"),
        ("udp://:514", "host's name"),
        ("udp://127.0.0.1:514/path", "a host and a port"),
        ("udp://me:secret@127.0.0.1:514", "a host and a port"),
        ("udp://127.0.0.1:99999", "Port out of range"),
        ("udp://127.0.0.1:514?max_bytes=big", "big"),
        ("udp://127.0.0.1:514?max_bytes=100", "from 512"),
        ("udp://127.0.0.1:514?max_bytes=65508", "to 65507"),
        ("udp://127.0.0.1:514?resolve_every=0", "resolve_every"),
        ("udp://127.0.0.1:514?color=red", "color"),
    ],
)
def test_mistaken_urls(url: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        UDPPublisher.from_url(urlsplit(url))
    assert "secret" not in str(caught.value)
