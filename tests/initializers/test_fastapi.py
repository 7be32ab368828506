"""The FastAPI example with its server, and what lifespan and middleware do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.site import told
from tests.redis_server import RedisServer
from tests.waiting import wait_for
from tests.web_sites import Project, snippet


@pytest.fixture(scope="module", params=["fastapi-newest", "fastapi-oldest"])
def project(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer
) -> Iterator[Project]:
    found = Project("fastapi", request.param, tmp_path_factory.mktemp(request.param), redis_server.url)
    try:
        yield found
    finally:
        found.close()


def test_jobs_tell_their_request(project: Project) -> None:
    """The README's commands: a server, requests of all kinds, a worker."""
    at = project.serve(project.command("uvicorn"))
    project.start(project.command("celery"))
    headers = {"X-User": "7", "X-Request-ID": "4f-1"}
    found = at.ask("/orders/42", headers=headers)
    assert found["currency"] == "EUR"
    for path, answer in (("/orders/42", found), ("/async/orders/43", at.ask("/async/orders/43", headers=headers))):
        job = project.hash_of(answer["job"])
        events = project.ended(job)
        assert told(events) == ["1 enqueued", "1 dequeued", "1 perform_started", "1 perform_finished"]
        assert all(event["args"][1] == "[REDACTED]" for event in events)
        assert project.carried(job) == {
            "request_id": "4f-1",
            "request_method": "POST",
            "request_path": path,
            "user_id": 7,
        }
    at.ask("/later/orders/44")
    events = wait_for(lambda: [event for event in project.events() if event["args"][0] == 44], "the task's job")
    assert events[0]["metadata"]["request_path"] == "/later/orders/44"
    at.stop()


LIFESPAN = """
import asyncio, json
import clues
from clues import config
from clues.fastapi import CluesMiddleware, clues_lifespan, request_metadata
from clues.lifecycle import Lifecycle
from contextlib import asynccontextmanager
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute

def fields():
    item = {"class": "J", "args": []}
    Lifecycle().stamp("q", item)
    return {name: value for name, value in item["clues_metadata"].items() if not name.startswith("_")}

class Publisher:
    did = []
    def publish(self, event): pass
    def flush(self, timeout): self.did.append("flush")
    def close(self): self.did.append("close")

async def serve(app, path, type="http", **scope):
    # One request by hand: what a server does.
    said = []
    async def send(message): said.append(message)
    async def receive(): return {"type": "http.request", "body": b"", "more_body": False}
    asgi = {"type": type, "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "path": path,
            "raw_path": path.encode(),
            "query_string": b"", "headers": [(b"x-request-id", b"r1")], "scheme": "http", "root_path": "",
            "server": ("t", 80), "client": ("c", 1), **scope}
    await app(asgi, receive, send)
    return json.loads(b"".join(message.get("body", b"") for message in said))
"""


def test_lifespan(project: Project) -> None:
    """Configured while the application runs; its own lifespan is within, its state passed on; delivered at the end."""
    found = project.python_says(
        LIFESPAN
        + """
did = Publisher.did
@asynccontextmanager
async def own(app):
    did.append(f"own {clues.configured()}")
    yield {"answer": 42}
    did.append("own end")

async def main():
    async with clues_lifespan(own, publisher=Publisher())(None) as state:
        did.append(state["answer"])
        did.append([one.__name__ for one in config.default.config.item_preprocessors])
    did.append(clues.configured())
    try:
        clues_lifespan(publishersz=1)
    except clues.errors.ConfigError as error:
        did.append(str(error))
    clues.configure(Publisher())
    async with clues_lifespan()(None):
        did.append(clues.configured())
    did.append(clues.configured())
asyncio.run(main())
print(json.dumps(did))
"""
    )
    assert found == [
        "own True", 42, ["add_request"], "own end", "flush", "close", False,
        "publishersz is no setting of clues; publishers is", True, "flush", True,
    ]  # fmt: skip


def test_middleware_of_starlette(project: Project) -> None:
    """Without FastAPI: fields of one's choice, the route, a user of the authentication middleware, tasks."""
    found = project.python_says(
        LIFESPAN
        + """
async def view(request):
    if "later" in request.path_params["name"]:
        return JSONResponse(await asyncio.create_task(later()))
    return JSONResponse(fields())
async def later():
    return fields()
class User:
    is_authenticated = True
    identity = "ada"
class Nobody:
    is_authenticated = True
    @property
    def identity(self): raise NotImplementedError

app = Starlette(routes=[Route("/{name}", view)])
async def main():
    clues.configure(print, item_preprocessor=[clues.fastapi.add_request])
    around = CluesMiddleware(app)
    chosen = CluesMiddleware(app, fields=["user_id"], metadata=lambda scope: {"root": scope["scheme"]})
    broken = CluesMiddleware(app, metadata=lambda scope: 1 / 0)
    try:
        CluesMiddleware(app, fields=["cookies"])
    except clues.errors.ConfigError as error:
        refused = str(error)
    both = await asyncio.gather(*(serve(around, f"/later{number}") for number in range(20)))
    return [await serve(around, "/a", user=User()), await serve(chosen, "/a", user=User()),
            await serve(broken, "/a", user=Nobody()), [one["request_path"] for one in both],
            request_metadata(), refused]
print(json.dumps(asyncio.run(main())))
"""
    )
    whole, chosen, broken, several, outside, refused = found
    assert whole == {"request_id": "r1", "request_method": "GET", "request_path": "/a", "user_id": "ada"}
    assert chosen == {"user_id": "ada", "root": "http"}
    assert broken == {"request_id": "r1", "request_method": "GET", "request_path": "/a"}
    assert several == [f"/later{number}" for number in range(20)]
    assert outside == {}
    assert "cookies" in refused


def test_adapters_are_installed_by_name(project: Project) -> None:
    """By a dotted path to what is to be hooked; without it the error says what would do."""
    found = project.python_says(
        """
import json
import clues.errors
from clues.adapters import celery
from clues.initializer import initialize
initialize({"PUBLISHERS": "noop://", "ADAPTERS": {"celery": "tasks:celery"}})
initialize({"PUBLISHERS": "noop://", "ADAPTERS": {"celery": "tasks:celery"}})
found = [celery.hooked()]
try:
    initialize({"ADAPTERS": {"celery": True}})
except clues.errors.ConfigError as error:
    found.append(str(error))
print(json.dumps(found))
"""
    )
    assert found[0] == ["Celery app 'shop'"]
    assert found[1].startswith('ADAPTERS["celery"] must be what install(app')


def test_what_the_page_says(project: Project) -> None:
    """The snippet of docs/initializers.md runs."""
    assert project.python_says(f"{snippet('FastAPI')}\nprint(len(app.user_middleware))") == 1
