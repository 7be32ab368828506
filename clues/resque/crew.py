"""Who works where: the master's bookkeeping of slots and processes. No system calls here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from clues.backoff import backoff

_FIRST_WAIT, _LONGEST_WAIT = 0.1, 30.0  # seconds


@dataclass(slots=True)
class Hand:
    """A worker process.

    Attributes:
        pid: its process id.
        slot: where it works, or stands by to work.
        mould: the number of the mould that forked it; -1 while nobody has told.
        ready: whether it has told that it could work.
        working: whether it works the slot; else it stands by.
        ending: whether it has few jobs left, or none.
        told: whether it was told to leave after its job.
    """

    pid: int
    slot: int
    mould: int
    ready: bool = False
    working: bool = False
    ending: bool = False
    told: bool = False

    @property
    def fit(self) -> bool:
        """Whether it stands by, and will work."""
        return self.ready and not self.working and not self.told


@dataclass(slots=True)
class Slot:
    """A place for one worker process at a time, and a successor that stands by.

    Attributes:
        number: from 0 up.
        hands: its processes, the oldest first.
        forking: the number of the mould that was asked for a process which is not there yet; 0 for none.
        unsettled: the process id and status of a dead process whose end is not settled; None if there is none.
        settling: the process id of the clerk that is at it; 0 while it is asked for; None if nobody is.
        failures: how often in a row a process has died at once.
        not_before: when the next one may be forked, on the monotonic clock.
        empty: whether its queues were found empty, and that is its end.
    """

    number: int
    hands: list[Hand] = field(default_factory=list)
    forking: int = 0
    unsettled: tuple[int, int] | None = None
    settling: int | None = None
    failures: int = 0
    not_before: float = 0.0
    empty: bool = False

    @property
    def working(self) -> Hand | None:
        """The process that works: the latest, as a successor begins when the one before is gone, told of or not."""
        return next((hand for hand in reversed(self.hands) if hand.working), None)

    @property
    def standing_by(self) -> Hand | None:
        """The process that will."""
        return next((hand for hand in self.hands if not hand.working), None)

    @property
    def free(self) -> bool:
        """Whether nothing is left to do for it."""
        return not self.hands and not self.forking and self.unsettled is None


@dataclass(frozen=True, slots=True)
class Fork:
    """Fork a process for a slot."""

    slot: int


@dataclass(frozen=True, slots=True)
class Quit:
    """Tell a process to leave after its job."""

    pid: int


@dataclass(frozen=True, slots=True)
class Settle:
    """Have a dead process' end settled.

    Attributes:
        slot: the one that it worked in.
        pid: its process id.
        status: how it ended, as `os.waitpid` says it.
    """

    slot: int
    pid: int
    status: int


@dataclass(frozen=True, slots=True)
class Release:
    """A slot is not wanted any more, and free: forget its workers."""

    slot: int


Action = Fork | Quit | Settle | Release


class Crew:
    """The slots, and what is to be done so that they are as they should be.

    Attributes:
        count: how many worker processes there should be.
        mould: the number of the mould whose processes are wanted; the others' are replaced, one at a time.
        stopping: whether nothing is to be forked any more.
        slots: by number.
    """

    def __init__(self, count: int) -> None:
        """Want this many, and have none."""
        self.count = count
        self.mould = 0
        self.stopping = False
        self.slots: dict[int, Slot] = {}

    def hands(self) -> list[Hand]:
        """All worker processes."""
        return [hand for slot in self.slots.values() for hand in slot.hands]

    def hand(self, pid: int) -> Hand | None:
        """A worker process by its id."""
        return next((hand for hand in self.hands() if hand.pid == pid), None)

    def manned(self) -> dict[int, int]:
        """One process of each slot, the one that works if there is one: process id to number."""
        first = ((slot.working or slot.standing_by, slot.number) for slot in self.slots.values())
        return {hand.pid: number for hand, number in first if hand is not None}

    def workers(self) -> dict[int, int]:
        """The slots of the processes that work, by process id."""
        return {hand.pid: hand.slot for hand in self.hands() if hand.working}

    @property
    def done(self) -> bool:
        """Whether nobody is left, and nothing to settle."""
        return all(slot.free for slot in self.slots.values())

    @property
    def all_empty(self) -> bool:
        """Whether every slot has ended because its queues were empty."""
        return bool(self.slots) and all(slot.empty and slot.free for slot in self.slots.values())

    def needs(self, mould: int) -> bool:
        """Whether a mould still has processes, or was asked for one."""
        return any(hand.mould == mould for hand in self.hands()) or any(
            slot.forking == mould for slot in self.slots.values()
        )

    # what happens

    def forked(self, pid: int, slot: int, mould: int, now: float) -> None:
        """A process was forked; 0 if it could not be."""
        place = self.slots.get(slot)
        if place is None:
            return
        place.forking = 0
        hand = self.hand(pid)
        if not pid:
            self._back_off(place, now)
        elif hand is None:
            place.hands.append(Hand(pid, slot, mould))
        else:  # it has told of itself before its mould did
            hand.mould = mould

    def noticed(self, what: str, slot: int, pid: int) -> None:
        """A process has told how it is: ``ready``, ``working``, ``ending``, ``empty``."""
        place = self.slots.get(slot)
        hand = next((hand for hand in place.hands if hand.pid == pid), None) if place else None
        if place is None:
            return
        if what == "empty":
            place.empty = True
            return
        if hand is None:  # its mould has not told of it yet, or died before it could
            hand = Hand(pid, slot, -1)
            place.hands.append(hand)
        hand.ready = True
        hand.working = hand.working or what != "ready"
        hand.ending = hand.ending or what == "ending"

    def ended(self, pid: int, status: int, *, settled: bool, worked: bool, now: float) -> Hand | None:
        """A process has ended.

        Args:
            pid: which.
            status: as `os.waitpid` gives it.
            settled: whether the scoreboard says that it left nothing to settle.
            worked: whether it had begun a job, or ended one.
            now: on the monotonic clock.

        Returns:
            The process, if it was a worker.
        """
        hand = self.hand(pid)
        if hand is None:
            return None
        slot = self.slots[hand.slot]
        slot.hands.remove(hand)
        if not settled and slot.unsettled is None:
            slot.unsettled = pid, status
        if status == 0 or worked:
            slot.failures = 0
        elif not self.stopping:
            self._back_off(slot, now)
        return hand

    def pause(self, slot: int, now: float) -> float:
        """Seconds until a process may be forked for a slot again."""
        return max(self.slots[slot].not_before - now, 0.0)

    @staticmethod
    def _back_off(slot: Slot, now: float) -> None:
        slot.not_before = now + backoff(slot.failures, _FIRST_WAIT, _LONGEST_WAIT)
        slot.failures += 1

    def settled(self, slot: int, *, settled: bool, now: float) -> None:
        """A clerk has ended; what it could not settle is tried again."""
        place = self.slots[slot]
        place.settling = None
        if settled:
            place.unsettled = None
        else:
            place.not_before = now + 1.0

    def settling(self, slot: int, pid: int) -> None:
        """A clerk is at it."""
        self.slots[slot].settling = pid

    def forget_requests(self, mould: int) -> None:
        """A mould has died: what it was asked to fork never comes."""
        for slot in self.slots.values():
            if slot.forking == mould:
                slot.forking = 0

    # what is to be done

    def actions(self, now: float) -> Iterator[Action]:
        """What to do now; each is taken as done."""
        if not self.stopping:
            for number in range(self.count):
                self.slots.setdefault(number, Slot(number))
        renewing = False
        for number, slot in sorted(self.slots.items()):
            if slot.unsettled is not None and slot.settling is None and slot.not_before <= now:
                slot.settling = 0
                yield Settle(number, *slot.unsettled)
            if self.stopping:
                continue
            if number >= self.count:
                yield from self._retire(slot)
            elif not renewing:
                renewing = slot.working is not None and slot.working.mould != self.mould
                yield from self._man(slot, now, renew=renewing)
            else:
                yield from self._man(slot, now, renew=False)

    def _retire(self, slot: Slot) -> Iterator[Action]:
        for hand in slot.hands:
            if not hand.told:
                hand.told = True
                yield Quit(hand.pid)
        if slot.free:
            del self.slots[slot.number]
            yield Release(slot.number)

    def _man(self, slot: Slot, now: float, *, renew: bool) -> Iterator[Action]:
        working, standing_by = slot.working, slot.standing_by
        if slot.empty:
            return
        if standing_by is not None and standing_by.mould != self.mould and not standing_by.told:
            standing_by.told = True
            yield Quit(standing_by.pid)
            return
        wanted = working is None or working.ending or working.told or renew
        if wanted and standing_by is None and not slot.forking:
            if slot.unsettled is None and slot.not_before <= now:
                slot.forking = self.mould
                yield Fork(slot.number)
        elif renew and working is not None and not working.told and standing_by is not None and standing_by.fit:
            working.told = True
            yield Quit(working.pid)

    def due(self) -> float:
        """When there may be something to do that nothing tells of, on the monotonic clock; infinity for never."""
        waiting = [
            slot.not_before
            for slot in self.slots.values()
            if (
                slot.settling is None
                if slot.unsettled
                else not (slot.hands or slot.forking or self.stopping or slot.empty)
            )
        ]
        return min(waiting, default=float("inf"))
