"""Tasks for what is particular to Celery; CELERY_SETTINGS, in JSON, are the application's."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from celery import Celery, Task, chain, chord, group
from celery.exceptions import Ignore, Reject

import clues
from clues.adapters import celery as adapter
from clues.publishers import CompositePublisher, LogPublisher, TCPPublisher
from clues.publishers.otlp_propagator import TraceContext
from tests.conformance.apps import common

app = Celery("special", broker=common.REDIS_URL, backend=common.REDIS_URL)
app.conf.update(
    task_default_queue="conformance",
    broker_connection_retry_on_startup=True,
    **json.loads(os.environ.get("CELERY_SETTINGS", "{}")),
)
if port := os.environ.get("TCP"):
    network = TCPPublisher("127.0.0.1", int(port), spool=Path(common.EVENTS).with_name("spool"))
    clues.configure(CompositePublisher(LogPublisher(common.EVENTS), network))
elif os.environ.get("SPANS"):
    common.configure(propagator=TraceContext())
else:
    common.configure(adopt_unstamped=bool(os.environ.get("ADOPT")))
if not common.BARE:
    adapter.install(app)
if os.environ.get("SPANS"):
    from tests.adapters import celery_spans

    celery_spans.instrument()

succeed = app.task(name="succeed")(common.succeed)
fail = app.task(name="fail")(common.fail)
fail_first = app.task(
    name="fail_first", autoretry_for=(common.TellingError,), retry_kwargs={"max_retries": 1, "countdown": 0}
)(common.fail_first)
overrun = app.task(name="overrun", time_limit=1)(common.overrun)
overrun_softly = app.task(name="overrun_softly", soft_time_limit=1)(common.overrun)
hang = app.task(name="hang")(common.hang)
hang_late = app.task(name="hang_late", acks_late=True)(common.hang)
mark = app.task(name="mark")(common.mark)


@app.task
def add(x: int, y: int, *, more: int = 0) -> int:
    clues.clues_metadata["sum"] = x + y + more
    return x + y + more


@app.task
def total(numbers: list[int]) -> int:
    return sum(numbers)


@app.task(bind=True, max_retries=1)
def try_again(self: Any) -> None:
    """Its retry has headers of its own, and no error behind it."""
    if not self.request.retries:
        raise self.retry(countdown=0, headers={"mine": 1})


@app.task(name="nap")
def nap(seconds: float) -> None:
    time.sleep(seconds)


@app.task
def ignore() -> None:
    raise Ignore


@app.task
def reject() -> None:
    raise Reject("not for me")


@app.task(acks_late=True)
def put_back(path: str) -> None:
    if not _seen(path):
        raise Reject("not yet", requeue=True)


@app.task
def leave(code: int) -> None:
    sys.exit(code)


@app.task
def give_oddity() -> object:
    """What it returns can't be stored."""
    return object()


@app.task(acks_late=True, reject_on_worker_lost=True)
def die_once(path: str) -> None:
    if not _seen(path):
        os.kill(os.getpid(), signal.SIGKILL)


@app.task(retry_on_worker_lost=True, default_retry_delay=0, max_retries=1)
def die_and_be_retried(path: str) -> None:
    if not _seen(path):
        os.kill(os.getpid(), signal.SIGKILL)


class _DiesAfterwards(Task):
    def after_return(self, *_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


@app.task(base=_DiesAfterwards)
def die_afterwards() -> int:
    return 1


@app.task(name="with_a_span")
def with_a_span() -> None:
    from opentelemetry import trace

    with trace.get_tracer("job").start_as_current_span("inner"):
        add.delay(1, 1)


@app.task
def enqueue_another() -> None:
    add.delay(1, 1)


def _seen(path: str) -> bool:
    place = Path(path)
    seen = place.exists()
    place.touch()
    return seen


def enqueue(job: str, *args: Any, **options: Any) -> str:
    return str(
        _WAYS[job](*args, **options).id if job in _WAYS else app.tasks[_name(job)].apply_async(args, **options).id
    )


def _name(job: str) -> str:
    return job if job in app.tasks else f"{__name__}.{job}"


def _revoke(task_id: str, **options: Any) -> Any:
    app.control.revoke(task_id, **options)
    return app.AsyncResult(task_id)


_WAYS: dict[str, Callable[..., Any]] = {
    "chain": lambda: chain(add.s(1, 2), add.s(10)).apply_async(),
    "linked": lambda: add.apply_async((1, 2), link=add.s(20)),
    "group": lambda: group(add.s(1, 1), add.s(2, 2)).apply_async(),
    "chord": lambda: chord([add.s(1, 1), add.s(2, 2)])(total.s()),
    "by_name": lambda: app.send_task("succeed", (1, 2)),
    "pickled": lambda: app.send_task("succeed", (1, 2), serializer="pickle"),
    "kwargs": lambda: add.apply_async((1, 2), {"more": 3}),
    "unknown": lambda: app.send_task("nobody.knows", (1, 2)),
    "twice": lambda: add.apply_async((1, 2), task_id="the-same"),
    "with_headers": lambda: add.apply_async((1, 2), headers={"clues_metadata": {"tenant": "blue"}}),
    "garbage": lambda: app.send_task("succeed", (1, 2), headers={"clues_metadata": ["what?"]}),
    "revoke": _revoke,
}

if os.environ.get("BEAT"):
    app.conf.beat_schedule = {"often": {"task": f"{__name__}.add", "schedule": 0.5, "args": (1, 1)}}
