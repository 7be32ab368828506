"""A job that was taken from a queue: what its item says, and running it."""

from __future__ import annotations

from typing import Any

from clues.errors import DecodeError, NoClassError
from clues.metadata import Failure
from clues.plain import plain
from clues.resque import failure
from clues.resque.registry import JobDefinition, Registry
from clues.resque.wire import decode


class Job:
    """One item, good or bad. A bad one fails when it should be performed, like any other: it is never lost.

    Attributes:
        queue: where it came from.
        raw: the item's bytes.
        item: the decoded item; without class and args where it is no JSON object.
    """

    __slots__ = ("_problem", "item", "queue", "raw")

    def __init__(self, queue: str, raw: bytes) -> None:
        """Read the item; what is wrong with it is raised by `definition`."""
        self.queue: str = queue
        self.raw: bytes = raw
        self.item: dict[str, Any] = {"class": None, "args": []}
        self._problem: DecodeError | None = None
        try:
            self.item = self._read(decode(raw))
        except DecodeError as error:
            self._problem = error

    def _read(self, found: Any) -> dict[str, Any]:
        if not isinstance(found, dict):
            msg = f"the item is JSON, but not an object with class and args: {self.raw[:100]!r}"
            raise DecodeError(msg, self.raw)
        if not isinstance(found.get("args"), list | None):
            self.item = {**found, "args": []}
            msg = f"the item's args must be an array, not {type(found['args']).__name__}"
            raise DecodeError(msg, self.raw)
        return found

    @property
    def worker_class(self) -> str:
        """The class that the item names; empty where it names none."""
        found = self.item.get("class")
        return found if isinstance(found, str) else ""

    @property
    def args(self) -> list[Any]:
        """The arguments; an item without any is performed with none, as in Resque."""
        return self.item.get("args") or []

    def definition(self, registry: Registry) -> JobDefinition:
        """The registered job that the item names.

        Raises:
            DecodeError: the item is bad.
            NoClassError: it names no class.
            UnknownJobError: no registered job has that name.
        """
        if self._problem is not None:
            raise self._problem
        if not self.worker_class:
            msg = "Jobs must be given a class: the item names none"
            raise NoClassError(msg)
        return registry.find(self.worker_class)

    def perform(self, definition: JobDefinition) -> bool:
        """Run the job with its hooks.

        Returns:
            Whether it was performed: a hook may have stopped it quietly.

        Raises:
            BaseException: whatever the job or its hooks raise.
        """
        return definition.hooks.perform(definition.perform, self.args)

    def fail(self, definition: JobDefinition | None, error: BaseException) -> Failure:
        """Run the on_failure hooks, if the job could be found; gives what is to be stored."""
        if definition is None:
            return failure.describe(error)
        try:
            definition.hooks.run_on_failure(error, self.args)
        except BaseException as hook_error:  # noqa: BLE001 - user code
            return failure.additional(hook_error, error, str(self))
        return failure.describe(error)

    def __str__(self) -> str:
        """As Resque shows jobs: ``(Job{queue} | Class | [args])``."""
        return f"(Job{{{self.queue}}} | {self.worker_class} | {repr(plain(self.args))[:1000]})"
