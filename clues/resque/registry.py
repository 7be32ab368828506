"""Which jobs there are: only these run, whatever names stand in Redis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, overload

from clues.errors import DuplicateJobError, NotAJobError, UnknownJobError
from clues.resque.hooks import Hooks, is_ordinary_method

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

_Target = TypeVar("_Target", bound="Callable[..., Any]")


@dataclass(frozen=True, slots=True)
class JobDefinition:
    """A job: its name on the wire and what to call.

    Attributes:
        name: the name on the wire.
        target: the class or function.
        perform: call it with the job's arguments; a class whose ``perform`` is an ordinary method is instantiated.
        hooks: the job's hooks.
        queue_source: the queue, or what answers it.
        own_timeout: seconds that it may take, if not its class's `timeout`.
        own_requeue: whether it goes back to its queue when its worker is stopped, if not as its class says.
    """

    name: str
    target: Any
    perform: Callable[..., Any]
    hooks: Hooks
    queue_source: str | Callable[[], str | None] | None = None
    own_timeout: float | None = None
    own_requeue: bool | None = None

    @property
    def timeout(self) -> float | None:
        """Seconds that the job may take; None for as long as it likes."""
        found = self.own_timeout if self.own_timeout is not None else getattr(self.target, "timeout", None)
        return float(found) if found is not None and isinstance(found, int | float) and found > 0 else None

    @property
    def requeue_on_shutdown(self) -> bool:
        """Whether a job that is cut off when its worker is stopped goes back to the head of its queue."""
        return bool(
            getattr(self.target, "requeue_on_shutdown", False) if self.own_requeue is None else self.own_requeue
        )

    @property
    def queue(self) -> str | None:
        """The queue the job goes to now; a class may answer another each time."""
        return self.queue_source() if callable(self.queue_source) else self.queue_source


class Registry:
    """Jobs by their wire names.

    A job's name is the bare name of its class or function, or the class's own `resque_name`. Names from Redis are
    looked up here and never imported.
    """

    def __init__(self) -> None:
        self._by_name: dict[str, JobDefinition] = {}
        self._by_target: dict[Any, JobDefinition] = {}

    def register(  # noqa: PLR0913 - one parameter for each option
        self,
        target: Any,
        *,
        name: str | None = None,
        queue: str | None = None,
        hooks: Hooks | None = None,
        timeout: float | None = None,
        requeue_on_shutdown: bool | None = None,
    ) -> JobDefinition:
        """Add a job.

        Args:
            target: a class with `perform`, or a function.
            name: its wire name, if not its own.
            queue: where it goes, if not to its class's `queue` (a string, or a class method that answers one).
            hooks: its hooks, if not its class's own.
            timeout: seconds that it may take, if not its class's `timeout`; then JobTimeout is raised in it.
            requeue_on_shutdown: whether, cut off when its worker is stopped, it goes back to the head of its queue
                rather than fail; if not as its class's `requeue_on_shutdown` says.

        Raises:
            DuplicateJobError: another target has that name. The same one again, also reloaded, is fine.
            NotAJobError: it has no `perform`, or no name.
        """
        definition = JobDefinition(
            name=name or _own_name(target),
            target=target,
            perform=_perform_of(target),
            hooks=hooks or Hooks(target),
            queue_source=queue or _queue_source(target),
            own_timeout=timeout,
            own_requeue=requeue_on_shutdown,
        )
        self._refuse_duplicate(definition)
        self._by_name[definition.name] = self._by_target[target] = definition
        return definition

    @overload
    def job(self, queue: _Target) -> _Target: ...

    @overload
    def job(
        self,
        queue: str | None = None,
        name: str | None = None,
        hooks: Hooks | None = None,
        *,
        timeout: float | None = None,
        requeue_on_shutdown: bool | None = None,
    ) -> Callable[[_Target], _Target]: ...

    def job(
        self,
        queue: Any = None,
        name: str | None = None,
        hooks: Hooks | None = None,
        *,
        timeout: float | None = None,
        requeue_on_shutdown: bool | None = None,
    ) -> Any:
        """Register the function or class below it, which stays as it is; ``@job`` or ``@job(queue="mail")``."""
        if queue is not None and not isinstance(queue, str):
            return self.job()(queue)

        def decorate(target: _Target) -> _Target:
            self.register(
                target, name=name, queue=queue, hooks=hooks, timeout=timeout, requeue_on_shutdown=requeue_on_shutdown
            )
            return target

        return decorate

    def load(self, module: ModuleType) -> list[JobDefinition]:
        """Register the classes in a module that have a `queue` and a `perform`, and answer those that were new.

        Names that begin with an underscore are left alone.
        """
        return [self.register(target) for target in _job_classes(module) if target not in self._by_target]

    def definition_of(self, target: Any) -> JobDefinition:
        """Find a job by its class, function or wire name; a class that is new is registered.

        Raises:
            UnknownJobError: there is none.
            NotAJobError: the class has no `perform`.
            DuplicateJobError: the class is new, and another has its name.
        """
        if isinstance(target, str):
            return self.find(target)
        if definition := self._by_target.get(target):
            return definition
        if isinstance(target, type):
            return self.register(target)
        raise UnknownJobError(f"{_describe(target)} is not registered; put @resque.job above it")

    def find(self, name: str) -> JobDefinition:
        """Find a job by its wire name, spelled as Ruby allows: ``::JobName``, ``job-name``.

        Raises:
            UnknownJobError: there is none.
        """
        definition = self._by_name.get(name) or self._by_name.get(_as_ruby_reads(name))
        if definition is None:
            raise UnknownJobError(
                f"No job is registered as {name!r}; register it with @resque.job, or name its module in --app"
            )
        return definition

    def names(self) -> list[str]:
        """List the wire names, sorted."""
        return sorted(self._by_name)

    def _refuse_duplicate(self, new: JobDefinition) -> None:
        old = self._by_name.get(new.name)
        if old is not None and _origin(old.target) != _origin(new.target):
            raise DuplicateJobError(
                f"{_describe(old.target)} and {_describe(new.target)} would both be the job {new.name!r}; "
                "give one another name, by name= or resque_name"
            )


def _job_classes(module: ModuleType) -> Iterator[type]:
    for name, value in list(vars(module).items()):
        if not name.startswith("_") and isinstance(value, type) and _has_perform(value) and _queue_source(value):
            yield value


def _has_perform(target: type) -> bool:
    return callable(getattr(target, "perform", None))


def _own_name(target: Any) -> str:
    own = vars(target).get("resque_name") if isinstance(target, type) else None
    name = str(own or getattr(target, "__name__", "<>"))
    if "<" in name:
        raise NotAJobError(f"{_describe(target)} has no name of its own; give it one by name=")
    return name


def _perform_of(target: Any) -> Callable[..., Any]:
    if not isinstance(target, type):
        return _checked_callable(target)
    if not _has_perform(target):
        raise NotAJobError(f"{_describe(target)} has no perform; give it one, as a class method")
    return _late(target, on_instance=is_ordinary_method(target, "perform"))


def _late(target: Any, *, on_instance: bool) -> Callable[..., Any]:
    """Answer what looks the method up at each call, so that a test may patch the class."""

    def perform(*args: Any) -> Any:
        holder = target() if on_instance else target
        return holder.perform(*args)

    return perform


def _checked_callable(target: Any) -> Callable[..., Any]:
    if not callable(target):
        raise NotAJobError(f"{target!r} is neither a class nor a function")
    call: Callable[..., Any] = target
    return call


def _queue_source(target: Any) -> Callable[[], str | None] | None:
    """Answer what reads the class's queue, as it is each time; None if it has no queue."""
    queue = getattr(target, "queue", None) if isinstance(target, type) else None
    if not isinstance(queue, str) and not callable(queue):
        return None
    return lambda: target.queue() if callable(target.queue) else target.queue


def _as_ruby_reads(name: str) -> str:
    name = name.removeprefix("::")
    return "".join(part.capitalize() for part in name.split("-")) if "-" in name else name


def _origin(target: Any) -> tuple[Any, Any]:
    return getattr(target, "__module__", None), getattr(target, "__qualname__", target)


def _describe(target: Any) -> str:
    module, name = _origin(target)
    return f"{module}.{name}" if module else repr(target)


default: Registry = Registry()
"""The process-wide registry that ``@resque.job`` and clients use."""
