"""How a tree of workers is to work: Resque's environment variables, resque_starter's settings, and ours."""

from __future__ import annotations

import math
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Self

from clues.errors import ConfigError
from clues.resque.heartbeat import BEATS_BEFORE_DEAD, INTERVAL
from clues.resque.worker_thread import Pace
from clues.rundir import run_dir

UNLIMITED = 0
"""Jobs per fork that mean: a process is never replaced."""

_LARGEST_BATCH = 1000  # what a script may hand out at once
_RENAMED = {"concurrency": "worker_count", "dequeue_interval": "interval"}


@dataclass(frozen=True, slots=True)
class Options:
    """The settings of a tree.

    Attributes:
        queues: names and patterns in order of priority.
        worker_count: worker processes (WORKER_COUNT, or Resque's COUNT).
        thread_count: threads of each (THREAD_COUNT).
        jobs_per_fork: jobs after which a process is replaced (JOBS_PER_FORK), at least one for each of its threads; 0
            for never (FORK_PER_JOB=false).
        batch_size: the most jobs to take at once (BATCH_SIZE).
        interval: seconds, the longest wait between two looks at the queues; 0 ends when they are empty (INTERVAL).
        min_interval: seconds, the wait after a job (MIN_INTERVAL).
        max_interval: seconds, the longest that it grows to (MAX_INTERVAL).
        backoff_interval: seconds by which it grows with each look that finds nothing (BACKOFF_INTERVAL).
        term_child: raise TermException in the jobs when stopping (TERM_CHILD).
        graceful_term: TERM lets the running jobs finish, as QUIT (GRACEFUL_TERM).
        term_timeout: seconds from the exception to the kill (RESQUE_TERM_TIMEOUT).
        pre_shutdown_timeout: seconds before the exception in which jobs may finish (RESQUE_PRE_SHUTDOWN_TIMEOUT).
        heartbeat_interval: seconds between beats (HEARTBEAT_INTERVAL_SECONDS).
        heartbeats_before_dead: beats that a dead worker has missed (HEARTBEATS_BEFORE_DEAD).
        run_at_exit_hooks: worker processes run what was registered with `atexit` (RUN_AT_EXIT_HOOKS).
        hostname: for the workers' ids.
        title_prefix: what stands before process titles (RESQUE_PROCLINE_PREFIX).
        run_dir: the folder for the scoreboard (CLUES_RUN_DIR).
    """

    queues: tuple[str, ...] = ()
    worker_count: int = 1
    thread_count: int = 1
    jobs_per_fork: int = 1
    batch_size: int = 1
    interval: float = 5.0
    min_interval: float | None = None
    max_interval: float | None = None
    backoff_interval: float = 0.1
    term_child: bool = False
    graceful_term: bool = False
    term_timeout: float = 4.0
    pre_shutdown_timeout: float = 0.0
    heartbeat_interval: float = INTERVAL
    heartbeats_before_dead: int = BEATS_BEFORE_DEAD
    run_at_exit_hooks: bool = False
    hostname: str = field(default_factory=socket.gethostname)
    title_prefix: str = ""
    run_dir: str = field(default_factory=lambda: run_dir({}))

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """Read what Resque's variables say.

        Raises:
            ConfigError: one of them is mistaken; the message names it.
        """
        read = _Environment(environ)
        forks = environ.get("FORK_PER_JOB") != "false"  # the exact word (resque worker.rb)
        made = cls(
            queues=(),
            worker_count=read.whole("WORKER_COUNT", read.whole("COUNT", 1)),
            thread_count=read.whole("THREAD_COUNT", 1),
            jobs_per_fork=read.whole("JOBS_PER_FORK", 1, least=0) if forks else UNLIMITED,
            batch_size=read.whole("BATCH_SIZE", 1, most=_LARGEST_BATCH),
            interval=read.seconds("INTERVAL", 5.0),
            min_interval=read.maybe_seconds("MIN_INTERVAL"),
            max_interval=read.maybe_seconds("MAX_INTERVAL"),
            backoff_interval=read.seconds("BACKOFF_INTERVAL", 0.1),
            term_child="TERM_CHILD" in environ,
            graceful_term="GRACEFUL_TERM" in environ,
            term_timeout=read.seconds("RESQUE_TERM_TIMEOUT", 4.0),
            pre_shutdown_timeout=read.seconds("RESQUE_PRE_SHUTDOWN_TIMEOUT", 0.0),
            heartbeat_interval=read.seconds("HEARTBEAT_INTERVAL_SECONDS", INTERVAL, least=0.1),
            heartbeats_before_dead=read.whole("HEARTBEATS_BEFORE_DEAD", BEATS_BEFORE_DEAD),
            run_at_exit_hooks="RUN_AT_EXIT_HOOKS" in environ,
            title_prefix=environ.get("RESQUE_PROCLINE_PREFIX", ""),
            run_dir=run_dir(environ),
        )
        hostname = environ.get("CLUES_WORKER_HOSTNAME")
        return replace(made, hostname=hostname) if hostname else made

    def having(self, settings: Mapping[str, Any]) -> Self:
        """These options, but for what a config file sets; its words are resque_starter's."""
        known = {one.name for one in fields(self)}
        given = {_RENAMED.get(name, name): value for name, value in settings.items()}
        given = {name: tuple(value) if name == "queues" else value for name, value in given.items() if name in known}
        return replace(self, **given)

    def settings(self) -> dict[str, Any]:
        """These options in a config file's words."""
        words = {ours: theirs for theirs, ours in _RENAMED.items()}
        return {
            words.get(name, name): list(value) if name == "queues" else value for name, value in self.told().items()
        }

    def told(self) -> dict[str, Any]:
        """As JSON values, for another process."""
        return asdict(self)

    @classmethod
    def by(cls, told: Mapping[str, Any]) -> Self:
        """Read back what `told` gave."""
        return cls(**{**told, "queues": tuple(told["queues"])})

    @property
    def pace(self) -> Pace:
        """How long workers wait, and how much they take."""
        return Pace(self.interval, self.min_interval, self.max_interval, self.backoff_interval, self.batch_size)

    @property
    def dead_after(self) -> int:
        """Seconds without a beat that make a worker dead."""
        return max(1, math.ceil(self.heartbeat_interval * self.heartbeats_before_dead))

    @property
    def forks(self) -> bool:
        """Whether worker processes are replaced after some jobs."""
        return self.jobs_per_fork != UNLIMITED


class _Environment:
    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def whole(self, name: str, default: int, *, least: int = 1, most: int = 1_000_000) -> int:
        text = self._environ.get(name, "").strip()
        if not text:
            return default
        try:
            found = int(text)
        except ValueError:
            found = least - 1
        if not least <= found <= most:
            msg = f"{name} must be a whole number from {least} to {most}, not {text!r}"
            raise ConfigError(msg)
        return found

    def seconds(self, name: str, default: float, *, least: float = 0.0) -> float:
        found = self.maybe_seconds(name, least=least)
        return default if found is None else found

    def maybe_seconds(self, name: str, *, least: float = 0.0) -> float | None:
        text = self._environ.get(name, "").strip()
        if not text:
            return None
        try:
            found = float(text)
        except ValueError:
            found = math.nan
        if not (math.isfinite(found) and found >= least):
            msg = f"{name} must be a number of seconds, {least:g} or more, not {text!r}"
            raise ConfigError(msg)
        return found
