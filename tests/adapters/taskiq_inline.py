"""taskiq's InMemoryBroker, in each way that it works; prints the events of each."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from taskiq import InMemoryBroker
from taskiq.exceptions import SendTaskError
from taskiq.formatters.json_formatter import JSONFormatter
from taskiq.kicker import AsyncKicker
from taskiq.receiver import Receiver
from taskiq.serializers import JSONSerializer, PickleSerializer

import clues
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
        "json": serialised(lambda broker: broker.with_serializer(JSONSerializer())),
        "pickle": serialised(lambda broker: broker.with_serializer(PickleSerializer())),
        "formatter": serialised(lambda broker: broker.with_formatter(JSONFormatter())),
    }.items():
        publisher.events.clear()
        await run()
        for broker in list(adapter._brokers):
            adapter.uninstall(broker)
        stories[name] = [json.loads(event.line) for event in publisher.events]
    sys.stdout.write(json.dumps(stories) + "\n")


asyncio.run(main())
