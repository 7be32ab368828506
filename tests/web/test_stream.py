"""The live stream: what is written comes, filtered, and never more than a page can take."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from clues.web.stream import Choice, Stream
from tests.web.serving import Site, serving
from tests.web.worlds import HOSTILE, life, write

AT = 1_700_000_000.0


@contextmanager
def listening(site: Site, **query: str) -> Iterator[Iterator[dict[str, Any]]]:
    text = "&".join(f"{name}={value}" for name, value in query.items())
    request = urllib.request.Request(f"{site.base}api/stream?{text}", headers=site.bearer)
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield (
            event
            for line in answer
            if line.startswith(b"data: ")
            for event in json.loads(line.removeprefix(b"data: "))["events"]
        )


def test_what_is_written_comes(redis_url: str, tmp_path: Path) -> None:
    log = write(tmp_path / "events.log", life(1, AT))
    with serving(redis_url=redis_url, log=log) as site:
        site.ready()
        with listening(site) as events, listening(site, types="failed") as failed:
            assert [next(events)["type"] for _ in range(4)] == ["enqueued", "dequeued", "started", "finished"]
            write(log, life(2, AT, "failed", worker_class=HOSTILE))
            found = [next(events) for _ in range(4)]
            assert [event["hash"] for event in found] == [f"{2:032x}"] * 4
            assert found[0]["class"] == HOSTILE
            assert next(failed)["exception"] == "TimeoutError"


def test_a_page_that_is_slow_misses_events_and_is_told() -> None:
    async def run() -> dict[str, Any]:
        stream = Stream()
        messages = stream.listen(Choice())
        assert await anext(messages) == b"retry: 2000\n\n"
        for number in range(10):
            stream.hear([event for one in range(100) for event in life(1000 * number + one, AT)])
        told = json.loads((await anext(messages)).removeprefix(b"data: "))
        stream.stop()
        with pytest.raises(StopAsyncIteration):
            await anext(messages)
        return dict(told)

    told = asyncio.run(run())
    assert len(told["events"]) == 500
    assert told["missed"] == 3500


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (Choice(), 4),
        (Choice(types=["finished", "started"]), 2),
        (Choice(text="pdfgen"), 4),
        (Choice(text="_time_to_perform"), 1),
        (Choice(text="elsewhere"), 0),
    ],
)
def test_what_a_page_wants_to_hear(choice: Choice, expected: int) -> None:
    assert sum(map(choice.wants, life(1, AT))) == expected
