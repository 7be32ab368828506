"""The shipper beside a worker program that is not ours: started by its one parent, before that forks its workers.

Two processes, so that whoever starts them need not look after them: a *keeper*, which does nothing but start the
publishers' companion again if that dies, and the companion, which ships. Both leave when the parent is gone, however
that ended, after the companion has delivered what it can.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import time
import weakref
from collections.abc import Callable, Iterable

from clues.backoff import Restarts
from clues.config import Settings, default
from clues.event import Sampler

_LEAVE = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)  # sent to groups while events are to come


class Beside:
    """A companion that was started."""

    def __init__(self, lifeline: int) -> None:
        """Remember the pipe that tells the keeper that we live."""
        self._lifeline = lifeline

    def leave(self) -> None:
        """Have it deliver what it can, and leave; nobody waits for that. In a forked child, only let go of it."""
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1


def start_companion(settings: Settings = default, *, samplers: Iterable[Sampler] = ()) -> Beside | None:
    """Start the configured publishers' companion beside this process.

    Call it in the parent of workers, before it has threads and children: they won't ship themselves.

    Args:
        settings: whose publisher.
        samplers: who knows states, besides those that are configured.

    Returns:
        What was started; None where clues is unconfigured, no publisher ships, and none takes states that are known.

    Raises:
        OSError: the system has no process for it.
    """
    config = settings.config
    make = getattr(config and config.publisher, "companion", None)
    companion = make() if make is not None else None
    if config is None or companion is None:
        return None
    everyone = (*config.samplers, *samplers)
    if not (everyone or getattr(companion, "ships", True)):
        return None
    lifeline, ours = os.pipe()

    def keep_beside() -> None:
        # Not our child but its child keeps: the system reaps that, where the parent would have to.
        if not os.fork():
            os.close(ours)
            _keep(lifeline, lambda: companion.run(lifeline, everyone))

    status = 1
    try:
        status = _wait(_child(keep_beside))
    finally:
        os.close(lifeline)
        if status:
            os.close(ours)
    if status:
        raise OSError(errno.EAGAIN, "no process could be started that ships beside this one; its events wait on disk")
    beside = Beside(ours)
    _all.add(beside)
    return beside


_all: weakref.WeakSet[Beside] = weakref.WeakSet()


def _let_go() -> None:
    """In a forked child: what it inherits would keep companions alive when the parent is gone."""
    for beside in list(_all):
        beside.leave()


os.register_at_fork(after_in_child=_let_go)


def _keep(lifeline: int, run: Callable[[], None]) -> None:
    """Keep one companion running until the parent is gone, then wait for it to have delivered."""
    for number in _LEAVE:
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    restarts = Restarts()
    while not _is_over(lifeline, 0.0):
        since = time.monotonic()
        with contextlib.suppress(OSError):  # the system has no process for it: as if it had died at once
            _wait(_child(run))
        if _is_over(lifeline, restarts.after(time.monotonic() - since)):
            return


def _is_over(lifeline: int, seconds: float) -> bool:
    """Whether the parent is gone, or goes within so many seconds."""
    return bool(select.select([lifeline], [], [], seconds)[0])


def _wait(pid: int) -> int:
    """Wait for a child; gives its status, 0 where the system has reaped it already."""
    with contextlib.suppress(ChildProcessError):
        return os.waitpid(pid, 0)[1]
    return 0


def _child(do: Callable[[], None]) -> int:
    """Do something in a forked child, which leaves then without running what its parent wants done at exit.

    Returns:
        Its process id, in the parent; whatever `do` raises, the child never goes on with its parent's program.
    """
    if pid := os.fork():
        return pid
    status = 1
    try:
        do()
        status = 0
    finally:
        os._exit(status)
