"""The journal: whatever its writers do, each line stands in it once, whole."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import signal
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from clues.errors import ConfigError, JournalFullError
from clues.event import Event, json_encoder
from clues.publishers import flood
from clues.publishers.dead_letter import add_letters
from clues.publishers.journal import Journal, JournalOptions
from clues.publishers.spool import Checkpoint, Segment, Spool, spool_folder
from clues.publishers.tail import Tail
from tests.forks import fork, forked
from tests.publishers.destinations import event
from tests.waiting import wait_for

SMALL = JournalOptions(segment_bytes=4096, max_bytes=1024 * 1024)


def everything(spool: Spool) -> list[int]:
    """The numbers of all events in a spool."""
    batch = Tail(spool).read({}, 10**9, 1 << 26)
    return [Event.from_line(line).args[0] for line in batch.lines]


def test_segments(tmp_path: Path) -> None:
    """A full one is followed by another; a later writer goes on where the last one was."""
    journal = Journal(tmp_path, SMALL)
    for number in range(100):
        journal.append(event(number))
    segments = journal.spool.segments()
    assert len(segments) > 3
    assert [segment.number for segment in segments] == list(range(1, len(segments) + 1))
    assert all(4096 <= segment.size < 4096 + 400 for segment in segments[:-1])
    Journal(tmp_path, SMALL).append(event(100))
    assert everything(journal.spool) == list(range(101))


def test_many_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Are written at once, and fill a segment as any."""
    writes: list[int] = []
    write = os.write

    def watched(fd: int, data: bytes) -> int:
        writes.append(len(data))
        return write(fd, data)

    monkeypatch.setattr(os, "write", watched)
    journal = Journal(tmp_path, SMALL)
    for start in range(0, 100, 10):
        journal.append(*map(event, range(start, start + 10)))
    assert len(writes) == 10
    assert len(journal.spool.segments()) > 3
    assert everything(journal.spool) == list(range(100))


def test_many_events_for_a_disk_that_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that fitted are kept, the others dropped and counted."""
    journal = Journal(tmp_path)
    events = [event(number) for number in range(5)]
    room = sum(len(one.line) + 1 for one in events[:3]) + 10
    write = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda fd, data: write(fd, data[:room]))
        with pytest.raises(OSError, match="bytes were written"):
            journal.append(*events)
    assert journal.spool.dropped()[0] == 2
    journal.append(event(5))
    lines = journal.spool.segments()[0].path.read_bytes().split(b"\n")
    assert [Event.from_line(line).args[0] for line in [*lines[:3], lines[4]]] == [0, 1, 2, 5]


def test_a_flood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not every event looks at the segment; one that is full is found so soon enough."""
    monkeypatch.setattr(flood, "time", SimpleNamespace(monotonic=lambda: 100.0))
    looks: list[int] = []
    look = os.fstat

    def watched(fd: int) -> os.stat_result:
        looks.append(fd)
        return look(fd)

    monkeypatch.setattr(os, "fstat", watched)
    size = 64 * 1024
    journal = Journal(tmp_path, JournalOptions(segment_bytes=size))
    for number in range(1000):
        journal.append(event(number))
    assert len(looks) < 200
    assert len(journal.spool.segments()) > 2
    assert all(size <= segment.size < size * 9 // 8 for segment in journal.spool.segments()[:-1])
    assert everything(journal.spool) == list(range(1000))


def test_processes_and_threads(tmp_path: Path) -> None:
    """Write at once, and begin segments at once."""

    def write(start: int) -> None:
        journal = Journal(tmp_path, SMALL)
        for number in range(start, start + 500):
            journal.append(event(number))

    journal = Journal(tmp_path, SMALL)
    journal.append(event(9999))  # is open when the children are forked
    children = [fork(partial(write, start)) for start in (0, 500, 1000)]
    threads = [threading.Thread(target=write, args=(start,)) for start in (1500, 2000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
    assert sorted(everything(journal.spool)) == [*range(2500), 9999]


def test_a_forked_child_writes_by_itself(tmp_path: Path) -> None:
    """Through the very object that its parent has written with, and it keeps no segment of its parent's from ending."""
    journal = Journal(tmp_path, SMALL)
    journal.append(event(1))
    read, write = os.pipe()

    def live() -> None:
        os.close(write)
        os.read(read, 1)
        journal.append(event(2))

    child = fork(live)
    journal.close()
    (first,) = journal.spool.segments()
    wait_for(lambda: journal.spool.end(first, 10**6), "the child to have let go of it")
    os.write(write, b"x")
    os.waitpid(child, 0)
    assert everything(journal.spool) == [2]
    os.close(read)
    os.close(write)


def test_a_killed_writer(tmp_path: Path) -> None:
    """What it had written stands there; the next one's lines are whole."""

    def write() -> None:
        journal = Journal(tmp_path, SMALL)
        number = 0
        while True:
            journal.append(event(number))
            number += 1

    child = fork(write)
    spool = Spool(tmp_path)
    wait_for(lambda: len(spool.segments()) > 5)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    Journal(tmp_path, SMALL).append(event(10**6))
    found = everything(spool)
    assert found == [*range(len(found) - 1), 10**6]


@pytest.mark.parametrize("drop", ["newest", "oldest"])
def test_a_full_spool(tmp_path: Path, drop: str) -> None:
    """Grows no more: what comes is dropped, or what stands there longest; both are counted for all to see."""
    now = 0.0
    options = JournalOptions(segment_bytes=4096, max_bytes=20_000, drop=drop)  # type: ignore[arg-type]
    journal = Journal(tmp_path, options, clock=lambda: now)
    for number in range(500):
        with suppress(JournalFullError):
            journal.append(event(number))
    assert journal.spool.size() < 20_000 + 4096
    found = everything(journal.spool)
    dropped, size = journal.spool.dropped()
    assert dropped == 500 - len(found)
    assert size > 100 * dropped
    assert found == (list(range(len(found))) if drop == "newest" else list(range(500))[-len(found) :])
    if drop == "newest":
        first = journal.spool.segments()[0]
        assert journal.spool.end(first, first.size)
        with pytest.raises(JournalFullError):  # it looks for room once a second
            journal.append(event(1))
        now += 1.0
        journal.append(event(1000))
        assert everything(journal.spool)[-1] == 1000


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that could not be written whole spoils no other."""
    journal = Journal(tmp_path, SMALL)
    journal.append(event(1))
    write = os.write

    def torn(fd: int, line: bytes) -> int:
        return write(fd, line[: len(line) // 2])

    monkeypatch.setattr(os, "write", torn)
    with pytest.raises(OSError, match="bytes were written") as raised:
        journal.append(event(2))
    assert raised.value.errno == errno.ENOSPC
    monkeypatch.undo()
    journal.append(event(3))
    lines = Tail(journal.spool).read({}, 10, 1 << 20).lines
    assert [line.endswith(b"}") for line in lines] == [True, False, True]
    assert journal.spool.dropped()[0] == 1


def test_no_descriptor_is_left(tmp_path: Path) -> None:
    """Nor one to count with what is dropped: that is done as soon as there is."""
    journal = Journal(tmp_path, SMALL)
    json_encoder()  # found by then, as when clues is configured

    def publish() -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
        for number in range(3):
            with pytest.raises(OSError, match="Too many open files"):
                journal.append(event(number), event(number))
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        journal.append(event(4))

    assert forked(publish) == 0
    assert journal.spool.dropped()[0] == 6
    assert everything(journal.spool) == [4]


@pytest.mark.parametrize("sync", ["never", "second", "always"])
def test_forcing_to_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sync: str) -> None:
    """As often as was wanted."""
    calls: list[int] = []
    now = 100.0
    monkeypatch.setattr(os, "fdatasync", calls.append)
    journal = Journal(tmp_path, JournalOptions(sync=sync), clock=lambda: now)  # type: ignore[arg-type]
    for number in range(5):
        journal.append(event(number))
    now += 1.0
    journal.append(event(5))
    assert len(calls) == {"never": 0, "second": 2, "always": 6}[sync]


def test_an_ended_segment(tmp_path: Path) -> None:
    """Is removed when nobody writes it and all of it is delivered; its number is never used again."""
    journal = Journal(tmp_path, SMALL)
    journal.append(event(1))
    (first,) = journal.spool.segments()
    assert not journal.spool.end(first, first.size)  # it is being written
    journal.close()
    assert not journal.spool.end(first, first.size - 1)
    assert journal.spool.end(first, first.size)
    assert [segment.number for segment in journal.spool.segments()] == [2]
    journal.append(event(2))
    assert everything(journal.spool) == [2]


def test_a_segment_that_ends_while_a_writer_is_about_to_open_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on to the next, and makes none of a number that was used before."""
    journal = Journal(tmp_path, SMALL)
    journal.append(event(1))
    journal.close()
    spool = journal.spool
    segments, ended = Spool.segments, list[bool]()

    def stale(self: Spool) -> list[Segment]:
        found = segments(self)
        if not ended:
            ended.append(True)
            assert spool.end(found[0], found[0].size)
        return found

    monkeypatch.setattr(Spool, "segments", stale)
    journal.append(event(2))
    assert [(segment.number, segment.size > 0) for segment in segments(spool)] == [(2, True)]
    assert everything(spool) == [2]


def test_a_folder_that_somebody_removes(tmp_path: Path) -> None:
    """What was in it is gone; what comes is not written into the void."""
    journal = Journal(tmp_path / "spool", SMALL)
    journal.append(event(1))
    shutil.rmtree(tmp_path / "spool")
    journal.append(event(2))
    journal.append(event(3))
    assert everything(journal.spool) == [2, 3]
    assert Tail(journal.spool).read({1: 10**6}, 10, 1000).positions[1] > 0


def test_numbers_go_on_after_what_was_delivered(tmp_path: Path) -> None:
    """Also where all segments were removed by hand: a checkpoint may speak of their numbers."""
    spool = Spool(tmp_path)
    spool.make()
    spool.save(Checkpoint("x", {6: 100, 7: 100}))
    Journal(tmp_path).append(event(1))
    assert [segment.number for segment in spool.segments()] == [8]


# reading


def test_reading_on(tmp_path: Path) -> None:
    """By count and by bytes; what several writers have in several segments is read from each."""
    one, other = Journal(tmp_path, SMALL), Journal(tmp_path, SMALL)
    other.append(event(0))  # keeps the first segment open, and comes back to it
    for number in range(1, 60):
        one.append(event(number))
    tail, positions, found = Tail(one.spool), dict[int, int](), []
    while (batch := tail.read(positions, 7, 1 << 20)).lines:
        assert len(batch.lines) <= 7
        positions = batch.positions
        found += [Event.from_line(line).args[0] for line in batch.lines]
    other.append(event(60))
    assert [Event.from_line(line).args[0] for line in tail.read(positions, 7, 1 << 20).lines] == [60]
    assert sorted(found) == list(range(60))
    assert len(tail.read({}, 1000, 500).lines) == 2  # whole lines, as many as fit


def test_half_a_line(tmp_path: Path) -> None:
    """Is waited for, unless nobody is there to write the rest."""
    spool = Spool(tmp_path)
    spool.make()
    spool.segment(1).path.write_bytes(b'{"event_type":"enqueued"\n{"half')
    tail = Tail(spool)
    batch = tail.read({}, 10, 1000)
    assert batch.lines == [b'{"event_type":"enqueued"']
    assert tail.read(batch.positions, 10, 1000).lines == []
    spool.segment(2).path.write_bytes(b"")
    batch = tail.read(batch.positions, 10, 1000)
    assert batch.lines == [b'{"half']
    assert tail.read(batch.positions, 10, 1000).lines == []
    assert batch.positions[1] == spool.segment(1).size


def test_a_line_that_is_longer_than_a_batch(tmp_path: Path) -> None:
    """Comes alone."""
    journal = Journal(tmp_path)
    for number, size in enumerate([0, 3_000_000, 0]):
        journal.append(event(number, size=size))
    tail, positions, sizes = Tail(journal.spool), dict[int, int](), []
    while (batch := tail.read(positions, 10, 1000)).lines:
        positions = batch.positions
        sizes.append([len(line) > 1000 for line in batch.lines])
    assert sizes == [[False], [True], [False]]


# the spool


def test_a_folder_that_can_not_be_written(tmp_path: Path) -> None:
    """Is told when clues is configured, and what to do."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"file/spool can't be written.*CLUES_SPOOL"):
        Journal(tmp_path / "file" / "spool")


def test_where_it_is(tmp_path: Path) -> None:
    """What was given, else what the environment says."""
    assert spool_folder("/x/y", {"CLUES_SPOOL": "/z"}) == Path("/x/y")
    assert spool_folder(None, {"CLUES_SPOOL": "/z"}) == Path("/z")
    assert spool_folder(None, {"XDG_STATE_HOME": "/s"}) == Path("/s/clues/spool")
    assert spool_folder(None, {"HOME": str(tmp_path)}) == tmp_path / ".local/state/clues/spool"
    assert spool_folder(None, {"HOME": "/nowhere"}).name == "spool"


@pytest.mark.parametrize(
    "options", [{"drop": "some"}, {"sync": "often"}, {"max_bytes": 10}, {"segment_bytes": 0}, {"max_bytes": -1}]
)
def test_mistaken_options(options: dict[str, object]) -> None:
    """Are named."""
    with pytest.raises(ConfigError):
        JournalOptions(**options)  # type: ignore[arg-type]


def test_programs_that_start_at_once(tmp_path: Path) -> None:
    """Each makes the folder, and has the same destination known."""

    def start() -> None:
        for number in range(300):
            spool = Spool(tmp_path / "spool")
            spool.make()
            spool.save(Checkpoint("x", {1: number}))
            spool.register("x")

    children = [fork(start) for _ in range(4)]
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
    assert [path.suffix for path in (tmp_path / "spool" / "destinations").iterdir()] == [".json"]


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"name":"x","positions":{"a":1}}', b'{"name":"x","odd":1}'])
def test_a_torn_checkpoint(tmp_path: Path, text: bytes) -> None:
    """Is as none: to deliver twice is better than not at all."""
    spool = Spool(tmp_path)
    spool.make()
    spool.save(Checkpoint("x", {1: 5}, delivered=3))
    assert spool.checkpoint("x").positions == {1: 5}
    (path,) = (tmp_path / "destinations").glob("*.json")
    path.write_bytes(text)
    assert spool.checkpoint("x") == Checkpoint("x")
    (unknown,) = spool.others({"y"}, path.stat().st_mtime)
    assert spool.others({"x"}, 0.0) == []
    assert (unknown.positions, unknown.name[0]) == ({}, "x")


@pytest.mark.parametrize("max_bytes", [1, 700, 5_000, 1 << 20])
@pytest.mark.parametrize("max_events", [1, 3, 1000])
def test_lines_come_in_order_however_small_the_batches(tmp_path: Path, max_events: int, max_bytes: int) -> None:
    """Short ones, long ones, blank ones, in several segments: each once, the oldest segment's first."""
    spool, wanted = Spool(tmp_path), []
    spool.make()
    for number in (1, 2, 3):
        lines = [b"%d %d:" % (number, size) + b"x" * size for size in (0, 600, 10, 2_000, 511, 512, 5, 70_000, 1)]
        wanted += lines
        spool.segment(number).path.write_bytes(b"\n\n".join(lines) + b"\n")
    tail, positions, found = Tail(spool), dict[int, int](), []
    while (batch := tail.read(positions, max_events, max_bytes)).positions != positions:
        assert len(batch.lines) <= max_events
        positions = batch.positions
        found += batch.lines
    assert found == wanted
    assert positions == {segment.number: segment.size for segment in spool.segments()}


@pytest.mark.parametrize("value", [2**70, "\ud800", 1.5, [None, {"é": True}]])
def test_any_state_is_kept(tmp_path: Path, value: object) -> None:
    """Whatever is plain JSON, be it beyond what orjson takes."""
    spool = Spool(tmp_path)
    spool.make()
    spool.save(Checkpoint("there", {1: 5}, state={"value": value}))
    assert spool.checkpoint("there").state == {"value": value}


def test_what_killed_processes_leave(tmp_path: Path) -> None:
    """A checkpoint that they were saving is removed by who ships later; one that is being saved is not."""
    spool = Spool(tmp_path)
    spool.make()
    spool.save(Checkpoint("tcp:here:1", {1: 5}))
    spool.lock("tcp:here:1").touch()
    (kept,) = (tmp_path / "destinations").glob("*.json")
    old, fresh = kept.with_suffix(".4711.1"), kept.with_suffix(".4712.1")
    for path in (old, fresh, tmp_path / ".tryabc"):
        path.touch()
    for path in (old, tmp_path / ".tryabc"):
        os.utime(path, (1.0, 1.0))
    os.utime(kept, (1.0, 1.0))
    spool.tidy("tcp:here:1")
    assert sorted((tmp_path / "destinations").iterdir()) == sorted([kept, fresh, kept.with_suffix(".lock")])
    assert not (tmp_path / ".tryabc").exists()
    assert spool.checkpoint("tcp:here:1").positions == {1: 5}


def test_a_checkpoint_that_can_not_be_saved(tmp_path: Path) -> None:
    """Leaves nothing, and the one before as it was."""
    spool = Spool(tmp_path)
    spool.make()
    spool.save(Checkpoint("tcp:here:1", {1: 5}))

    def save() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1, 1))
        with pytest.raises(OSError, match="too large"):
            spool.save(Checkpoint("tcp:here:1", {1: 6}))

    assert forked(save) == 0
    assert [path.suffix for path in (tmp_path / "destinations").iterdir()] == [".json"]
    assert spool.checkpoint("tcp:here:1").positions == {1: 5}


def test_a_dead_letter_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Holds each letter whole or not at all, also after somebody who was killed while writing one."""
    path, write = tmp_path / "dead.jsonl", os.write
    add_letters(path, "tcp", [(event(1).line, "no")], "now")
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda fd, text: write(fd, text[:20]))
        with pytest.raises(OSError, match="only 20 of"):
            add_letters(path, "tcp", [(event(2).line, "no")], "now")
    with path.open("ab") as file:
        file.write(b'{"destination":"tcp","rea')
    add_letters(path, "tcp", [(event(3).line, "no")], "now")
    told = path.read_bytes().splitlines()
    assert [json.loads(line)["event"]["args"] for line in (told[0], told[2])] == [[1], [3]]
    assert len(told) == 3
