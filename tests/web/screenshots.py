"""The pictures in docs/web.md: ``python -m tests.web.screenshots docs/web``, with Pillow beside what tests need."""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis as redis_py

from clues.event import Event
from tests.redis_server import private_server
from tests.web.chromium import Tab, chromium
from tests.web.serving import Site, serving
from tests.web.worlds import Redis, fail, failure, life, wait_in, work, write

_CLASSES = {  # queue, usual seconds, how many of them
    "PdfGeneration": ("pdf", 2.2, 3),
    "ChargeCard": ("payments", 0.35, 4),
    "SendWelcomeMail": ("mailers", 0.12, 8),
    "ReindexCatalogue": ("search", 14.0, 1),
    "SyncInventory": ("default", 1.1, 3),
    "ThumbnailImage": ("media", 0.6, 5),
}
_HOUR = 3600.0
_COLORS = 200
_ORDER = "c6e19b830859f2cb9f7c8f8cacb8d2a6"


def main(folder: Path) -> None:
    """Fill a Redis and a log, and take pictures of what the page makes of them."""
    folder.mkdir(exist_ok=True)
    with (
        private_server() as server,
        tempfile.TemporaryDirectory() as place,
        redis_py.Redis(port=server.port) as client,
    ):
        log = write(Path(place) / "events.log", sorted(_events(), key=lambda event: event.timestamp))
        _fill(client)
        with serving("--write", redis_url=server.url, log=log) as site, chromium() as browser:
            site.ready()
            _shoot_all(browser, site, folder)


def _events() -> Iterator[Event]:
    dice, now = random.Random(4711), time.time()
    names, weights = list(_CLASSES), [weight for _, _, weight in _CLASSES.values()]
    for number in range(5000):
        (name,) = dice.choices(names, weights)
        queue, usual, _ = _CLASSES[name]
        at = now - _HOUR * dice.random()
        rush = 7 if _HOUR / 3 < now - at < _HOUR / 2.4 else 1
        ran = usual * dice.lognormvariate(0, 0.6)
        kind = "failed" if dice.random() < (0.11 if name == "ChargeCard" else 0.015) else "finished"
        metadata = {"customer_id": dice.randint(1, 900), "release": f"2026.11.{dice.randint(18, 21)}"}
        if at + ran < now - 10:
            waited = dice.expovariate(1.5) * rush
            yield from life(
                number,
                at,
                kind,
                event_hash=f"{dice.getrandbits(128):032x}",
                worker_class=name,
                queue=queue,
                waited=waited,
                ran=ran,
                metadata=metadata,
            )
    yield from _an_order(now - 300)


def _an_order(at: float) -> Iterator[Event]:
    """A job that enqueues others, of which one is tried twice."""
    own = {"customer_id": 4711, "release": "2026.11.21"}
    order: dict[str, Any] = {"worker_class": "PlaceOrder", "queue": "payments", "event_hash": _ORDER, "args": [4711]}
    yield from life(1, at, waited=0.21, ran=1.35, metadata=own | {"total": "129.90 EUR"}, **order)
    for number, (after, name, kind, waited, ran, parent) in enumerate([
        (0.5, "ChargeCard", "retrying", 0.3, 2.1, _ORDER),
        (0.9, "ReserveStock", "finished", 0.2, 0.6, _ORDER),
        (1.3, "PdfGeneration", "finished", 0.8, 2.9, _ORDER),
        (4.0, "SendInvoice", "finished", 0.4, 0.3, _hash(2)),
        (4.4, "ArchivePdf", "finished", 0.9, 0.7, _hash(2)),
    ]):  # fmt: skip
        queue = _CLASSES.get(name, ("default", 0, 0))[0]
        given: dict[str, Any] = {"worker_class": name, "queue": queue, "event_hash": _hash(number), "args": [4711]}
        told = {**own, "_parent_event_hash": parent}
        yield from life(1, at + after, kind, waited=waited, ran=ran, metadata=told, **given)
        if kind == "retrying":
            yield from life(1, at + after + 3, "finished", attempt=2, waited=0.1, ran=1.2, metadata=told, **given)


def _hash(number: int) -> str:
    return f"{random.Random(number).getrandbits(128):032x}"


def _fill(client: Redis) -> None:
    dice = random.Random(7)
    for queue, count in {"mailers": 340, "media": 64, "pdf": 31, "default": 9, "search": 2, "payments": 0}.items():
        wait_in(client, queue, count)
        client.sadd("resque:queues", queue)
    client.sadd("resque:paused-queues", "search")
    errors = {"ChargeCard": "shop.errors.CardDeclined", "PdfGeneration": "TimeoutError", "SyncInventory": "KeyError"}
    entries = []
    for number in range(137):
        (name,) = dice.choices(list(errors), [8, 4, 1])
        at = time.strftime("%Y/%m/%d %H:%M:%S UTC", time.gmtime(time.time() - (137 - number) * 40))
        payload = {"class": name, "args": [number], "clues_metadata": {"_event_hash": f"{dice.getrandbits(128):032x}"}}
        given = {"payload": payload, "exception": errors[name], "queue": _CLASSES[name][0], "failed_at": at}
        entries.append(failure(number, **given, error=f"order {4000 + number}: no answer within 10 s"))
    fail(client, entries)
    work(client, "worker-1", queues="payments,pdf,default", worker_class="PdfGeneration")
    work(client, "worker-2", queues="mailers,media,*", worker_class="SendWelcomeMail")
    client.set("resque:stat:processed", 48_213)
    client.set("resque:stat:failed", 412)


def _shoot_all(browser: Any, site: Site, folder: Path) -> None:
    for theme in ("light", "dark"):
        tab = Tab(browser, site, theme=theme)
        tab.page.wait_for_selector(".plot canvas")
        _shoot(tab, folder / f"overview-{theme}.png")
        tab.close()
    tab = Tab(browser, site)
    for name, view, ready in (
        ("queues", "queues", "tbody"),
        ("workers", "workers", ".tree"),
        ("failures", "failures", ".groups"),
        ("events", "events", "li"),
        ("jobs", "jobs?q=state:failed", "tbody"),
        ("job", f"job?hash={_ORDER}", ".nested"),
    ):
        tab.go(view, ready)
        _shoot(tab, folder / f"{name}.png")
    tab.close()
    tab = Tab(browser, site, width=400, theme="dark")
    tab.go(f"job?hash={_ORDER}", ".nested")
    _shoot(tab, folder / "narrow.png")
    tab.close()


def _shoot(tab: Tab, path: Path) -> None:
    from PIL import Image

    tab.page.screenshot(path=path, animations="disabled")
    Image.open(path).convert("RGB").quantize(_COLORS, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
