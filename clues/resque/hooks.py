"""A job's hooks: methods of its class, found by how their names begin."""

from __future__ import annotations

import inspect
from types import FunctionType
from typing import TYPE_CHECKING, Any

from clues.errors import DontPerform
from clues.resque.around import surround
from clues.resque.calling import run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

KINDS = (
    "before_enqueue",
    "after_enqueue",
    "before_dequeue",
    "after_dequeue",
    "before_perform",
    "around_perform",
    "after_perform",
    "on_failure",
)
"""What a hook's name begins with; those of one kind run in the order of their names."""


class Hooks:
    """The hooks of one class.

    They are the methods whose names begin with one of KINDS, or, if the class has a list `hooks`, those it names.
    They get the job's arguments (``on_failure`` the error before them), and may be async, but for ``around_perform``.
    Ordinary methods get a fresh instance as their self if ``perform`` is an ordinary method too; nothing is carried
    from one to the next.

    Args:
        target: the class; None, or anything that is no class, has no hooks.
    """

    __slots__ = ("_found", "_on_instance", "_target", "_wraps_perform")

    def __init__(self, target: Any = None) -> None:
        names = _names(target) if isinstance(target, type) else []
        self._target = target
        self._found = {kind: found for kind in KINDS if (found := tuple(n for n in names if n.startswith(kind)))}
        self._on_instance = _ordinary_methods(target, names)
        self._wraps_perform = any(kind.endswith("_perform") for kind in self._found)

    def __repr__(self) -> str:
        return f"Hooks({self._target!r})"

    def run_before_enqueue(self, args: Sequence[Any]) -> bool:
        """Run them all; answer whether to go on, which is when none answered exactly False."""
        return self._run("before_enqueue", args)

    def run_after_enqueue(self, args: Sequence[Any]) -> None:
        """Run them all."""
        self._run("after_enqueue", args)

    def run_before_dequeue(self, args: Sequence[Any]) -> bool:
        """Run them all; answer whether to go on, which is when none answered exactly False."""
        return self._run("before_dequeue", args)

    def run_after_dequeue(self, args: Sequence[Any]) -> None:
        """Run them all."""
        self._run("after_dequeue", args)

    def perform(self, call: Callable[..., Any], args: Sequence[Any]) -> bool:
        """Run the job's code between its hooks: those before, those around (first by name outermost), those after.

        A hook before it that raises DontPerform ends the job quietly. One around it is a generator function that
        yields once, or answers a context manager; if it returns before its yield the code is skipped, and what it
        swallows counts as success: the hooks after still run.

        Args:
            call: the job's code, ordinary or async.
            args: the job's arguments.

        Returns:
            Whether the code ran to its end.
        """
        if not self._wraps_perform:
            run(call, args)
            return True
        try:
            self._run("before_perform", args)
        except DontPerform:
            return False
        performed = self._perform_around(call, args)
        self._run("after_perform", args)
        return performed

    def run_on_failure(self, error: BaseException, args: Sequence[Any]) -> None:
        """Run them, once a job, before its failure is stored; the first that raises keeps the rest from running."""
        self._run("on_failure", (error, *args))

    def _run(self, kind: str, args: Sequence[Any]) -> bool:
        """Run all of a kind; answer whether none answered exactly False."""
        answers = [run(self._bound(name), args) for name in self._found.get(kind, ())]
        return not any(answer is False for answer in answers)

    def _bound(self, name: str) -> Callable[..., Any]:
        holder = self._target() if name in self._on_instance else self._target
        bound: Callable[..., Any] = getattr(holder, name)
        return bound

    def _perform_around(self, call: Callable[..., Any], args: Sequence[Any]) -> bool:
        performed = False

        def innermost() -> None:
            nonlocal performed
            run(call, args)
            performed = True

        self._nest(self._found.get("around_perform", ()), innermost, args)
        return performed

    def _nest(self, names: Sequence[str], innermost: Callable[[], None], args: Sequence[Any]) -> None:
        if not names:
            innermost()
            return
        around = self._bound(names[0])(*args)
        surround(around, lambda: self._nest(names[1:], innermost, args), names[0])


def is_ordinary_method(target: type, name: str) -> bool:
    """Tell whether a class's attribute is a method that wants an instance."""
    return isinstance(inspect.getattr_static(target, name, None), FunctionType)


def _ordinary_methods(target: Any, names: Sequence[str]) -> frozenset[str]:
    if not names or not is_ordinary_method(target, "perform"):
        return frozenset()
    return frozenset(name for name in names if is_ordinary_method(target, name))


def _names(target: type) -> list[str]:
    listed = getattr(target, "hooks", None)
    if callable(listed):
        listed = listed()
    return sorted(map(str, listed)) if listed is not None else _found_names(target)


def _found_names(target: type) -> list[str]:
    return [name for name in sorted(dir(target)) if name.startswith(KINDS) and callable(getattr(target, name))]
