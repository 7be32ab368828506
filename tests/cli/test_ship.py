"""``clues ship`` and ``clues doctor``."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from clues.cli import main
from clues.event import EventType
from clues.publishers.journal import Journal
from clues.publishers.spool import Checkpoint, Spool
from tests.cli.running import clues
from tests.publishers.destinations import event
from tests.publishers.receivers import Lines, free_port
from tests.waiting import wait_for


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("CLUES_SPOOL", raising=False)
    monkeypatch.delenv("CLUES_PUBLISHERS", raising=False)
    return tmp_path / "state" / "clues"


@pytest.fixture
def receiver() -> Iterator[Lines]:
    """A TCP port that takes lines."""
    with Lines() as listening:
        yield listening


def lines(*numbers: int) -> bytes:
    return b"".join(event(number).line + b"\n" for number in numbers)


def got(receiver: Lines) -> list[int]:
    return [json.loads(line)["args"][0] for line in receiver.lines]


# clues ship FILE


def test_logs(tmp_path: Path, receiver: Lines) -> None:
    """Plain and gzipped; comments are passed over; again, it sends only what is new."""
    log, old = tmp_path / "events.log", tmp_path / "events.log.1.gz"
    old.write_bytes(gzip.compress(lines(*range(2000))))
    log.write_bytes(b"# Logfile created by Ruby\n\n" + lines(2000, 2001))
    to = f"tcp://127.0.0.1:{receiver.port}"
    found = clues("ship", old, log, "--to", to)
    assert found.returncode == 0
    assert "2,002 delivered" in found.stderr
    assert got(receiver) == list(range(2002))
    with log.open("ab") as file:
        file.write(lines(2002))
    renamed = log.rename(tmp_path / "events.log.1")
    found = clues("ship", renamed, "--to", to, "--json")
    assert json.loads(found.stdout)["delivered"] == 1
    assert got(receiver)[2002:] == [2002]
    found = clues("ship", renamed, "--to", to, "--restart", "--json")
    assert json.loads(found.stdout) == {
        "destination": f"tcp:127.0.0.1:{receiver.port}",
        "delivered": 3,
        "refused": 0,
        "left_out": 0,
        "retried": 0,
        "complete": True,
    }


def test_a_back_end_that_is_down(tmp_path: Path) -> None:
    """Is waited for; --timeout ends that, and the same command goes on later."""
    log, port = tmp_path / "events.log", free_port()
    log.write_bytes(lines(*range(10)))
    to = f"tcp://127.0.0.1:{port}"
    found = clues("ship", log, "--to", to, "--timeout", "0.5")
    assert found.returncode == 1
    assert "not all of it" in found.stderr
    with Lines(port=port) as receiver:
        assert clues("ship", log, "--to", to).returncode == 0
        assert got(receiver) == list(range(10))


def test_interrupted(tmp_path: Path) -> None:
    """By Ctrl-C: says that it can be continued."""
    log = tmp_path / "events.log"
    log.write_bytes(lines(1))
    running = subprocess.Popen(
        [sys.executable, "-m", "clues", "ship", log, "--to", f"tcp://127.0.0.1:{free_port()}"],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stderr is not None
    running.stderr.readline()  # that it is refused
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=30)
    assert running.returncode == 1
    assert "goes on from here" in said


def test_dead_letters_and_choices(tmp_path: Path, receiver: Lines) -> None:
    """A dead letter's events are sent as they were; a URL may want only some."""
    letter = tmp_path / "dead.jsonl"
    kinds = (EventType.FAILED, EventType.ENQUEUED)
    letter.write_bytes(
        b"".join(
            json.dumps({"destination": "x", "reason": "y", "at": "z", "event": json.loads(event(1, kind).line)},
                       separators=(",", ":")).encode() + b"\n"
            for kind in kinds
        )
    )  # fmt: skip
    found = clues("ship", letter, "--to", f"tcp://127.0.0.1:{receiver.port}?events=failed", "--json")
    assert (found.returncode, json.loads(found.stdout)["left_out"]) == (0, 1)
    assert receiver.lines == [event(1, EventType.FAILED).line]


def test_what_is_no_event(tmp_path: Path, state: Path) -> None:
    """Is refused, kept with its reason, and the exit status says so."""
    log = tmp_path / "events.log"
    log.write_bytes(lines(1) + b"nonsense\n" + lines(2))
    found = clues("ship", log, "--to", f"log://{tmp_path}/copy.log")
    assert found.returncode == 1
    assert "1 refused" in found.stderr
    assert (tmp_path / "copy.log").read_bytes() == lines(1, 2)
    (letter,) = (state / "spool" / "shipped" / "dead").iterdir()
    assert json.loads(letter.read_text())["event"] == "nonsense"


def test_what_it_keeps_is_in_the_spool(tmp_path: Path) -> None:
    """Wherever that is, and whatever stands beside it; nobody else can read either."""
    log, spool = tmp_path / "events.log", tmp_path / "chosen"
    log.write_bytes(b"nonsense\n")
    assert clues("ship", log, "--to", "noop://", environ={"CLUES_SPOOL": str(spool)}).returncode == 1
    assert {path.name for path in tmp_path.iterdir()} == {"events.log", "chosen"}
    assert [path.stat().st_mode & 0o777 for path in (spool, spool / "shipped")] == [0o700, 0o700]
    assert len(list((spool / "shipped" / "dead").iterdir())) == 1


def test_a_reader_that_leaves(tmp_path: Path) -> None:
    """As `head` does: then it ends at once, and waits for no back end."""
    log = tmp_path / "events.log"
    log.write_bytes(lines(*range(2000)))
    command = f"{sys.executable} -m clues ship {log} --to stdout:// | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.encode() == lines(0)
    assert done.stderr == ""


def test_logs_that_begin_alike(tmp_path: Path) -> None:
    """With the same comment: they are two all the same."""
    for name, number in (("a.log", 1), ("b.log", 2)):
        (tmp_path / name).write_bytes(b"# events of shop\n" + lines(number))
    found = clues("ship", tmp_path / "a.log", tmp_path / "b.log", "--to", f"log://{tmp_path}/copy.log")
    assert found.returncode == 0
    assert (tmp_path / "copy.log").read_bytes() == lines(1, 2)


def test_a_log_that_is_cut_off(tmp_path: Path) -> None:
    """What can be read of it is delivered, and those after it are; the exit status says so."""
    (tmp_path / "a.log.gz").write_bytes(gzip.compress(lines(*range(5000)))[:-2000])
    (tmp_path / "b.log").write_bytes(lines(9999))
    found = clues("ship", tmp_path / "a.log.gz", tmp_path / "b.log", "--to", f"log://{tmp_path}/copy.log")
    assert found.returncode == 1
    assert "a.log.gz can't be read to its end" in found.stderr
    copied = (tmp_path / "copy.log").read_bytes()
    assert copied.endswith(lines(9999))
    assert copied.startswith(lines(*range(100)))


def test_a_line_that_is_being_written(tmp_path: Path) -> None:
    """Is left until it is whole; a whole one need not end with a newline."""
    log, to = tmp_path / "a.log", f"log://{tmp_path}/copy.log"
    log.write_bytes(lines(1) + lines(2)[:50])
    assert clues("ship", log, "--to", to).returncode == 0
    assert (tmp_path / "copy.log").read_bytes() == lines(1)
    log.write_bytes(lines(1, 2)[:-1])
    assert clues("ship", log, "--to", to).returncode == 0
    assert (tmp_path / "copy.log").read_bytes() == lines(1, 2)


def test_a_pipe(tmp_path: Path) -> None:
    """Can't be gone on with: said at once."""
    os.mkfifo(tmp_path / "pipe")
    found = clues("ship", tmp_path / "pipe", "--to", f"log://{tmp_path}/copy.log")
    assert found.returncode != 0
    assert "write it to a file first" in found.stderr


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("events.log", "--to", "odd://x"), "--to: no publisher has the scheme 'odd'"),
        (("events.log", "--to", "tcp://[half"), "--to: 'tcp://[half' is not a URL"),
        (("events.log", "--to", "copy.log"), "--to: 'copy.log' is not a URL"),
        (("events.log", "--to", "statsd+unix:///no-such-socket?odd=1"), "--to: statsd+unix:// knows no option odd"),
        (("missing.log", "--to", "log://copy.log"), "missing.log"),
        (("--to", "log://copy.log"), "name event logs, or a spool"),
        (("a.log", "--follow", "b", "--to", "log://copy.log"), "name event logs, or a spool"),
        (("a.log", "--to", "log://copy.log", "--to", "stdout://"), "one back end at a time"),
        (("--follow", "spool", "--to", "log://copy.log"), "--follow ships to back ends with a journal"),
    ],
)
def test_mistakes(tmp_path: Path, args: tuple[str, ...], said: str) -> None:
    """Are said in one line."""
    (tmp_path / "events.log").write_bytes(lines(1))
    found = clues("ship", *args, cwd=tmp_path)
    assert found.returncode != 0
    assert said in " ".join(found.stderr.replace("│", " ").split())
    assert "Traceback" not in found.stderr


# clues ship --follow


def test_a_sidecar(tmp_path: Path, receiver: Lines) -> None:
    """Ships what others journal, as it comes; TERM has it deliver what is left, and end."""
    spool = tmp_path / "spool"
    journal = Journal(spool)
    journal.append(event(1))
    to = f"tcp://127.0.0.1:{receiver.port}"
    running = subprocess.Popen(
        [sys.executable, "-m", "clues", "ship", "--follow", spool, "--to", to], stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: got(receiver) == [1])
    journal.append(event(2))
    wait_for(lambda: got(receiver) == [1, 2])
    journal.append(event(3))
    running.terminate()
    _, said = running.communicate(timeout=30)
    assert running.returncode == 0
    assert f"to tcp:127.0.0.1:{receiver.port}" in said
    wait_for(lambda: got(receiver) == [1, 2, 3])


# clues doctor


def test_all_is_well(tmp_path: Path) -> None:
    """Nothing was ever shipped."""
    found = clues("doctor", "--spool", tmp_path / "nothing")
    assert (found.returncode, found.stdout.splitlines()[-1]) == (0, "all is well")
    assert not (tmp_path / "nothing").exists()


def test_a_spool_that_is_no_folder(tmp_path: Path) -> None:
    """Is a mistaken setting."""
    (tmp_path / "file").touch()
    found = clues("doctor", "--spool", tmp_path / "file")
    assert found.returncode == 2
    assert f"the spool {tmp_path}/file is no folder" in found.stderr
    assert clues("doctor", "--spool", tmp_path / "file" / "below").returncode == 0


def test_a_mistaken_url(tmp_path: Path) -> None:
    """Is a problem among others."""
    found = clues("doctor", "--spool", tmp_path, environ={"CLUES_PUBLISHERS": "log://[half,noop://"})
    assert found.returncode == 1
    assert "! CLUES_PUBLISHERS: 'log://[half' is not a URL" in found.stdout
    assert "publishers: noop://" in found.stdout


def test_what_is_wrong(tmp_path: Path) -> None:
    """Each problem in a line; the figures in JSON."""
    spool = tmp_path / "spool"
    journal = Journal(spool)
    journal.spool.register("tcp:127.0.0.1:1")
    for number in range(3):
        journal.append(event(number))
    journal.spool.count_dropped(2, 300)
    found = clues("doctor", "--spool", spool, "--json", environ={"CLUES_PUBLISHERS": "odd://x:secret@host/y"})
    told = json.loads(found.stdout)
    assert found.returncode == 1
    assert (told["published"], told["dropped"]) == (3, 2)
    assert told["destinations"][0]["lag_events"] == 3
    assert told["publishers"] == ["odd://host/y"]
    assert told["problems"] == [
        "CLUES_PUBLISHERS: there is no publisher odd://",
        "nobody ships to tcp:127.0.0.1:1, and 3 events wait for it",
        "2 events (300 bytes) were dropped for want of room",
    ]
    found = clues("doctor", "--spool", spool)
    assert "! nobody ships to tcp:127.0.0.1:1" in found.stdout
    Spool(spool).save(Checkpoint("tcp:127.0.0.1:1", problem="OSError: refused"))
    found = clues("doctor", "--spool", spool)
    assert "3 events wait for it; it had not taken the last ones: OSError: refused\n" in found.stdout


def test_who_ships(tmp_path: Path, receiver: Lines) -> None:
    """The process is named."""
    spool = tmp_path / "spool"
    to = f"tcp://127.0.0.1:{receiver.port}"
    running = subprocess.Popen([sys.executable, "-m", "clues", "ship", "--follow", spool, "--to", to])
    try:
        Journal(spool).append(event(1))
        wait_for(lambda: got(receiver) == [1])
        told = json.loads(clues("doctor", "--spool", spool, "--json").stdout)
        assert (told["destinations"][0]["shipper"], told["problems"]) == (running.pid, [])
    finally:
        os.kill(running.pid, signal.SIGTERM)
        running.wait(30)


def test_signals_are_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever calls the command in a process that goes on, is not killed by the next pipe that breaks."""
    monkeypatch.setenv("CLUES_SPOOL", str(tmp_path / "spool"))
    log = tmp_path / "events.log"
    log.write_bytes(lines(1))
    numbers = (signal.SIGPIPE, signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    assert main(["ship", str(log), "--to", "stdout://"]) == 0
    assert [signal.getsignal(number) for number in numbers] == before
