"""What one worker holds: jobs that it has taken, in Redis under its id, and on the scoreboard."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from clues.resque import times
from clues.resque.client import Resque
from clues.resque.job import Job
from clues.resque.lease import Lease
from clues.resque.outcome import Ended, commit, commit_and_take
from clues.resque.records import Taken, Wanted
from clues.resque.scoreboard import Record, State, lone_record


class Holding:
    """Takes jobs, notes how they go, and commits how they ended.

    Each step is noted on the record before it is taken, so that whoever finds this worker dead knows how far it was.
    Several threads may call it: in a batch, ends are committed by a thread of their own.

    Attributes:
        record: the worker's place on the scoreboard.
    """

    def __init__(
        self,
        client: Resque,
        worker_id: str,
        record: Record | None = None,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Hold nothing yet.

        Args:
            client: where the jobs are.
            worker_id: in whose name they are held.
            record: the worker's place on the scoreboard.
            clock: epoch seconds.
            monotonic: seconds that never go back, the same for all processes.
        """
        self.record = record or lone_record()
        self._client = client
        self._id = worker_id
        self._clock = clock
        self._monotonic = monotonic
        self._lock = threading.RLock()
        self._queue = ""
        self._leases: list[bytes] = []  # of all that is held; the first one is under the worker's key
        self._items: deque[bytes] = deque()  # taken, not begun
        self._returning: list[bytes] = []  # on their way back; not begun any more, even if the reply is lost
        self._begun: Job | None = None
        self._ended: list[Ended] = []
        self._ended_since = 0.0
        self._tried = False  # whether a commit was cut off: it may have been done

    # taking

    def take(self, queues: Sequence[str], most: int = 1) -> bool | None:
        """Take up to this many jobs of the first queue that has some; gives whether it got any, None while paused.

        What an earlier call has taken whose reply was lost is found by this one.

        Raises:
            RedisError: Redis can't be reached, or refuses.
        """
        self.record.taking()
        now = self._clock()
        return self._got(self._client.store.take(self._id, Wanted(queues, times.run_at(now), most)), now)

    def _got(self, taken: Taken, now: float) -> bool | None:
        if not taken.leases:
            self.record.idle()
            return None if taken.paused else False
        # We hold no job, so what we hold nevertheless was taken when the reply was lost: nobody has begun it.
        self._hold(taken, now)
        return True

    def recover(self) -> None:
        """Hold what an attempt to take has taken whose reply never came; nobody has begun it.

        Where ends are noted that may not be committed, nothing is done: the record tells more, and is to be settled.

        Raises:
            RedisError: Redis can't be reached, or refuses; call it again.
        """
        if self.record.state is not State.TAKING or self.record.ended:
            return
        store = self._client.store
        lease = store.lease(self._id)
        if lease is None:
            self.record.idle()
        else:
            leases = lease, *store.batch(self._id)
            self._hold(Taken(leases, Lease.payloads(leases)), self._clock())

    def _hold(self, taken: Taken, now: float) -> None:
        with self._lock:
            self._queue = Lease.read(taken.leases[0]).queue if taken.queue is None else taken.queue
            self.record.holding(now)
            self._leases.extend(taken.leases)
            self._items.extend(taken.payloads)

    @property
    def waiting(self) -> int:
        """How many jobs are taken and not begun, nor given back."""
        return len(self._items) + len(self._returning)

    # a job's way

    def next(self) -> Job | None:
        """Make the next job the one at hand; it is not begun before `begin`."""
        with self._lock:
            if not self._items:
                return None
            return Job(self._queue, self._items[0])

    def begin(self, job: Job, timeout: float | None = None) -> bool:
        """Note that the job's own code is about to run; gives False if it was given back meanwhile."""
        with self._lock:
            if not self._items or self._items[0] is not job.raw:
                return False
            now = self._monotonic()
            self.record.begin(self._clock(), now, now + timeout if timeout else 0.0)
            self._begun = job
            self._items.popleft()
            return True

    def end(self, ended: Ended) -> bool:
        """Note how the job at hand ended; gives whether there was room: if not, `commit`, and note it again."""
        with self._lock:
            if not self.record.end(ended.outcome):
                return False
            if not self._ended:
                self._ended_since = self._monotonic()
            self._ended.append(ended)
            self._begun = None
            return True

    def unbegin(self) -> None:
        """The job at hand is to go back to its queue, although its code has run."""
        with self._lock:
            if self._begun is not None:
                self._items.appendleft(self._begun.raw)
                self._begun = None
                self.record.unbegin()

    # ending

    @property
    def uncommitted_for(self) -> float:
        """For how many seconds a job has ended that Redis does not know of; 0 if there is none."""
        return self._monotonic() - self._ended_since if self._ended else 0.0

    def commit(self, publish: Callable[[Sequence[Ended]], None]) -> bool:
        """Commit how jobs ended, then publish it.

        Args:
            publish: called with the jobs whose outcomes this has decided.

        Returns:
            Whether this decided all the outcomes; if not, somebody else had removed a lease.

        Raises:
            RedisError: Redis can't be reached, or refuses; call it again.
        """
        with self._lock:
            if not self._ended:
                return True
            again, self._tried = self._tried, True
            decided = commit(self._client, self._id, self._ended, self._lease, seq=self.record.seq, again=again)
            ended = len(self._ended)
            self._committed(decided, publish)
            return decided is not None and len(decided) == ended

    def commit_and_take(
        self, publish: Callable[[Sequence[Ended]], None], queues: Sequence[str], most: int = 1
    ) -> bool | None:
        """Commit how jobs ended, all that are held, publish it, and take the next ones in the same step.

        Where that can't be done in one step it is left to `commit` and `take`: it is well to call them in any case.

        Args:
            publish: called with the jobs whose outcomes this has decided.
            queues: as for `take`.
            most: as for `take`.

        Returns:
            What `take` gives.

        Raises:
            RedisError: Redis can't be reached, or refuses; call `commit`.
        """
        with self._lock:
            if not self._ended or self._tried or self.waiting or self._begun:
                return False
            self._tried = True
            self.record.taking_next()
            now, seq = self._clock(), self.record.seq
            wanted = Wanted(queues, times.run_at(now), most)
            taken = commit_and_take(self._client, self._id, self._ended, self._lease, wanted, seq=seq)
            if taken is None:
                self._tried = False
                return False
            self._committed(self._ended, publish)
            return self._got(taken, now)

    def _committed(self, decided: Sequence[Ended] | None, publish: Callable[[Sequence[Ended]], None]) -> None:
        self._tried = False
        ended, self._ended = self._ended, []
        if decided is None:
            self._drop()
        else:
            del self._leases[: len(ended)]
            publish(decided)
        failed = sum(one.outcome.failure is not None for one in ended)
        self.record.committed(rest=bool(self.waiting), processed=len(ended), failed=failed)

    def give_back(self) -> int:
        """Put what was never begun back to the head of its queue; gives how many jobs that were.

        Ends must be committed before, unless a job has begun: then that one stays, with those that ended before it.

        Raises:
            RedisError: Redis can't be reached, or refuses; call it again.
        """
        with self._lock:
            self._returning += self._items
            self._items.clear()
            if not self._returning:
                return 0
            store, begun = self._client.store, len(self._ended) + (self._begun is not None)
            if begun:
                given = store.keep_begun(self._id, begun, self._queue)
            else:
                given = store.give_back(self._id, self._lease, self._queue, self._returning[0])
                self.record.idle()
            del self._leases[-len(self._returning) :]
            self._returning.clear()
            return given

    def forget(self) -> None:
        """Somebody else has finished what was held."""
        with self._lock:
            self._drop()
            self._ended.clear()
            self._begun = None

    @property
    def _lease(self) -> bytes:
        return self._leases[0] if self._leases else b""  # which no lease is: somebody else has removed it

    def _drop(self) -> None:
        self._leases.clear()
        self._items.clear()
        self._returning.clear()
