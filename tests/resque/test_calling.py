"""Ordinary and async jobs are called alike."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import TYPE_CHECKING, Any

import pytest

from clues.resque.calling import run

if TYPE_CHECKING:
    from collections.abc import Generator

SEEN: contextvars.ContextVar[dict[str, Any]] = contextvars.ContextVar("SEEN")


async def _note(key: str) -> str:
    await asyncio.sleep(0)
    SEEN.get()[key] = threading.current_thread()
    return key


def test_an_ordinary_call_answers_its_result() -> None:
    """Nothing is added."""
    assert run(divmod, [7, 2]) == (3, 1)


def test_an_async_call_is_waited_for() -> None:
    """It sees the caller's context variables, in the caller's thread."""
    SEEN.set({})
    assert run(_note, ["a"]) == "a"
    assert SEEN.get() == {"a": threading.current_thread()}


def test_an_async_call_inside_a_running_loop() -> None:
    """It runs in a thread of its own, with the context of the caller, and is over when run returns."""

    async def outer() -> str:
        return str(run(_note, ["b"]))

    SEEN.set({})
    assert asyncio.run(outer()) == "b"
    assert SEEN.get()["b"] is not threading.current_thread()


@pytest.mark.parametrize("inside", [False, True], ids=["plain", "inside a loop"])
def test_an_async_error_is_the_callers(inside: bool) -> None:
    """What the code raises comes out."""

    async def fail() -> None:
        raise LookupError("gone")

    async def outer() -> None:
        run(fail, ())

    with pytest.raises(LookupError, match="gone"):
        asyncio.run(outer()) if inside else run(fail, ())


def test_any_awaitable_is_waited_for() -> None:
    """Not only coroutines."""

    class Later:
        def __await__(self) -> Generator[None, None, int]:
            yield
            return 5

    assert run(Later, ()) == 5


def test_a_failing_async_job_has_no_cause_of_ours() -> None:
    """What the job raises comes with no other error as its context."""

    async def fail() -> None:
        raise ValueError("the job's")

    with pytest.raises(ValueError, match="the job's") as caught:
        run(fail, [])
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None
