"""What an around_perform hook answers, with the job's code run inside it."""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import GeneratorType
from typing import TYPE_CHECKING, Any

from clues.errors import HookError

if TYPE_CHECKING:
    from collections.abc import Callable


def surround(around: Any, inner: Callable[[], None], name: str) -> None:
    """Run `inner` inside what an around hook answered: a generator, at its yield, or a context manager.

    Raises:
        HookError: it is neither, or the generator yields twice.
    """
    if isinstance(around, GeneratorType):
        _drive(around, inner, name)
    elif isinstance(around, AbstractContextManager):
        with around:
            inner()
    else:
        message = f"{name} answered {type(around).__name__}; let it yield once, or answer a context manager"
        raise HookError(message)


def _drive(generator: GeneratorType[Any, Any, Any], inner: Callable[[], None], name: str) -> None:
    """Run `inner` at a generator's yield; not at all if it ends before."""
    if _ends(generator.__next__):
        return
    try:
        inner()
    except BaseException as error:  # noqa: BLE001 - it is thrown into the generator, which raises it again
        ended = _ends_by(generator, error)
    else:
        ended = _ends(generator.__next__)
    if not ended:
        generator.close()
        message = f"{name} yielded twice; let it yield once"
        raise HookError(message)


def _ends_by(generator: GeneratorType[Any, Any, Any], error: BaseException) -> bool:
    try:
        return _ends(lambda: generator.throw(error))
    except RuntimeError as raised:
        if isinstance(error, StopIteration) and raised.__cause__ is error:
            # Python wraps a StopIteration that leaves a generator; the job's own error is what failed it.
            raise error from error.__cause__
        raise


def _ends(resume: Callable[[], Any]) -> bool:
    try:
        resume()
    except StopIteration:
        return True
    return False
