"""taskiq's InMemoryBroker, in each way that it works; prints the events of each."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any
from unittest.mock import patch

from taskiq import InMemoryBroker, TaskiqMiddleware
from taskiq.exceptions import SendTaskError
from taskiq.formatters.json_formatter import JSONFormatter
from taskiq.kicker import AsyncKicker
from taskiq.receiver import Receiver
from taskiq.serializers import JSONSerializer, PickleSerializer

import clues
import clues.config
from clues.adapters import taskiq as adapter
from clues.testing import RecordingPublisher

publisher = RecordingPublisher()


def made(**options: Any) -> tuple[Any, Any, Any]:
    broker = InMemoryBroker(**options)
    adapter.install(broker)

    @broker.task(task_name="adds")
    async def adds(x: int, y: int) -> int:
        clues.clues_metadata["sum"] = x + y
        return x + y

    @broker.task(task_name="fails")
    def fails() -> None:
        raise ValueError("told to")

    return broker, adds, fails


async def in_place() -> None:
    _, adds, _ = made(await_inplace=True)
    task = await adds.kiq(1, 2)
    assert (await task.wait_result()).return_value == 3
    assert not dict(clues.clues_metadata)


async def later() -> None:
    broker, _, fails = made()
    await fails.kiq()
    await broker.wait_all()


async def unknown() -> None:
    broker, _, _ = made()
    try:
        await AsyncKicker("nobody", broker, {}).kiq()
    except SendTaskError:
        return
    raise AssertionError


async def uninstalled() -> None:
    broker, adds, _ = made()
    assert adapter.hooked() == ["InMemoryBroker taskiq"]
    adapter.uninstall(broker)
    assert adapter.hooked() == []
    assert Receiver.callback.__module__ == "taskiq.receiver.receiver"
    await adds.kiq(1, 2)
    await broker.wait_all()


async def twice_installed() -> None:
    broker, adds, _ = made()
    adapter.install(broker)
    broker.add_middlewares(adapter.CluesMiddleware())
    await adds.kiq(1, 2)
    await broker.wait_all()


class Raising(TaskiqMiddleware):
    """Raises in one of its hooks."""

    def __init__(self, hook: str) -> None:
        super().__init__()
        self.hook = hook

    def pre_execute(self, message: Any) -> Any:
        if self.hook == "pre_execute":
            raise LookupError(self.hook)
        return message

    def on_error(self, message: Any, result: Any, exception: BaseException) -> None:
        if self.hook == "on_error":
            raise LookupError(self.hook)

    def post_execute(self, message: Any, result: Any) -> None:
        if self.hook == "post_execute":
            raise LookupError(self.hook)


def raising(hook: str, *, first: bool = False) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        broker, adds, fails = made()
        broker.add_middlewares(Raising(hook))
        if first:
            broker.middlewares.reverse()
        await (fails.kiq() if hook == "on_error" else adds.kiq(1, 2))
        try:
            await broker.wait_all()
        except LookupError:
            return
        raise AssertionError

    return run


async def broken_publisher() -> None:
    """All that we do raises: taskiq's users see nothing of it."""
    broker, adds, fails = made()
    with patch.object(adapter, "_stamp", raises), patch.object(adapter._Run, "take", raises):
        await adds.kiq(1, 2)
        await fails.kiq()
        await broker.wait_all()
        assert (await (await adds.kiq(1, 2)).wait_result()).return_value == 3


def raises(*args: Any, **kwargs: Any) -> Any:
    raise RuntimeError("clues is broken")


async def unconfigured() -> None:
    """clues_metadata works as ever; nothing rides in the message."""
    clues.config.reset()
    broker, _, _ = made()

    @broker.task(task_name="looks")
    async def looks() -> Any:
        clues.clues_metadata["x"] = 1
        return [clues.clues_metadata["x"]]

    task = await looks.kiq()
    result = await task.wait_result()
    assert result.return_value == [1]
    assert "clues_metadata" not in result.labels
    clues.configure(publisher)


async def undelivered() -> None:
    """The broker is away: nothing was enqueued, nothing is kept."""
    broker, adds, _ = made()

    async def kick(message: Any) -> None:
        raise ConnectionError

    broker.kick = kick
    for _ in range(3):
        try:
            await adds.kiq(1, 2)
        except SendTaskError:
            continue
        raise AssertionError


def serialised(change: Callable[[Any], Any]) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        broker, adds, _ = made()
        change(broker)
        await adds.kiq(1, 2)
        await broker.wait_all()

    return run


async def main() -> None:
    clues.configure(publisher)
    stories = {}
    for name, run in {
        "in place": in_place,
        "later": later,
        "unknown": unknown,
        "uninstalled": uninstalled,
        "twice installed": twice_installed,
        "pre_execute raises": raising("pre_execute"),
        "pre_execute raises before ours": raising("pre_execute", first=True),
        "on_error raises": raising("on_error"),
        "on_error raises after ours": raising("on_error", first=True),
        "post_execute raises": raising("post_execute"),
        "we raise": broken_publisher,
        "unconfigured": unconfigured,
        "undelivered": undelivered,
        "json": serialised(lambda broker: broker.with_serializer(JSONSerializer())),
        "pickle": serialised(lambda broker: broker.with_serializer(PickleSerializer())),
        "formatter": serialised(lambda broker: broker.with_formatter(JSONFormatter())),
    }.items():
        publisher.events.clear()
        await run()
        adapter.uninstall()
        assert not adapter._brokers
        assert not adapter._running
        stories[name] = [json.loads(event.line) for event in publisher.events]
    sys.stdout.write(json.dumps(stories) + "\n")


asyncio.run(main())
