"""Calling a job's code, be it ordinary or async."""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence


def run(perform: Callable[..., Any], args: Sequence[Any]) -> Any:
    """Call it; if the answer is awaitable, wait for its result in an event loop of its own.

    Context variables are visible to the code either way; what async code sets in them ends with it.
    """
    result = perform(*args)
    if not hasattr(type(result), "__await__"):
        return result
    return _wait(result)


def _wait(awaitable: Awaitable[Any]) -> Any:
    import asyncio  # noqa: PLC0415 - slow to import, and most jobs are not async

    # Not by get_running_loop: the job would run while that one's error is handled, and seem to be caused by it.
    if asyncio._get_running_loop() is None:  # noqa: SLF001 - public in all but name: asyncio.events exports it
        return asyncio.run(_result(awaitable))
    return _wait_in_thread(awaitable)


def _wait_in_thread(awaitable: Awaitable[Any]) -> Any:
    """Wait in a fresh thread, as this one's loop can't run a second: a job performed inline by async code."""
    import asyncio  # noqa: PLC0415
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    context = contextvars.copy_context()
    with ThreadPoolExecutor(max_workers=1) as pool:
        return pool.submit(context.run, asyncio.run, _result(awaitable)).result()


async def _result(awaitable: Awaitable[Any]) -> Any:
    return await awaitable
