"""The exceptions that clues raises to its users; the docstring says when, the message says what to do."""

from __future__ import annotations

from collections.abc import Sequence


class CluesError(Exception):
    """Base of all that clues raises on purpose."""


class ConfigError(CluesError, ValueError):
    """A mistaken setting, in code or in the environment; raised when clues is configured, never later."""


class MissingExtraError(CluesError, ImportError):
    """A part needs a library that an extra brings.

    Attributes:
        extra: the name to install, as in ``pip install 'clues[<extra>]'``.
        library: what that brings.
    """

    def __init__(self, part: str, extra: str, library: str) -> None:
        super().__init__(f"{part} needs {library}: pip install 'clues[{extra}]'")
        self.extra = extra
        self.library = library


class EncodeError(CluesError, ValueError):
    """A job's arguments can't be written as JSON, so the job was not enqueued."""


class DecodeError(CluesError, ValueError):
    """An item from Redis is not JSON, or not a JSON object.

    Attributes:
        raw: the item's bytes, as they were in Redis.
    """

    def __init__(self, message: str, raw: bytes) -> None:
        super().__init__(message)
        self.raw = raw


class NoQueueError(CluesError, ValueError):
    """A job without a queue was enqueued, or a worker was given no queue."""


class NoClassError(CluesError, ValueError):
    """A job without a class name."""


class QueueNameError(CluesError, ValueError):
    """A queue name that Resque's keys can't hold, such as ``heartbeat``: workers' own keys would be taken for its."""


class DuplicateJobError(CluesError, ValueError):
    """Two different jobs were registered under one wire name."""


class UnknownJobError(CluesError, LookupError):
    """An item names a class that no registered job has; names from Redis are never imported."""


class DontPerform(CluesError):  # noqa: N818 - Resque's own name (Resque::Job::DontPerform)
    """Raise it in a ``before_perform`` hook to end the job quietly: processed, not failed."""


class NoRunningJobError(CluesError, RuntimeError):
    """``resque.reenqueue`` was called where no job runs."""


class NotAJobError(CluesError, TypeError):
    """Something that can't be a job was registered or enqueued: a class without ``perform``, a thing without a name."""


class HookError(CluesError, TypeError):
    """An ``around_perform`` hook neither yields once nor answers a context manager."""


class ClusterError(CluesError):
    """Redis Cluster was given: Resque's keys span slots, so it can't serve them."""


class RedisVersionError(CluesError):
    """The Redis server is older than the oldest that clues supports (6.2)."""


class DirtyExit(CluesError):  # noqa: N818 - Resque's own name (Resque::DirtyExit)
    """A job's process ended without ending its job."""


class PruneDeadWorkerDirtyExit(DirtyExit):
    """A worker died without a word while it held a job; another worker found it and failed the job."""


class PortTakenError(CluesError):
    """Something else listens where the page was to."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(
            f"port {port} of {host} is taken, perhaps by another clues web; choose another with --port, "
            "or --port 0 for any that is free"
        )


class LogFileError(CluesError):
    """An event log can't be read."""

    def __init__(self, path: object, error: OSError) -> None:
        super().__init__(f"can't read the event log {path}: {error.strerror or error}")


class UnknownHashError(CluesError, LookupError):
    """No event of the logs that were read has a hash, or an id of its job system, that begins so."""

    def __init__(self, prefix: str) -> None:
        super().__init__(f"no event in these logs has a hash or job id that begins with {prefix!r}")


class AmbiguousHashError(CluesError, LookupError):
    """Several jobs' hashes, or ids of their job system, begin so.

    Attributes:
        candidates: the hashes.
    """

    def __init__(self, prefix: str, candidates: Sequence[str]) -> None:
        some = ", ".join(candidates[:8]) + (", …" if len(candidates) > 8 else "")  # noqa: PLR2004 - a line's length
        super().__init__(f"the hashes or ids of {len(candidates)} jobs begin with {prefix!r}, give more of one: {some}")
        self.candidates: tuple[str, ...] = tuple(candidates)


class RedisServerError(CluesError):
    """The demo found no Redis server that it could start."""


class AppError(CluesError):
    """The module of an application that a worker was told to load can't be imported."""


class RedisUnavailableError(CluesError):
    """A command of the command line could not reach Redis, or Redis refused it."""


class DemoError(CluesError):
    """The demo's workers, or its Redis, have died."""


class Interrupt(BaseException):
    """Raised in a job's own code from outside; no ``Exception``, so that a job's ``except Exception`` lets it pass."""


_interrupts: tuple[type[BaseException], ...] = (KeyboardInterrupt, Interrupt)


def interrupts() -> tuple[type[BaseException], ...]:
    """What is raised from outside, meant for the job's own code: whatever observes that lets these pass."""
    return _interrupts


def let_through(*kinds: type[BaseException]) -> None:
    """Tell of what a foreign system raises in a job's code from outside, for a time limit or at its end.

    It may arrive in the midst of our publishing, and would be taken for a publisher's fault: the job had no limit.
    """
    global _interrupts  # noqa: PLW0603 - of the process, as what is raised
    _interrupts = (*_interrupts, *(kind for kind in kinds if kind not in _interrupts))


class TermException(Interrupt):
    """The job's worker is being stopped, or was told to kill its jobs; finish in a moment, or be killed."""

    def __init__(self, message: str = "SIGTERM") -> None:
        super().__init__(message)


class JobTimeout(Interrupt):
    """The job ran longer than its class's ``timeout``."""

    def __init__(self, message: str = "the job ran longer than its timeout") -> None:
        super().__init__(message)


class WorkerIdError(CluesError):
    """Another process that lives works under this worker's id, as containers with one host name and pid 1 may."""


class MouldError(CluesError):
    """The process that loads the application could not start."""


class JournalFullError(CluesError, OSError):
    """The journal has reached its size."""

    def __init__(self, folder: str, most: int) -> None:
        """Say which, and what helps.

        Args:
            folder: the spool folder.
            most: its size in bytes.
        """
        super().__init__(
            f"the journal in {folder} holds {most} bytes already; is its shipper running, and are its back ends up? "
            "Events are dropped until there is room; clues doctor says how far each back end is"
        )


class QueryError(CluesError):
    """A query of event logs is mistaken, or could not be run."""


class PromiseError(CluesError, ValueError):
    """What ``clues sla`` was given is no promise.

    Attributes:
        text: what was given.
        place: where in it the mistake is, from 0 up.
    """

    def __init__(self, problem: str, text: str, place: int) -> None:
        super().__init__(problem)
        self.text = text
        self.place = place
