"""The page as an application: its files, and what it asks for, as JSON."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from clues import __version__
from clues.errors import AmbiguousHashError, CluesError, UnknownHashError
from clues.event import Event, Sample, Sampler
from clues.publishers.health import Health
from clues.publishers.spool import Spool
from clues.resque.client import Resque
from clues.resque.sampler import QueueSampler
from clues.resque.stored_failure import FailureFilter
from clues.resque.trouble import TROUBLE
from clues.web import charts, finding, job
from clues.web.exposition import OPEN, PLAIN, exposition
from clues.web.failures import Failures, Sought
from clues.web.history import History
from clues.web.live import Live
from clues.web.operations import Operations
from clues.web.stream import Choice, Stream

_STATIC = Path(__file__).parent / "static"
_VENDOR = Path(__file__).parent.parent / "vendor"
_FIRST_EVENTS = 50
_LONGEST_BODY = 64 * 1024

Answer = Callable[[Mapping[str, str]], Any]


@dataclass(frozen=True, slots=True)
class Page:
    """What the page is made of.

    Attributes:
        client: where the live part comes from.
        history: what happened.
        stream: what happens.
        write: whether the page may change something.
    """

    client: Resque
    history: History
    stream: Stream
    write: bool = False


def application(page: Page) -> Starlette:
    """The page as an ASGI application, without its guard."""
    return _Application(page).starlette()


class _Application:
    def __init__(self, page: Page) -> None:
        self._page = page
        self._history = page.history
        self._archive = page.history.archive
        self._live = Live(page.client)
        self._failures = Failures(page.client)
        self._operations = Operations()
        delivery = [Health(Spool(path)) for path in page.history.paths if path.is_dir()]
        self._samplers: list[Sampler] = [QueueSampler(page.client), *delivery]

    def starlette(self) -> Starlette:
        """Its routes."""
        reads: dict[str, Answer] = {
            "state": lambda _query: self._state(),
            "glance": lambda _query: self._live.glance(),
            "queues": lambda _query: self._live.queues(),
            "queue": lambda query: self._live.items(query["name"], _number(query, "start", 0)),
            "workers": lambda _query: self._live.workers(),
            "running": lambda _query: self._live.running(),
            "failure-lists": lambda _query: {"lists": self._failures.lists()},
            "failures": self._failed,
            "failure": self._failure,
            "failure-groups": lambda query: self._failures.groups(query.get("list", "failed")),
            "jobs": self._jobs,
            "job": self._job,
            "charts": lambda query: charts.charts(self._archive, *self._time(query), query.get("class") or None),
            "classes": lambda query: {"classes": charts.classes(self._archive, *self._time(query))},
            "operation": self._operation,
        }
        writes: dict[str, Answer] = {
            "retry": lambda body: {"done": self._failures.retry(*_place(body))},
            "remove": lambda body: {"done": self._failures.remove(*_place(body))},
            "retry-all": self._retry_all,
            "remove-all": self._remove_all,
            "stop-operation": self._stop_operation,
            "pause": lambda body: self._live.pause(body.get("queue"), on=True),
            "resume": lambda body: self._live.pause(body.get("queue"), on=False),
        }
        routes: list[BaseRoute] = [
            Route("/", lambda _request: FileResponse(_STATIC / "index.html")),
            Route("/api/stream", self._listen),
            Route("/metrics", self._metrics),
            *(Route(f"/api/{name}", _reading(answer)) for name, answer in reads.items()),
            *(Route(f"/api/{name}", self._writing(answer), methods=["POST"]) for name, answer in writes.items()),
            Mount("/static", StaticFiles(directory=_STATIC)),
            Mount("/vendor", StaticFiles(directory=_VENDOR)),
        ]
        return Starlette(routes=routes, lifespan=self._lifespan)

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await run_in_threadpool(self._operations.close)

    def _state(self) -> dict[str, Any]:
        span = charts.span(self._archive)
        return {
            "version": __version__,
            "write": self._page.write,
            "redis": self._page.client.store.describe(),
            "history": {**asdict(self._history.standing()), "span": span},
            "now": time.time(),
        }

    def _failed(self, query: Mapping[str, str]) -> Any:
        before = _number(query, "before", -1)
        return self._failures.page(query.get("list", "failed"), _sought(query), None if before < 0 else before)

    def _failure(self, query: Mapping[str, str]) -> Any:
        return self._failures.one(*_place(query)) or _missing("this failure is gone: it was removed meanwhile")

    def _jobs(self, query: Mapping[str, str]) -> Any:
        last, _, number = query.get("after", "").partition(",")
        after = (float(last), int(number)) if number else None
        return finding.found(self._archive, finding.understood(query.get("q", "")), after)

    def _job(self, query: Mapping[str, str]) -> Any:
        try:
            found = job.told(self._history, query["hash"].strip(), everywhere=query.get("everywhere") == "1")
        except UnknownHashError:
            found = None
        except AmbiguousHashError as error:
            raise HTTPException(409, str(error)) from error
        return found or _missing("no event of this job is among those that were read")

    def _time(self, query: Mapping[str, str]) -> tuple[float, float]:
        """The time that a chart is of: it ends now, or with the last event where that is before it."""
        seconds = min(max(float(query.get("seconds", 3600)), 1.0), 366 * 86400.0)
        end = time.time()
        span = charts.span(self._archive)
        if span is not None and span[1] < end - seconds:
            end = span[1] + 1
        return end - seconds, end

    def _operation(self, query: Mapping[str, str]) -> Any:
        found = self._operations.get(query["id"])
        return found.told() if found is not None else _missing("there is no such operation")

    def _stop_operation(self, body: Mapping[str, Any]) -> Any:
        found = self._operations.get(str(body["id"]))
        if found is None:
            return _missing("there is no such operation")
        found.stop()
        return found.told()

    def _retry_all(self, body: Mapping[str, Any]) -> Any:
        sought = _sought(body, retried=False)
        return self._operations.begin("retry", self._failures.each_retried(str(body["list"]), sought)).told()

    def _remove_all(self, body: Mapping[str, Any]) -> Any:
        return self._operations.begin("remove", self._failures.each_removed(str(body["list"]), _sought(body))).told()

    def _writing(self, answer: Answer) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            if not self._page.write:
                raise HTTPException(403, "The page is read-only; clues web --write lets it change things.")
            body = b""
            async for chunk in request.stream():
                body += chunk
                if len(body) > _LONGEST_BODY:
                    raise HTTPException(413, "That is too long.")
            try:
                told = json.loads(body)
            except (ValueError, RecursionError) as error:
                raise HTTPException(400, "The body is no JSON.") from error
            if not isinstance(told, dict):
                raise HTTPException(400, "The body is no JSON object.")
            return await run_in_threadpool(_answered, answer, told)

        return endpoint

    async def _listen(self, request: Request) -> Response:
        query = request.query_params
        choice = Choice(frozenset(filter(None, query.get("types", "").split(","))), query.get("text", "").lower())
        first = [] if query.get("again") else await run_in_threadpool(self._first, choice)
        headers = {"x-accel-buffering": "no"}  # nginx would keep events back
        return StreamingResponse(
            self._page.stream.listen(choice, first), media_type="text/event-stream", headers=headers
        )

    def _first(self, choice: Choice) -> list[Event]:
        return self._history.latest(_FIRST_EVENTS, choice.wants)

    def _metrics(self, request: Request) -> Response:
        samples: list[Sample] = []
        for sampler in self._samplers:
            try:
                samples.extend(sampler.sample())
            except TROUBLE:  # what is known without Redis is told all the same
                continue
        open_metrics = "application/openmetrics-text" in request.headers.get("accept", "")
        text = exposition(samples, self._history.counts(), open_metrics=open_metrics)
        return Response(text, media_type=OPEN if open_metrics else PLAIN)


def _reading(answer: Answer) -> Callable[[Request], Response]:
    def endpoint(request: Request) -> Response:  # no coroutine, so it runs in a thread
        return _answered(answer, request.query_params)

    return endpoint


def _answered(answer: Answer, given: Mapping[str, Any]) -> Response:
    """An answer as JSON; where there is none, the reason."""
    try:
        return _json(answer(given))
    except TROUBLE as error:
        return _json({"error": f"Redis does not serve: {str(error).split(' : <')[0]}", "redis": True}, 503)
    except HTTPException as error:
        return _json({"error": error.detail}, error.status_code)
    except (KeyError, ValueError, TypeError, LookupError, ArithmeticError, CluesError) as error:
        return _json({"error": str(error)}, 400)


def _json(value: Any, status: int = 200) -> Response:
    return Response(json.dumps(value), status, media_type="application/json")


def _missing(text: str) -> Any:
    raise HTTPException(404, text)


def _number(given: Mapping[str, Any], name: str, default: int) -> int:
    return int(given.get(name) or default)


def _place(given: Mapping[str, Any]) -> tuple[str, int, str]:
    return str(given.get("list", "failed")), int(given["index"]), str(given["id"])


def _sought(given: Mapping[str, Any], *, retried: bool | None = None) -> Sought:
    def names(key: str) -> tuple[str, ...]:
        return (str(given[key]),) if given.get(key) else ()

    told = {"yes": True, "no": False}.get(str(given.get("retried", "")), retried)
    allowed = FailureFilter(names("class"), names("queue"), names("exception"), retried=told)
    return Sought(allowed, str(given.get("text", "")))
