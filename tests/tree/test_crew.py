"""The master's bookkeeping of slots and processes, without any process."""

from __future__ import annotations

import signal
from itertools import count

import pytest

from clues.resque.crew import Action, Crew, Fork, Hand, Quit, Release, Settle

EXIT_1 = 1 << 8
KILLED = int(signal.SIGKILL)


class Ship:
    """A crew, its clock, and a mould that obeys."""

    def __init__(self, size: int = 1) -> None:
        self.crew = Crew(size)
        self.crew.mould = 1
        self.now = 100.0
        self._pids = count(1000)

    def actions(self) -> list[Action]:
        return list(self.crew.actions(self.now))

    def forks(self, slot: int = 0) -> int:
        """A process is there; nobody knows yet whether it works."""
        pid = next(self._pids)
        self.crew.forked(pid, slot, self.crew.mould, self.now)
        return pid

    def stands_by(self, slot: int = 0) -> int:
        """A process is there, and would work if it could."""
        pid = self.forks(slot)
        self.crew.noticed("ready", slot, pid)
        return pid

    def mans(self, slot: int = 0) -> int:
        """A process is there, and works."""
        pid = self.forks(slot)
        self.crew.noticed("working", slot, pid)
        return pid

    def ends(self, pid: int, status: int = 0, *, settled: bool = True, worked: bool = False) -> Hand | None:
        return self.crew.ended(pid, status, settled=settled, worked=worked, now=self.now)

    def manned(self, size: int = 1) -> list[int]:
        """All slots have a process that works; gives them."""
        assert self.actions() == [Fork(slot) for slot in range(size)]
        pids = [self.mans(slot) for slot in range(size)]
        assert self.actions() == []
        return pids


def test_each_slot_gets_one_process() -> None:
    """What was asked for once is not asked for again."""
    ship = Ship(2)
    assert ship.actions() == [Fork(0), Fork(1)]
    assert ship.actions() == []
    first = ship.mans(0)
    assert ship.actions() == []
    second = ship.mans(1)
    assert ship.crew.workers() == ship.crew.manned() == {first: 0, second: 1}
    assert ship.crew.due() == float("inf")


def test_a_successor_ahead_of_need() -> None:
    """Is forked when a process has few jobs left, and works when that one is gone."""
    ship = Ship()
    (pid,) = ship.manned()
    ship.crew.noticed("ending", 0, pid)
    assert ship.actions() == [Fork(0)]
    successor = ship.forks()
    assert ship.actions() == []
    assert ship.crew.workers() == {pid: 0}
    ship.ends(pid, worked=True)
    assert ship.crew.manned() == {successor: 0}
    ship.crew.noticed("working", 0, successor)
    assert ship.actions() == []
    assert ship.crew.workers() == {successor: 0}


def test_who_dies_in_the_middle_is_settled_first() -> None:
    """Then the next one is forked."""
    ship = Ship()
    (pid,) = ship.manned()
    ship.ends(pid, KILLED, settled=False, worked=True)
    assert ship.actions() == [Settle(0, pid, KILLED)]
    ship.crew.settling(0, 2000)
    assert ship.actions() == []
    ship.crew.settled(0, settled=True, now=ship.now)
    assert ship.actions() == [Fork(0)]


def test_what_could_not_be_settled_is_tried_again() -> None:
    """A second later: Redis may be away."""
    ship = Ship()
    (pid,) = ship.manned()
    ship.ends(pid, KILLED, settled=False, worked=True)
    ship.actions()
    ship.crew.settled(0, settled=False, now=ship.now)
    assert ship.actions() == []
    assert ship.crew.due() == ship.now + 1
    ship.now += 1
    assert ship.actions() == [Settle(0, pid, KILLED)]


def test_back_off() -> None:
    """A process that dies at once is replaced after 0.1 s, then 0.2 s, … up to 30 s."""
    ship = Ship()
    waits = []
    for _ in range(12):
        assert ship.actions() == [Fork(0)]
        ship.ends(ship.forks(), EXIT_1)
        assert ship.actions() == []
        waits.append(ship.crew.due() - ship.now)
        ship.now = ship.crew.due()
    assert waits[:4] == pytest.approx([0.1, 0.2, 0.4, 0.8])
    assert waits[-2:] == pytest.approx([30, 30])


def test_back_off_is_over() -> None:
    """When a process has worked, or left in peace; one slot's is not another's."""
    ship = Ship(2)
    ship.actions()
    for _ in range(5):
        ship.ends(ship.forks(0), EXIT_1)
        ship.now = ship.crew.due()
        ship.actions()
    other = ship.mans(1)
    ship.ends(other, EXIT_1)
    assert ship.crew.due() == pytest.approx(ship.now + 0.1)
    ship.ends(ship.mans(0), KILLED, worked=True)
    assert ship.actions() == [Fork(0)]
    assert ship.crew.due() == pytest.approx(ship.now + 0.1)  # the other slot
    ship.ends(ship.mans(0), EXIT_1)
    assert ship.crew.due() == pytest.approx(ship.now + 0.1)


def test_a_fork_that_fails() -> None:
    """Such as one that a starter's before_fork hook has refused: the same back-off."""
    ship = Ship()
    ship.actions()
    ship.crew.forked(0, 0, 1, ship.now)
    assert ship.actions() == []
    ship.now += 0.1
    assert ship.actions() == [Fork(0)]


def test_no_back_off_while_stopping() -> None:
    """Nothing is forked any more, and nobody is waited for but those who live."""
    ship = Ship(2)
    first, second = ship.manned(2)
    ship.crew.stopping = True
    assert ship.actions() == []
    ship.ends(first, EXIT_1)
    assert (ship.actions(), ship.crew.done) == ([], False)
    ship.ends(second, KILLED, settled=False, worked=True)
    assert (ship.actions(), ship.crew.done) == ([Settle(1, second, KILLED)], False)
    ship.crew.settled(1, settled=True, now=ship.now)
    assert ship.crew.done
    assert ship.crew.due() == float("inf")


def test_one_more() -> None:
    ship = Ship()
    ship.manned()
    ship.crew.count += 1
    assert ship.actions() == [Fork(1)]


def test_one_fewer() -> None:
    """The last one is told to leave, once; its workers are forgotten when it has."""
    ship = Ship(2)
    _, second = ship.manned(2)
    ship.crew.count -= 1
    assert ship.actions() == [Quit(second)]
    assert ship.actions() == []
    ship.ends(second)
    assert ship.actions() == [Release(1)]
    assert list(ship.crew.slots) == [0]
    assert ship.actions() == []


def test_one_fewer_that_dies() -> None:
    """Is settled before it is forgotten."""
    ship = Ship(2)
    _, second = ship.manned(2)
    ship.crew.count -= 1
    ship.actions()
    ship.ends(second, KILLED, settled=False, worked=True)
    assert ship.actions() == [Settle(1, second, KILLED)]
    ship.crew.settled(1, settled=True, now=ship.now)
    assert ship.actions() == [Release(1)]


def test_one_fewer_and_one_more_again() -> None:
    """The one that was told to leave is replaced."""
    ship = Ship(2)
    _, second = ship.manned(2)
    ship.crew.count -= 1
    ship.actions()
    ship.crew.count += 1
    assert ship.actions() == [Fork(1)]
    successor = ship.forks(1)
    ship.ends(second)
    assert ship.crew.manned()[successor] == 1


def test_new_code() -> None:
    """One at a time: a successor stands by, then the old one is told; then the next slot's turn comes."""
    ship = Ship(2)
    first, second = ship.manned(2)
    ship.crew.mould = 2
    assert ship.crew.needs(1)
    for slot, old in enumerate((first, second)):
        assert ship.actions() == [Fork(slot)]
        assert ship.actions() == []
        new = ship.stands_by(slot)
        assert ship.actions() == [Quit(old)]
        assert ship.actions() == []
        ship.ends(old)
        ship.crew.noticed("working", slot, new)
    assert ship.actions() == []
    assert not ship.crew.needs(1)


def test_new_code_that_can_not_work() -> None:
    """The old process stays while its successors die before they are ready; the next slot's turn does not come."""
    ship = Ship(2)
    ship.manned(2)
    ship.crew.mould = 2
    for _ in range(3):
        assert ship.actions() == [Fork(0)]
        ship.ends(ship.forks(), EXIT_1)
        assert ship.actions() == []
        ship.now += 30
    assert len(ship.crew.workers()) == 2


def test_newer_code_meanwhile() -> None:
    """A third mould's process takes the place of the second one's that still stands by."""
    ship = Ship()
    (pid,) = ship.manned()
    ship.crew.mould = 2
    ship.actions()
    second = ship.stands_by()
    assert ship.actions() == [Quit(pid)]
    ship.crew.mould = 3
    assert ship.actions() == [Quit(second)]
    ship.ends(second)
    assert ship.actions() == [Fork(0)]
    third = ship.stands_by()
    ship.ends(pid, worked=True)
    ship.crew.noticed("working", 0, third)
    assert ship.actions() == []
    assert not ship.crew.needs(1)
    assert not ship.crew.needs(2)


def test_a_successor_works_before_the_end_is_told() -> None:
    """No other one is forked for it."""
    ship = Ship()
    (pid,) = ship.manned()
    ship.crew.mould = 2
    ship.actions()
    new = ship.stands_by()
    assert ship.actions() == [Quit(pid)]
    ship.crew.noticed("working", 0, new)
    assert ship.actions() == []
    assert ship.crew.manned() == {new: 0}
    ship.ends(pid)
    assert ship.actions() == []


def test_new_code_while_a_successor_stands_by() -> None:
    """That one has the old code, and goes first; the one that works is told only when there is one with the new."""
    ship = Ship()
    (pid,) = ship.manned()
    ship.crew.noticed("ending", 0, pid)
    ship.actions()
    old = ship.forks()
    ship.crew.mould = 2
    assert ship.actions() == [Quit(old)]
    assert ship.actions() == []
    ship.ends(old)
    assert ship.actions() == [Fork(0)]
    new = ship.stands_by()
    assert ship.actions() == [Quit(pid)]
    ship.ends(pid)
    assert ship.crew.manned() == {new: 0}


def test_news_of_a_process_before_its_fork_is_told() -> None:
    """The process itself, and the mould that tells of it, are heard in any order."""
    ship = Ship()
    ship.actions()
    ship.crew.noticed("working", 0, 1000)
    assert ship.forks() == 1000
    assert not ship.crew.needs(-1)
    assert ship.actions() == []


def test_a_process_whose_mould_died_before_it_could_tell() -> None:
    """Is taken in by its own word, and replaced by one of the next mould."""
    ship = Ship()
    ship.actions()
    ship.crew.noticed("working", 0, 1000)
    ship.crew.forget_requests(1)
    ship.crew.mould = 2
    assert ship.crew.workers() == {1000: 0}
    assert ship.actions() == [Fork(0)]


def test_what_a_dead_mould_was_asked() -> None:
    """Is asked of the next one; what another one was asked is not."""
    ship = Ship(2)
    assert ship.actions() == [Fork(0), Fork(1)]
    pid = ship.mans(1)
    ship.ends(pid, KILLED, settled=False, worked=True)
    assert ship.actions() == [Settle(1, pid, KILLED)]
    ship.crew.forget_requests(2)
    assert ship.actions() == []
    ship.crew.forget_requests(1)
    ship.crew.settled(1, settled=False, now=ship.now - 1)
    assert ship.actions() == [Fork(0), Settle(1, pid, KILLED)]


def test_empty_queues() -> None:
    """Where INTERVAL is 0, each slot ends by that, and stays so."""
    ship = Ship(2)
    first, second = ship.manned(2)
    ship.crew.noticed("empty", 0, first)
    ship.ends(first)
    assert (ship.actions(), ship.crew.all_empty) == ([], False)
    ship.crew.noticed("empty", 1, second)
    assert not ship.crew.all_empty
    ship.ends(second)
    assert (ship.actions(), ship.crew.all_empty) == ([], True)


def test_strangers() -> None:
    """Ends and news of nobody's, or of a slot that is gone, change nothing."""
    ship = Ship()
    (pid,) = ship.manned()
    assert ship.ends(4711) is None
    ship.crew.noticed("working", 7, 4711)
    ship.crew.forked(4711, 7, 1, ship.now)
    assert [hand.pid for hand in ship.crew.hands()] == [pid]
