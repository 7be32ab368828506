"""Lines over TCP, to receivers that read, hang, die and come back."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest

from clues.errors import ConfigError
from clues.event import Event, EventType
from clues.publishers import connection
from clues.publishers.delivery import Destination
from clues.publishers.names import look_up_within
from clues.publishers.tcp import TCPPublisher
from clues.publishers.tcp_destination import DOUBTFUL_BYTES, DOUBTFUL_TIME, TLS, TCPDestination
from clues.publishers.udp import UDPPublisher
from tests.publishers.receivers import Authority, Lines, free_port
from tests.requirements import lacking
from tests.stories import Clock
from tests.waiting import wait_for


def an_event(number: int = 0, text: str = "") -> Event:
    return Event(EventType.ENQUEUED, "2026-11-20T20:59:58.123456Z", "mail", {"n": number, "text": text}, "Job", [])


def line(number: int = 0, text: str = "") -> bytes:
    return an_event(number, text).line


@pytest.fixture
def receiver() -> Iterator[Lines]:
    with Lines() as found:
        yield found


class To:
    """A destination, and its clock."""

    def __init__(self, port: int, **options: Any) -> None:
        self.clock = Clock()
        self.destination = TCPDestination(
            "tcp:test", "127.0.0.1", port, clock=self.clock, **{"timeout": 5.0, **options}
        )

    def delivers(self, *numbers: int) -> None:
        sent = self.destination.send([line(number) for number in numbers])
        assert (list(sent.retry), list(sent.refused), sent.problem) == ([], [], "")


@pytest.fixture
def to(receiver: Lines) -> Iterator[To]:
    found = To(receiver.port)
    yield found
    found.destination.close()


# --- Lines and connections ---


def test_a_batch_is_lines_and_the_connection_is_kept(receiver: Lines, to: To) -> None:
    to.delivers(1, 2)
    to.delivers(3)
    receiver.wait_for_numbers(1, 2, 3)
    assert receiver.lines[0] == line(1)
    assert receiver.connections == 1


def test_it_is_a_destination(to: To) -> None:
    destination: Destination = to.destination
    assert destination.name == "tcp:test"


def test_a_line_of_any_size_arrives_whole(receiver: Lines, to: To) -> None:
    big = line(1, "x" * 3_000_000)
    sent = to.destination.send([big])
    assert not sent.retry, sent.problem
    wait_for(lambda: receiver.lines == [big], "the line")


def test_what_is_no_event_is_refused_and_the_others_go(receiver: Lines, to: To) -> None:
    torn = line(2)[:20] + line(3)
    sent = to.destination.send([line(1), b"", torn, b"{}", line(4)])
    assert [refusal.line for refusal in sent.refused] == [b"", torn, b"{}"]
    assert all("not an event" in refusal.reason or "JSON" in refusal.reason or "Expecting" in refusal.reason
               for refusal in sent.refused)  # fmt: skip
    assert not sent.retry
    receiver.wait_for_numbers(1, 4)


def test_what_the_peer_says_is_not_listened_to() -> None:
    """Some greet, some answer each line."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        to = To(listener.getsockname()[1])
        try:
            to.delivers(1)
            peer, _ = listener.accept()
            with peer:
                for number in (2, 3):
                    peer.sendall(b"220 thank you\r\n" * 1000)
                    to.delivers(number)
                assert peer.recv(1 << 16).count(b"\n") == 3
        finally:
            to.destination.close()


def test_ipv6() -> None:
    try:
        receiver = Lines(host="::1")
    except OSError as error:
        lacking("ipv6", str(error))
    with receiver:
        destination = TCPDestination("tcp:test", "::1", receiver.port)
        assert not destination.send([line(1)]).retry
        receiver.wait_for_numbers(1)
        destination.close()


def test_a_name_with_several_addresses(receiver: Lines) -> None:
    """localhost is ::1 too, and the receiver listens at 127.0.0.1 alone."""
    destination = TCPDestination("tcp:test", "localhost", receiver.port)
    assert not destination.send([line(1)]).retry
    receiver.wait_for_numbers(1)
    destination.close()


# --- Peers that go away ---


def test_nobody_listens_then_somebody_does() -> None:
    port = free_port()
    to = To(port)
    sent = to.destination.send([line(1), line(2)])
    assert list(sent.retry) == [line(1), line(2)]
    assert "refused" in sent.problem.lower()
    with Lines(port=port) as receiver:
        to.delivers(1, 2)
        receiver.wait_for_numbers(1, 2)
        to.destination.close()


def test_a_peer_that_closes_in_order_has_read_all(receiver: Lines, to: To) -> None:
    """Nothing is lost and nothing comes twice."""
    to.delivers(1)
    receiver.wait_for_numbers(1)
    receiver.hang_up()
    to.delivers(2)
    receiver.wait_for_numbers(1, 2)
    assert receiver.connections == 2


def test_a_peer_that_dies_with_unread_lines_gets_them_again() -> None:
    """Its kernel had acknowledged them; its end resets the connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        to = To(listener.getsockname()[1])
        to.delivers(1)
        peer, _ = listener.accept()
        assert peer.recv(1 << 16) == line(1) + b"\n"
        to.delivers(2, 3)
        peer.close()
        to.delivers(4)
        to.destination.close()
        peer, _ = listener.accept()
        with peer, peer.makefile("rb") as lines:
            assert [json.loads(found)["metadata"]["n"] for found in lines] == [1, 2, 3, 4]


def test_doubtful_lines_are_kept_for_minutes_and_within_a_size(receiver: Lines, to: To) -> None:
    to.delivers(1)
    to.clock.now += DOUBTFUL_TIME + 1
    to.delivers(2)
    assert [json.loads(lines)["metadata"]["n"] for _, lines in to.destination._doubtful] == [2]
    big = line(3, "x" * (DOUBTFUL_BYTES - 200))
    assert not to.destination.send([big]).retry
    to.delivers(4)
    assert sum(len(lines) for _, lines in to.destination._doubtful) <= DOUBTFUL_BYTES
    to.delivers(5, 6)
    assert to.destination._doubtful[-1][1] == line(5) + b"\n" + line(6) + b"\n"


def test_a_peer_that_dies_amid_a_batch_gets_all_of_it_again() -> None:
    """It reads a little, and goes: whether in order or not, the bytes behind that are answered by a reset."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        to = To(listener.getsockname()[1])
        batch = [line(number, "x" * 100_000) for number in range(100)]

        def die() -> None:
            peer, _ = listener.accept()
            peer.recv(1000)
            peer.close()

        thread = threading.Thread(target=die)
        thread.start()
        sent = to.destination.send(batch)
        thread.join()
        assert list(sent.retry) == batch
        assert sent.problem
        to.destination.close()


def test_a_reset_behind_an_orderly_end_is_no_delivery() -> None:
    """The peer has gone when the lines come: reading alone would tell of an orderly end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        to = To(listener.getsockname()[1])
        to.delivers(1)
        peer, _ = listener.accept()
        assert peer.recv(1 << 16) == line(1) + b"\n"
        opened = to.destination._connection
        assert opened is not None
        peer.close()
        with pytest.raises(OSError) as caught:  # as if the end had come just after the look
            opened.deliver(line(2) + b"\n")
        assert caught.value.errno
        to.destination.close()


RECEIVER = """
import os, signal, socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
out = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
print("listening", flush=True)
peer, _ = listener.accept()
limit = int(sys.argv[3])
while data := peer.recv(min(65536, limit)):
    os.write(out, data)
    limit -= len(data)
    if not limit:
        print("full", flush=True)
        signal.pause()
"""


def test_a_program_that_is_killed_again_and_again_misses_nothing(tmp_path: Path) -> None:
    """It reads some, and is killed with the rest unread; its successor gets that, and what comes later."""
    port, out, to = free_port(), tmp_path / "out", None
    next_number = 0
    for limit in (1500, 4000, 10_000, 1 << 30):
        command = [sys.executable, "-c", RECEIVER, str(port), str(out), str(limit)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as program:
            assert program.stdout is not None
            assert program.stdout.readline() == b"listening\n"
            to = to or To(port)
            to.destination.send([line(next_number)])  # may find the one before gone
            for _ in range(30):
                to.delivers(next_number, next_number + 1)
                next_number += 1
            if limit < 1 << 30:
                assert program.stdout.readline() == b"full\n"
                program.kill()
            else:
                to.destination.close()
    found = {json.loads(text)["metadata"]["n"] for text in out.read_bytes().split(b"\n") if _is_whole(text)}
    assert found == set(range(next_number + 1))


def _is_whole(text: bytes) -> bool:
    """Where a program was killed, its last line stays torn, with the next one's first behind it."""
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


# --- Peers that hang ---


@pytest.mark.parametrize(
    ("batch", "problem"),
    [
        ([line(number, "x" * 100_000) for number in range(100)], "TimeoutError"),
        ([line(number, "x" * 10_000) for number in range(20)], "has not taken"),
    ],
    ids=["more than the kernels hold", "less than the own kernel holds, more than the peer's"],
)
def test_accepted_and_never_read(batch: list[bytes], problem: str) -> None:
    """All of it is sent again after the timeout; the send queue is waited for, too."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        to = To(listener.getsockname()[1], timeout=0.2)
        sent = to.destination.send(batch)
        assert list(sent.retry) == batch
        assert problem in sent.problem
        assert to.destination._connection is None


def test_a_slow_peer_that_moves_is_waited_for(receiver: Lines, to: To, monkeypatch: pytest.MonkeyPatch) -> None:
    """The timeout is for standing still: ten bytes in forty seconds are fine, where none in five are not."""
    to.delivers(1)
    clock, left = Clock(), list(range(10, -1, -1))

    def slowly(opened: socket.socket) -> int:
        clock.now += 4.0
        return left.pop(0)

    monkeypatch.setattr(connection, "_unacknowledged", slowly)
    monkeypatch.setattr(connection, "time", SimpleNamespace(monotonic=clock))
    to.delivers(2)
    assert left == []
    left[:] = [10] * 5
    assert "has not taken 10 bytes for 5 s" in to.destination.send([line(3)]).problem


def test_a_black_hole_ends_with_the_timeout() -> None:
    """A listener whose queue is full answers no SYN."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = []
        try:
            for _ in range(4):
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex(listener.getsockname())
                fillers.append(filler)
            to = To(listener.getsockname()[1], timeout=0.2)
            sent = to.destination.send([line(1)])
            assert list(sent.retry) == [line(1)]
            assert "timed out" in sent.problem.lower()
        finally:
            for filler in fillers:
                filler.close()


def test_a_name_that_nobody_answers_for_ends_with_the_timeout() -> None:
    release = threading.Event()

    def silent(host: str, port: int, kind: int) -> list[Any]:
        release.wait(30)
        return []

    with pytest.raises(TimeoutError, match="what the address of logs"):
        look_up_within(0.05, "logs.test", 1, socket.SOCK_STREAM, silent)
    release.set()


# --- TLS ---


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    if shutil.which("openssl") is None:
        lacking("openssl", "no openssl on PATH")
    return Authority(tmp_path_factory.mktemp("authority"))


def test_over_tls(authority: Authority) -> None:
    with Lines(context=authority.server()) as receiver:
        to = To(receiver.port, tls=TLS(ca_certs=str(authority.ca)))
        to.delivers(1, 2)
        to.delivers(3)
        receiver.wait_for_numbers(1, 2, 3)
        assert receiver.connections == 1
        receiver.hang_up()
        to.delivers(4)
        wait_for(lambda: receiver.numbers[-1] == 4, "the line after")
        to.destination.close()


def test_a_peer_that_is_not_trusted_gets_nothing(authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path)
    with Lines(context=authority.server()) as receiver:
        for tls, problem in (
            (TLS(ca_certs=str(other.ca)), "certificate verify failed"),
            (TLS(), "certificate verify failed"),
            (TLS(ca_certs=str(authority.ca), server_name="elsewhere.example.com"), "elsewhere.example.com"),
        ):
            sent = To(receiver.port, tls=tls).destination.send([line(1)])
            assert list(sent.retry) == [line(1)]
            assert problem in sent.problem
        to = To(receiver.port, tls=TLS(ca_certs=str(authority.ca), server_name="logs.example.com"))
        to.delivers(2)
        receiver.wait_for_numbers(2)
        to.destination.close()


def test_a_peer_that_wants_a_certificate(authority: Authority) -> None:
    """Without one nothing counts as delivered, though TLS 1.3 says so only after the handshake."""
    certificate, key = authority.issue("client")
    with Lines(context=authority.server(wants_certificate=True)) as receiver:
        for _ in range(3):
            sent = To(receiver.port, tls=TLS(ca_certs=str(authority.ca))).destination.send([line(1)])
            assert list(sent.retry) == [line(1)]
        to = To(receiver.port, tls=TLS(str(authority.ca), str(certificate), str(key)))
        to.delivers(2)
        receiver.wait_for_numbers(2)
        to.destination.close()


def test_plain_lines_to_a_tls_port_are_not_delivered(authority: Authority) -> None:
    """Its end comes as a reset, or in order: in either case at the latest with the next batch, which says so."""
    with Lines(context=authority.server()) as receiver:
        to = To(receiver.port)
        to.destination.send([line(1)])
        wait_for(lambda: to.destination.send([line(2)]).retry or receiver.connections > 1, "a new connection")
        assert receiver.lines == []
        to.destination.close()


# --- The publisher ---


def test_events_go_by_the_journal(receiver: Lines, tmp_path: Path) -> None:
    publisher = TCPPublisher("127.0.0.1", receiver.port, spool=tmp_path / "spool")
    try:
        for number in range(20):
            publisher.publish(an_event(number))
        assert publisher.flush(30)
        receiver.wait_for_numbers(*range(20))
    finally:
        publisher.close()


def test_a_receiver_that_comes_back_gets_what_it_missed(tmp_path: Path) -> None:
    port = free_port()
    publisher = TCPPublisher("127.0.0.1", port, spool=tmp_path / "spool", flush_timeout=0)
    try:
        for number in range(5):
            publisher.publish(an_event(number))
        assert not publisher.flush(0.05)
        with Lines(port=port) as receiver:
            assert publisher.flush(30)
            receiver.wait_for_numbers(*range(5))
    finally:
        publisher.close()


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("tcp://logs.example.com:5170", "tcp:logs.example.com:5170"),
        ("tcp://[::1]:5170/?timeout=2.5", "tcp:::1:5170"),
        ("tcp+tls://logs.example.com:6514?server_name=logs&timeout=1", "tcp+tls:logs.example.com:6514"),
    ],
)
def test_urls(url: str, name: str, tmp_path: Path) -> None:
    publisher = TCPPublisher.from_url(urlsplit(f"{url}{'&' if '?' in url else '?'}spool={tmp_path / 'spool'}"))
    try:
        assert publisher.name == publisher.destination().name == name
    finally:
        publisher.close()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("tcp://logs.example.com", "a host and a port"),
        ("tcp://:5170", "host's name"),
        ("tcp://logs.example.com:99999", "Port out of range"),
        ("tcp://me:secret@logs.example.com:5170", "a host and a port"),
        ("tcp://logs.example.com:5170/path", "a host and a port"),
        ("tcp://logs.example.com:5170?colour=red", "colour"),
        ("tcp://logs.example.com:5170?timeout=soon", "soon"),
        ("tcp://logs.example.com:5170?timeout=0", "timeout"),
        ("tcp://logs.example.com:5170?ca_certs=/etc/ca.pem", "tls"),
        ("tcp+tls://logs.example.com:5170?ca_certs=/nowhere/ca.pem", "/nowhere/ca.pem"),
        ("tcp+tls://logs.example.com:5170?certificate=/nowhere/me.pem", "/nowhere/me.pem"),
    ],
)
def test_mistaken_urls(url: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        TCPPublisher.from_url(urlsplit(url))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(("host", "port"), [("", 1), ("a b", 1), (None, 1), ("h", 0), ("h", 65536), ("h", "80")])
def test_mistaken_addresses(host: Any, port: Any) -> None:
    with pytest.raises(ConfigError, match="TCPPublisher"):
        TCPPublisher(host, port)


# --- A real rsyslog ---

RECIPES = Path(__file__).parents[2] / "docs" / "recipes.md"


@contextmanager
def rsyslog(folder: Path, config: str) -> Iterator[subprocess.Popen[bytes]]:
    """A real rsyslogd with this configuration."""
    program = os.environ.get("RSYSLOGD") or shutil.which("rsyslogd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        lacking("rsyslog", "no rsyslogd on PATH; apt-get install rsyslog rsyslog-openssl, or its path in RSYSLOGD")
    (folder / "rsyslog.conf").write_text(f'{config}global(workDirectory="{folder}")\n')
    options: list[str | Path] = ["-n", "-f", folder / "rsyslog.conf", "-i", folder / "pid"]
    with (folder / "output").open("wb") as output:
        server = subprocess.Popen([program, *options], stdout=output, stderr=output)
    try:
        yield server
    finally:
        server.terminate()
        server.wait(30)


def recipe(first_line: str) -> str:
    """The configuration of docs/recipes.md that begins so."""
    found = re.search(rf"```text\n({re.escape(first_line)}\n.*?)```", RECIPES.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def test_a_real_rsyslog_writes_events_as_they_are(tmp_path: Path) -> None:
    """Over TCP and UDP."""
    tcp, udp, file = free_port(), free_port(socket.SOCK_DGRAM), tmp_path / "events.log"
    config = recipe('global(maxMessageSize="64k")').replace("5170", str(tcp))
    config = config.replace("/var/log/clues/events.log", str(file))
    more = f'module(load="imudp")\ninput(type="imudp" port="{udp}" address="127.0.0.1" ruleset="clues")\n'
    with rsyslog(tmp_path, config + more) as server:
        destination = TCPDestination("tcp:test", "127.0.0.1", tcp)
        events = [line(1, 'Grüße\n\t"\\'), line(2, "x" * 20_000), line(3)]
        wait_for(lambda: not destination.send(events[:1]).retry or server.poll() is not None, "rsyslog")
        assert server.poll() is None, (tmp_path / "output").read_text()
        assert not destination.send(events[1:]).retry
        destination.close()
        wait_for(lambda: _lines_of(file) == events, "the events by TCP")
        publisher = UDPPublisher("127.0.0.1", udp)
        publisher.publish(an_event(4))
        publisher.publish(an_event(5, "x" * 20_000))
        publisher.close()
        wait_for(lambda: len(_lines_of(file)) == 5, "the events by UDP")
        assert _lines_of(file)[3] == line(4)
        assert Event.from_line(_lines_of(file)[4]).metadata["_truncated"] == ["metadata"]


def test_a_real_rsyslog_over_tls(tmp_path: Path, authority: Authority) -> None:
    port, file = free_port(), tmp_path / "events.log"
    certificate, key = authority.issue("rsyslog", "IP:127.0.0.1")
    config = recipe("global(").replace("6514", str(port)).replace("/var/log/clues/events.log", str(file))
    for shown, ours in (("ca.pem", authority.ca), ("server.pem", certificate), ("server.key", key)):
        config = config.replace(f"/etc/rsyslog.d/{shown}", str(ours))
    with rsyslog(tmp_path, config) as server:
        output = tmp_path / "output"
        to = To(port, tls=TLS(ca_certs=str(authority.ca)))
        wait_for(
            lambda: (
                not to.destination.send([line(1)]).retry or server.poll() is not None or b"ossl" in output.read_bytes()
            ),
            "rsyslog",
        )
        if b"ossl" in output.read_bytes():
            lacking("rsyslog", f"no rsyslog-openssl: {output.read_text()[:300]}")
        to.delivers(2, 3)
        to.destination.close()
        wait_for(lambda: _lines_of(file) == [line(1), line(2), line(3)], "the events")


def _lines_of(file: Path) -> list[bytes]:
    return file.read_bytes().split(b"\n")[:-1] if file.exists() else []
