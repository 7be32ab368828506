"""Acts that are cut off after one of their Redis commands, as a death or a lost connection cuts them off."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any, TypeVar

from clues.resque import Resque

T = TypeVar("T")


class Death(BaseException):
    """The process ended here."""


@contextmanager
def cut_off(client: Resque, after: int, error: BaseException | type[BaseException] = Death) -> Iterator[None]:
    """Have a client's command be done, and raise in place of its reply: the one after so many others."""
    ways, left = ((client.store.client, "execute_command"), (client.store.direct, "run")), after

    def cutting(execute: Callable[..., T]) -> Callable[..., T]:
        def cut(*args: Any, **options: Any) -> T:
            nonlocal left
            reply = execute(*args, **options)
            left -= 1
            if left < 0:
                raise error
            return reply

        return cut

    for way, name in ways:
        setattr(way, name, cutting(getattr(way, name)))
    try:
        yield
    finally:
        for way, name in ways:
            delattr(way, name)


def everywhere(client: Resque, prepare: Callable[[], T], act: Callable[[T], object], check: Callable[[T], None]) -> int:
    """Cut an act off after each of its commands, call it again, and check what came of it, each time from the start.

    Returns:
        How many commands there are.
    """
    for commands in count():
        given = prepare()
        try:
            with cut_off(client, commands):
                act(given)
        except Death:
            act(given)
            check(given)
        else:
            check(given)
            return commands
    raise AssertionError
