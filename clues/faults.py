"""What observers got wrong: counted always, said at most once a minute and at the end, never raised."""

from __future__ import annotations

import atexit
import contextlib
import functools
import logging
import os
import signal
import time
import weakref
from collections import Counter
from collections.abc import Callable
from types import CodeType

from clues.errors import interrupts
from clues.forklock import ForkLock
from clues.sanitize import for_log

log = logging.getLogger("clues")

_SHOWN = 300
_LONGEST = 4096  # what redaction gets to see of a message
_counting = ForkLock()  # one for all faults: they are rare


class Faults:
    """Counts faults by who made them: of publishers, the events that they lost.

    A publisher that raises must not reach the job, and one that raises a thousand times a second must not
    flood the log either.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, interval: float = 60.0) -> None:
        """Start with nothing counted.

        Args:
            clock: seconds, monotonic.
            interval: seconds between two log lines about the same culprit.
        """
        self._clock = clock
        self._interval = interval
        self._counts: Counter[str] = Counter()
        self._silent: Counter[str] = Counter()
        self._next_say: dict[str, float] = {}
        _all.add(self)

    @property
    def counts(self) -> dict[str, int]:
        """How many faults each culprit has made, or events it has lost, in this process."""
        with _counting.lock:
            return dict(self._counts)

    def report(
        self, culprit: str, error: BaseException, consequence: str = "the job goes on", *, events: int = 1
    ) -> None:
        """Count a fault, and say it unless the same culprit's was said within the interval.

        Args:
            culprit: who made it.
            error: what it raised.
            consequence: what that means.
            events: how many events are lost by it.

        Raises:
            BaseException: the error itself, where it is no fault but only met us on its way, and is meant for the code
                that the process runs: one of `interrupts`, or what a signal's handler has raised.
        """
        if isinstance(error, interrupts()) or is_from_signal(error):
            raise error
        with _counting.lock:
            self._counts[culprit] += events
            now = self._clock()
            if now < self._next_say.get(culprit, now):
                self._silent[culprit] += events
                return
            self._next_say[culprit] = now + self._interval
            unsaid = self._silent.pop(culprit, 0)
        more = f" ({unsaid} more since the last report)" if unsaid else ""
        say(logging.WARNING, "%s: %s; %s%s", culprit, describe(error), consequence, more)


def say_the_rest() -> None:
    """Say how many faults were counted since the last report of each culprit: the process ends.

    Done at exit; what leaves by `os._exit` calls it itself.
    """
    with _counting.lock:
        rest = [(culprit, unsaid) for faults in _all for culprit, unsaid in faults._silent.items()]  # noqa: SLF001
        _say_no_more()
    for culprit, unsaid in rest:
        say(logging.WARNING, "%s: %d more since the last report; the process ends", culprit, unsaid)


def _say_no_more() -> None:
    """Also in a forked child, for what its parent has counted is said by that."""
    for faults in _all:
        faults._silent.clear()  # noqa: SLF001 - the module's own


_all: weakref.WeakSet[Faults] = weakref.WeakSet()
atexit.register(say_the_rest)
os.register_at_fork(after_in_child=_say_no_more)


def is_from_signal(error: BaseException) -> bool:
    """Whether a handler of a signal has raised an error, as those do that end jobs and processes."""
    trace = error.__traceback__
    if trace is None:
        return False
    # One that can't be looked at is none of Python's.
    codes = {_code_of(signal.getsignal(number)) for number in signal.valid_signals()} - {None}
    while trace is not None:
        if trace.tb_frame.f_code in codes:
            return True
        trace = trace.tb_next
    return False


def _code_of(handler: object) -> CodeType | None:
    while isinstance(handler, functools.partial):
        handler = handler.func
    found = getattr(handler, "__code__", None)  # a method has its function's
    if found is None:
        found = getattr(vars(type(handler)).get("__call__"), "__code__", None)
    return found if isinstance(found, CodeType) else None


def say(level: int, message: str, *args: object) -> None:
    """Log, and survive a logging handler that raises."""
    with contextlib.suppress(Exception):  # a broken log handler is no reason to harm the job
        log.log(level, message, *args)


def describe(error: BaseException) -> str:
    """``Type: message`` in one short line without secrets, whatever the error's ``__str__`` does."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - users write __str__
        text = "<message can't be read>"
    return f"{type(error).__name__}: {for_log(text[:_LONGEST])[:_SHOWN]}" if text else type(error).__name__
