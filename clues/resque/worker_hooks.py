"""Hooks of the worker, as Resque has them: functions that an application registers, run in order of registration.

@resque.before_first_fork
def warm_up(): ...

@resque.before_fork
def disconnect(job): ...
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any, TypeVar

log = logging.getLogger("clues.resque")

_Hook = TypeVar("_Hook", bound=Callable[..., Any])


class WorkerHooks:
    """The hooks of a worker, by the moment at which they run."""

    def __init__(self) -> None:
        self.found: dict[str, list[Callable[..., Any]]] = {}
        self.forked: int | None = None  # the process in which after_fork has run

    def add(self, moment: str, hook: _Hook) -> _Hook:
        """Have it called at this moment; gives it back, so that this makes a decorator."""
        self.found.setdefault(moment, []).append(hook)
        return hook

    def run(self, moment: str, *args: Any) -> None:
        """Call those of a moment, in order.

        Raises:
            Exception: what the first of them that fails raises.
        """
        for hook in self.found.get(moment, ()):
            hook(*args)

    def run_safely(self, moment: str, *args: Any) -> None:
        """Call those of a moment; what one raises is logged, and the others are called all the same."""
        for hook in self.found.get(moment, ()):
            try:
                hook(*args)
            except (Exception, SystemExit):
                log.exception("the %s hook %r failed", moment, getattr(hook, "__name__", hook))


hooks: WorkerHooks = WorkerHooks()
"""The process-wide hooks."""


def before_first_fork(hook: _Hook) -> _Hook:
    """Call it once, in the process that forks the workers, when the application is loaded; no arguments."""
    return hooks.add("before_first_fork", hook)


def before_fork(hook: _Hook) -> _Hook:
    """Call it with each `Job` in the process that is about to fork for it.

    With such a hook a worker forks when it has taken a job, rather than ahead of need.
    """
    return hooks.add("before_fork", hook)


def after_fork(hook: _Hook) -> _Hook:
    """Call it with the first `Job` of each forked process, before that is performed."""
    return hooks.add("after_fork", hook)


def before_job(hook: _Hook) -> _Hook:
    """Call it with each `Job`, in the thread that is about to perform it."""
    return hooks.add("before_job", hook)


def before_pause(hook: _Hook) -> _Hook:
    """Call it with the worker when USR2 has paused it."""
    return hooks.add("before_pause", hook)


def after_pause(hook: _Hook) -> _Hook:
    """Call it with the worker when CONT has it go on."""
    return hooks.add("after_pause", hook)


def queue_empty(hook: _Hook) -> _Hook:
    """Call it, with nothing, when a worker that has worked finds its queues empty."""
    return hooks.add("queue_empty", hook)


def shutdown(hook: _Hook) -> _Hook:
    """Call it, with nothing, when the worker is told to stop."""
    return hooks.add("shutdown", hook)


def worker_exit(hook: _Hook) -> _Hook:
    """Call it, with nothing, when the workers are unregistered."""
    return hooks.add("worker_exit", hook)


def run_after_fork(job: Any) -> None:
    """Run the after_fork hooks, once in a forked process; none where nothing was forked."""
    if hooks.forked is None or hooks.forked == os.getpid():
        return
    hooks.forked = os.getpid()
    hooks.run("after_fork", job)


def run_queue_empty() -> None:
    """Run the queue_empty hooks; an error ends the worker (resque worker.rb)."""
    hooks.run("queue_empty")
