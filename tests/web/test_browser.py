"""The page in a browser: each view, empty, usual, huge and hostile; by keyboard; narrow and wide; light and dark."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.redis_server import RedisServer, private_server
from tests.waiting import wait_for
from tests.web.chromium import Tab, chromium
from tests.web.serving import Site, serving
from tests.web.worlds import HOSTILE, Redis, fail, failure, life, wait_in, work, write

Opening = Callable[..., Tab]
VIEWS = ["", "queues", "workers", "running", "failures", "events", "jobs"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("web") / "events.log"


@pytest.fixture(scope="module")
def site(redis_server: RedisServer, log: Path, browser: Any) -> Iterator[Site]:
    """One page for all tests that may change things."""
    now = time.time()  # of the tests' beginning, not of their collection: the overview has the last hour
    hostile = {"_parent_event_hash": f"{1:032x}", HOSTILE: HOSTILE, "_message": HOSTILE, "_exception": HOSTILE}
    write(log, (event for number in range(1, 80) for event in life(number, now - 3000 + number * 30)))
    write(log, life(100, now - 2960, "failed", metadata={"_parent_event_hash": f"{1:032x}", "customer_id": 42}))
    write(
        log,
        life(
            666,
            now - 2900,
            "failed",
            worker_class=HOSTILE,
            queue=HOSTILE,
            args=[HOSTILE, {HOSTILE: 1}],
            metadata=hostile,
        ),
    )
    with serving("--write", redis_url=redis_server.url, log=log) as site:
        site.ready()
        yield site


@pytest.fixture
def opening(browser: Any, site: Site, redis: Redis) -> Iterator[Opening]:
    tabs: list[Tab] = []

    def open_tab(at: Site = site, **given: Any) -> Tab:
        tabs.append(Tab(browser, at, **given))
        return tabs[-1]

    yield open_tab
    for tab in tabs:
        tab.close()


def test_each_view_with_nothing_to_see(opening: Opening, redis_server: RedisServer, redis: Redis) -> None:
    with serving(redis_url=redis_server.url) as nothing:
        tab = opening(nothing)
        for view in VIEWS:
            tab.go(view, ".empty")
        assert "read-only" in tab.text("#about")
        tab.go("job?hash=" + "f" * 32, ".empty")
        tab.go("queue?name=nothing", ".empty")
        tab.page.goto("about:blank")


def test_each_view_with_a_little(opening: Opening, redis: Redis) -> None:
    wait_in(redis, "pdf", 3)
    work(redis)
    fail(redis, [failure(1), failure(2, exception="KeyError")])
    tab = opening()
    tab.page.wait_for_selector(".u-over", state="attached")
    assert len(tab.page.query_selector_all(".plot canvas")) == 3
    tab.page.wait_for_selector("main table >> text=PdfGeneration")
    tab.page.wait_for_selector(".tile >> text=Waiting")
    tab.go("queues", "table >> text=pdf")
    assert "3" in tab.text("main tbody")
    tab.page.click("main tbody a")
    tab.page.wait_for_selector("main summary")
    tab.go("workers", ".tree")
    assert "worker-1:42" in tab.text()
    assert "1 of 2 busy" in tab.text()
    tab.go("running", "table >> text=PdfGeneration")
    tab.go("failures", ".groups")
    assert "2 failures" in tab.text()
    tab.page.click(".groups >> text=KeyError")
    tab.page.wait_for_selector("text=1 found")
    tab.page.click("main tbody a")
    tab.page.wait_for_selector(".backtrace")
    tab.go("events", "li >> text=finished")


def test_a_jobs_life_with_what_it_enqueued(opening: Opening) -> None:
    tab = opening()
    tab.page.fill("#q", "customer_id:42")
    tab.page.keyboard.press("Enter")
    tab.page.wait_for_selector("main tbody >> text=TimeoutError")
    tab.page.click("main tbody a")
    tab.page.wait_for_selector(".failure")
    told = tab.text()
    for expected in ("enqueued", "dequeued", "started", "failed", "+1.00s", "waited 1.00s, ran 2.00s", "too slow"):
        assert expected in told
    tab.page.click(".facts-line a.mono")  # its parent
    tab.page.wait_for_selector(".nested")
    assert "Enqueued by it: 2 jobs" in tab.text()
    tab.page.click(".nested a >> nth=0")
    tab.page.wait_for_selector(".failure")


def test_live_events_come(opening: Opening, log: Path) -> None:
    tab = opening()
    tab.go("events", "li")
    tab.page.click("text=failed >> nth=0")
    tab.page.wait_for_selector("text=live")
    write(log, life(7000, time.time(), "failed", worker_class="JustNow"))
    tab.page.wait_for_selector("main li >> text=JustNow")
    assert tab.text("main .rows").count("JustNow") == 1
    tab.page.click("text=Pause")
    write(log, life(7001, time.time(), "failed", worker_class="WhilePaused"))
    tab.page.wait_for_selector("text=1 wait")
    assert "WhilePaused" not in tab.text("main .rows")
    tab.page.click("text=Pause")
    tab.page.wait_for_selector("main li >> text=WhilePaused")


def test_hostile_text_everywhere_runs_nowhere(opening: Opening, redis: Redis) -> None:
    wait_in(redis, HOSTILE, 2, worker_class=HOSTILE, args=[HOSTILE])
    work(redis, HOSTILE.replace(":", ""), queues=HOSTILE, worker_class=HOSTILE)
    payload = {"class": HOSTILE, "args": [HOSTILE], "clues_metadata": {"_event_hash": HOSTILE[:60]}}
    everywhere = dict.fromkeys(("exception", "error", "worker", "queue", "retried_at", "failed_at"), HOSTILE)
    fail(redis, [failure(1, payload=payload, backtrace=[HOSTILE] * 3, **everywhere), failure(2)])
    tab = opening()
    for view in VIEWS:
        tab.go(view, ":is(table, .rows li, .tree)")
        if view != "jobs":
            wait_for(lambda: "<script>" in tab.text(), f"the text in the view {view!r}")
    from urllib.parse import quote

    tab.go(f"queue?name={quote(HOSTILE)}", "table")
    tab.go("failures", "tbody tr:nth-child(2) a")
    tab.page.click("main tbody tr:nth-child(2) a")
    tab.page.wait_for_selector(".backtrace")
    assert "<script>" in tab.text(".backtrace")
    tab.go(f"job?hash={666:032x}", ".failure")
    assert "<script>" in tab.text(".failure")
    assert "\u202e" not in tab.text("body")
    tab.go(f"jobs?q={quote(HOSTILE)}")
    tab.go(f"failures?text={quote(HOSTILE)}&class={quote(HOSTILE)}")
    tab.go(f"?class={quote(HOSTILE)}")


def test_a_hundred_thousand_failures_and_a_thousand_queues(opening: Opening, redis: Redis) -> None:
    entries = [failure(number, exception=f"Error{number % 7}") for number in range(1000)]
    fail(redis, [failure(1, exception="Rare"), *entries * 100])
    pipe = redis.pipeline()
    for number in range(1000):
        pipe.sadd("resque:queues", f"queue-{number}")
        pipe.rpush(f"resque:queue:queue-{number}", *["{}"] * (number % 9 + 1))
    pipe.execute()
    tab = opening()
    tab.go("failures", "tbody tr:nth-child(50)")
    assert "100,001 failures" in tab.text()
    tab.page.click("text=Show more")
    tab.page.wait_for_selector("tbody tr:nth-child(100)")
    tab.page.fill("input[name=exception]", "Rare")
    tab.page.keyboard.press("Enter")
    tab.page.wait_for_selector("text=1 found, 100,001 of 100,001 looked at")
    tab.go("queues", "tbody tr:nth-child(1000)")
    assert "1,000 queues" in tab.text()
    tab.page.fill("main input", "queue-99")
    tab.page.wait_for_selector("text=11 queues")


def test_many_workers_and_jobs_with_many_children(opening: Opening, redis: Redis, log: Path) -> None:
    for number in range(100):
        work(redis, f"worker-{number}")
    lease = redis.get("resque:worker:worker-1:42:pdf")
    pipe = redis.pipeline()
    for thread in range(1, 1000):
        worker_id = f"big:7:pdf,~0.{thread}"
        pipe.hset("resque:workers:tree", worker_id, json.dumps({"slot": 0, "thread": thread}))
        pipe.set(f"resque:worker:big:7:heartbeat,~0.{thread}", "t", ex=1000)
        pipe.set(f"resque:worker:{worker_id}", lease)
    pipe.execute()
    parent = {"_parent_event_hash": f"{9000:032x}"}
    at = time.time() - 1000
    write(log, [*life(9000, at), *(event for one in range(700) for event in life(9001 + one, at, metadata=parent))])
    tab = opening()
    tab.go("workers", ".tree >> nth=100")
    assert "101 trees, 1,199 workers, 1,099 busy" in tab.text()
    tab.page.click("text=Show all 999")
    tab.page.wait_for_selector(".tree tbody tr:nth-child(999)")
    tab.go("running", "tbody tr:nth-child(500)")
    assert "1,099 jobs, the longest 500 are shown" in tab.text()
    tab.go(f"job?hash={9000:032x}", ".nested li:nth-child(500)")
    tab.go("jobs", "tbody tr:nth-child(50)")


def test_a_backtrace_of_a_megabyte(opening: Opening, redis: Redis) -> None:
    fail(redis, [failure(1, backtrace=[f"/srv/{number}.py:1:in `{'x' * 80}'" for number in range(10_500)])])
    tab = opening()
    tab.go("failures", "tbody a")
    tab.page.click("main tbody a")
    tab.page.wait_for_selector(".backtrace")
    assert len(tab.text(".backtrace")) < 10_000
    tab.page.click("text=Show all 10,500 lines")
    wait_for(lambda: len(tab.text(".backtrace")) > 1_000_000, "all of it")
    assert tab.fits


def test_failures_are_retried_and_removed(opening: Opening, redis: Redis) -> None:
    fail(redis, [failure(number, exception="A" if number % 2 else "B") for number in range(10)])
    tab = opening()
    tab.go("failures", "tbody tr:nth-child(10)")
    tab.page.click("tbody tr:nth-child(1) >> text=retry")
    tab.page.wait_for_selector(".toast >> text=Retried PdfGeneration")
    assert json.loads(redis.lindex("resque:queue:pdf", 0))["args"] == [9]
    tab.page.click("tbody tr:nth-child(2) >> text=remove")
    tab.page.click("dialog >> text=Cancel")
    tab.page.click("tbody tr:nth-child(2) >> text=remove")
    tab.page.click("dialog button.danger")
    tab.page.wait_for_selector(".toast >> text=Removed PdfGeneration")
    assert redis.llen("resque:failed") == 9
    tab.page.fill("input[name=exception]", "A")
    tab.page.keyboard.press("Enter")
    tab.page.wait_for_selector("text=5 found")
    tab.page.click("text=Retry all that are like this")
    tab.page.click("dialog button.danger")
    tab.page.wait_for_selector(".toast >> text=4 retried")
    assert redis.llen("resque:queue:pdf") == 5
    tab.page.click("text=Remove all that are like this")
    tab.page.click("dialog button.danger")
    tab.page.wait_for_selector(".toast >> text=5 removed")
    assert redis.llen("resque:failed") == 4


def test_queues_are_paused_and_resumed(opening: Opening, redis: Redis) -> None:
    wait_in(redis, "pdf", 1)
    tab = opening()
    tab.go("queues", "tbody")
    tab.page.click("text=pause >> nth=-1")
    tab.page.wait_for_selector("tbody .chip >> text=paused")
    assert redis.smembers("resque:paused-queues") == {b"pdf"}
    tab.page.click("text=resume >> nth=-1")
    tab.page.wait_for_selector("tbody .chip", state="detached")
    assert not redis.smembers("resque:paused-queues")


def test_by_keyboard_alone(opening: Opening, redis: Redis) -> None:
    fail(redis, [failure(1), failure(2)])
    wait_in(redis, "pdf", 3)
    tab = opening()
    keyboard = tab.page.keyboard
    keyboard.press("Tab")
    assert tab.focused == "Skip to the content"
    for keys, title in (("gq", "Queues"), ("gw", "Workers"), ("gr", "Running now"), ("gj", "Jobs"), ("gf", "Failures")):
        keyboard.type(keys)
        tab.page.wait_for_selector(f"h1 >> text={title}")
    tab.page.wait_for_selector("tbody a")
    keyboard.press("j")
    assert tab.focused == "PdfGeneration"
    keyboard.press("j")
    keyboard.press("k")
    keyboard.press("Enter")
    tab.page.wait_for_selector("text=order 2 was too slow")
    keyboard.press("/")
    keyboard.type("customer_id:42")
    keyboard.press("Enter")
    tab.page.wait_for_selector("tbody >> text=TimeoutError")
    keyboard.press("?")
    tab.page.wait_for_selector("dialog")
    keyboard.press("Escape")
    tab.page.wait_for_selector("dialog", state="detached")
    keyboard.type("gf")
    tab.page.wait_for_selector("tbody button")
    for _ in range(60):
        keyboard.press("Tab")
        if tab.focused == "Remove PdfGeneration":
            break
    keyboard.press("Enter")
    tab.page.wait_for_selector("dialog")
    assert tab.focused == "Cancel"
    keyboard.press("Tab")
    keyboard.press("Enter")
    tab.page.wait_for_selector(".toast >> text=Removed")
    assert redis.llen("resque:failed") == 1


def test_the_focus_stays_while_the_page_keeps_looking(opening: Opening, redis: Redis) -> None:
    wait_in(redis, "pdf", 3)
    tab = opening()
    tab.go("queues", "tbody a")
    tab.page.focus("tbody a")
    wait_in(redis, "other", 1)
    tab.page.wait_for_selector("tbody >> text=other")
    assert tab.focused == "pdf"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
def test_narrow_and_wide_light_and_dark(opening: Opening, redis: Redis, theme: str, width: int) -> None:
    wait_in(redis, "a-queue-with-a-long-name" * 4, 3)
    work(redis, "a-host-with-a-long-name" * 4)
    fail(redis, [failure(1, exception="AnErrorWithALongName" * 5, error="x" * 500)])
    tab = opening(width=width, theme=theme)
    details = [f"job?hash={1:032x}", f"job?hash={666:032x}", "queue?name=" + "a-queue-with-a-long-name" * 4]
    for view in [*VIEWS, *details]:
        tab.go(view, ":is(table, .rows li, .tree, .steps, .empty, .facts)")
        assert tab.fits, (view, width)
    ground = tab.page.evaluate("getComputedStyle(document.body).backgroundColor")
    red = int(ground.removeprefix("rgb(").split(",")[0])
    assert (red < 50) == (theme == "dark")
    tab.page.click("#theme")
    tab.page.click("#theme")
    assert tab.page.evaluate("document.documentElement.dataset.theme") == "dark"
    tab.page.reload()
    assert tab.page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_redis_away_is_said_and_survived(opening: Opening, browser: Any, log: Path, redis_server: RedisServer) -> None:
    with private_server() as server, serving(redis_url=server.url, log=log) as site:
        tab = opening(site)
        tab.go("queues")
        server.kill()
        tab.page.wait_for_selector("#banner >> text=Redis does not serve")
        tab.go("jobs", "tbody a")  # history needs no Redis
        tab.go("queues")
        tab.page.wait_for_selector("#banner >> text=Redis does not serve")
        server.start()
        tab.page.wait_for_selector("#banner", state="hidden")
        tab.page.goto("about:blank")


def test_the_page_ends_and_the_tab_says_so(opening: Opening, redis_server: RedisServer) -> None:
    with serving(redis_url=redis_server.url) as site:
        tab = opening(site)
        tab.go("queues")
    tab.page.wait_for_selector("#banner >> text=clues web does not answer")
    tab.page.goto("about:blank")
