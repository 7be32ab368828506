"""``clues_metadata``: what the running job writes about itself.

A mapping bound to a context variable, so it is right in threads, asyncio and greenlets, and in inline jobs inside
other jobs; outside a job it is empty.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping, MutableMapping
from contextvars import ContextVar, Token
from typing import Any, ClassVar

log = logging.getLogger("clues")


class JobContext:
    """The job that runs in this context: who it is, what was known of it, what it wrote.

    Attributes:
        event_hash: the job's hash, or None when it was enqueued without clues.
        queue: its queue.
        worker_class: its class.
        known: the metadata it came with; read-only for the job.
        written: the fields that it added.
    """

    __slots__ = ("_open", "_reported", "_token", "event_hash", "known", "queue", "worker_class", "written")

    def __init__(
        self, event_hash: str | None, queue: str | None, worker_class: str | None, known: Mapping[str, Any]
    ) -> None:
        """Describe the job; nothing is bound until `bind`."""
        self.event_hash: str | None = event_hash
        self.queue: str | None = queue
        self.worker_class: str | None = worker_class
        self.known: Mapping[str, Any] = known
        self.written: dict[str, Any] = {}
        self._open = True
        self._reported = False
        self._token: Token[JobContext | None] | None = None

    def bind(self) -> None:
        """Make this the running job of the current context."""
        self._token = _running.set(self)

    def unbind(self) -> None:
        """Give the context back to whoever had it, and take no more fields, not even from stray tasks."""
        self._open = False
        token, self._token = self._token, None
        if token is None:
            return
        try:
            _running.reset(token)
        except ValueError:  # bound in another context, as by a job system that calls us from another task
            if _running.get() is self:
                _running.set(None)

    def write(self, key: str, value: Any) -> None:
        """Add a field by the merge rule: no key that exists, none that begins with ``_``, none after the end."""
        if not self._open or key.startswith("_") or key in self.known:
            self._refused(key)
        else:
            self.written[key] = value

    def take_back(self, key: str) -> None:
        """Remove a field that the job wrote, while it runs.

        Raises:
            KeyError: it wrote no such field, or is over.
        """
        if not self._open:
            raise KeyError(key)
        del self.written[key]

    def _refused(self, key: str) -> None:
        if not self._reported:
            self._reported = True
            why = "clues_metadata[%.100r] was not set: it exists, begins with `_`, or its job is over"
            with contextlib.suppress(Exception):  # a broken log handler is no reason to harm the job
                log.debug(why, key)


_running: ContextVar[JobContext | None] = ContextVar("clues_running_job", default=None)


def current_job() -> JobContext | None:
    """The job that runs in this context, or None outside a job."""
    return _running.get()


class CluesMetadata(MutableMapping[str, Any]):
    """The running job's metadata as a mapping.

    Reading gives what the job came with and what it wrote. Writing adds fields; it never raises: what the merge
    rule forbids is left undone and reported once, at debug level.
    """

    __slots__ = ()

    def __getitem__(self, key: object) -> Any:
        """The value of a field, the job's own or one that it came with."""
        job = _running.get()
        if job is None:
            raise KeyError(key)
        key = _name(key)
        return job.written[key] if key in job.written else job.known[key]

    def __setitem__(self, key: object, value: Any) -> None:
        """Add a field; any key becomes a string."""
        job = _running.get()
        if job is not None:
            job.write(_name(key), value)

    def __delitem__(self, key: object) -> None:
        """Take back a field that the job itself wrote."""
        job = _running.get()
        if job is None:
            raise KeyError(key)
        job.take_back(_name(key))

    def __iter__(self) -> Iterator[str]:
        """The fields' names."""
        job = _running.get()
        return iter(()) if job is None else iter([*job.known, *job.written])

    def __len__(self) -> int:
        """How many fields there are."""
        job = _running.get()
        return 0 if job is None else len(job.known) + len(job.written)

    def __repr__(self) -> str:
        """As a dict, to read while debugging."""
        return f"clues_metadata({dict(self)!r})"


def _name(key: object) -> str:
    if type(key) is str:
        return key
    try:
        return str.__str__(key if isinstance(key, str) else str(key))
    except Exception:  # noqa: BLE001 - users write __str__
        return f"<unreadable {type(key).__name__}>"


clues_metadata: CluesMetadata = CluesMetadata()


class Runtime:
    """Mix it into a job class to write ``cls.clues_metadata["pages"] = 12`` while the job runs."""

    clues_metadata: ClassVar[CluesMetadata] = clues_metadata
