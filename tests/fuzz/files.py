"""What clues' own files may hold after a crash, a failing disk, or somebody's hands; see `tests.fuzz.targets`."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

from clues.event import Event
from clues.ledger import _slots
from clues.publishers.health import Health
from clues.publishers.spool import Checkpoint, Spool, _read
from clues.publishers.tail import Tail
from clues.resque.board import Board, dead_ones
from clues.resque.scoreboard import HEADER, RECORD, Record, State
from tests.fuzz.registry import target


@target
def segments(data: bytes) -> None:
    """A segment of a spool: whole lines come out, and the position never leaves it."""
    with tempfile.TemporaryDirectory() as folder:
        spool = Spool(Path(folder))
        path = spool.segment(1).path
        path.write_bytes(data)
        batch = Tail(spool).read({}, 1000, 1 << 20)
        assert not any(b"\n" in line for line in batch.lines)
        assert batch.positions[1] <= len(data)


@target
def checkpoints(data: bytes) -> None:
    """A checkpoint: one that is whole, or none."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "there.json")
        path.write_bytes(data)
        found = _read(path)
    if found is not None:
        assert sum(found.positions.values()) + found.delivered + found.retried >= 0


@target
def ledgers(data: bytes) -> None:
    """A ledger's slots."""
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        for _, _, line in _slots(file.fileno()):
            with contextlib.suppress(ValueError):
                Event.from_line(line)


@target
def scoreboard_records(data: bytes) -> None:
    """A worker's record of which a dead machine has kept some pages: what can't be read is known to be so."""
    for state in (2 << 16 | State.HOLDING, int.from_bytes(data[:7], "little")):
        for place in (8, HEADER, HEADER + 24):
            memory = bytearray(RECORD)
            memory[:8] = state.to_bytes(8, "little")
            piece = data[: RECORD - place]
            memory[place : place + len(piece)] = piece
            record = Record(memoryview(memory))
            if not record.sound:
                record.distrust()
                assert record.begun
            assert record.sound
            assert sum(len(outcome.line) for outcome in record.outcomes()) <= RECORD


@target
def boards(data: bytes) -> None:
    """A file that stands where a tree's scoreboard would: it is one, or is passed over."""
    with tempfile.TemporaryDirectory() as folder:
        path = Board.create(folder, "redis://x", "t", capacity=1, threads=1).path
        for head in (data, b"clues board 2\n" + data):
            with path.open("r+b") as file:
                file.write(head[:4096].ljust(4096, b"\0"))
            for board in dead_ones(folder, "redis://x"):
                board.records(0)


@target
def healths(data: bytes) -> None:
    """A spool in which anything may stand: how far its destinations are can be asked for all the same."""
    with tempfile.TemporaryDirectory() as folder:
        spool = Spool(Path(folder))
        spool.make()
        spool.save(Checkpoint("there"))
        spool.segment(1).path.write_bytes(data)
        (checkpoint,) = Path(folder, "destinations").glob("*.json")
        for path in (checkpoint, Path(folder, "destinations", "x.json"), Path(folder, "counts")):
            path.write_bytes(data)
            assert all(sample.value >= 0 for sample in Health(spool).sample())
