"""The Flask example with its server, and what the extension does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.conformance.site import told
from tests.redis_server import RedisServer
from tests.web_sites import Project, snippet

STAMP = """
import json, logging
from flask import Flask, current_app, flash, g, session
import clues
from clues import config
from clues.flask import Clues, request_metadata
from clues.lifecycle import Lifecycle

def fields():
    item = {"class": "J", "args": []}
    Lifecycle().stamp("q", item)
    return {name: value for name, value in item["clues_metadata"].items() if not name.startswith("_")}

def made(**settings):
    app = Flask("shop")
    app.config.update(SECRET_KEY="s", **settings)
    Clues(app)
    @app.get("/<name>")
    def view(name):
        return fields()
    return app
"""


@pytest.fixture(scope="module", params=["flask-newest", "flask-oldest"])
def project(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer
) -> Iterator[Project]:
    found = Project("flask", request.param, tmp_path_factory.mktemp(request.param), redis_server.url)
    try:
        yield found
    finally:
        found.close()


def test_jobs_tell_their_request(project: Project) -> None:
    """The README's commands: a server, a request, a worker, the command line."""
    at = project.serve(project.command("flask --app app run"))
    found = at.ask("/orders/42?user=7", headers={"X-Request-ID": "4f-1"})
    job = project.hash_of(found["job"])
    project.run(project.command("python worker.py"))
    events = project.ended(job)
    assert told(events) == ["1 enqueued", "1 dequeued", "1 perform_started", "1 perform_finished"]
    assert all(event["args"] == [42, "[REDACTED]"] for event in events)
    assert project.carried(job) == {
        "request_id": "4f-1",
        "request_method": "POST",
        "request_path": "/orders/42",
        "user_id": "7",
    }
    assert events[-1]["metadata"]["total"] == 42
    assert job[:8] in project.run(project.command("flask --app app clues tail"))
    assert "Usage: clues tail" in project.run("flask --app app clues tail --help")
    project.run("flask --app app clues trace ffffffff events.log", status=1)
    at.stop()


def said(project: Project, program: str, **environ: str) -> Any:
    return project.python_says(STAMP + program, **environ)


def test_what_is_told_of_a_request(project: Project) -> None:
    """Each field from where it is; one id for a request, and nothing outside one."""
    found = said(
        project,
        """
app = made(CLUES={"PUBLISHERS": print, "REQUEST_FIELDS": ["user_id"]}, CLUES_REQUEST_METADATA=lambda request: {"n": 1})
seen = []
@app.before_request
def before():
    g.user_id = None
@app.get("/login/<int:id>")
def login(id):
    session["_user_id"] = str(id)
    return {}
@app.get("/nested")
def nested():
    with app.app_context():
        return {"same": request_metadata() == request_metadata(), "hash": len(request_metadata())}
client = app.test_client()
first = client.get("/orders")
client.get("/login/5")
second = client.get("/orders")
plain = made(CLUES_PUBLISHERS="noop://,noop://", CLUES_REQUEST_ID_HEADER=None).test_client()
third = plain.get("/x", headers={"X-Request-ID": "a"}).json
print(json.dumps([first.json, second.json, "Cookie" in second.headers.get("Vary", ""), client.get("/nested").json,
                  sorted(third), len(third["request_id"]), fields(), request_metadata()]))
""",
    )
    first, second, varies, nested, names, length, outside, none = found
    assert first == {"n": 1}
    assert second == {"n": 1, "user_id": "5"}
    assert not varies, "the session was touched"
    assert nested["same"]
    assert names == ["request_id", "request_method", "request_path"]
    assert length == 32
    assert outside == none == {}


def test_a_user_of_flask_login(project: Project) -> None:
    """Who is loaded is told by `get_id`, and nobody is loaded for that; what raises harms nobody."""
    assert (
        said(
            project,
            """
app = made(CLUES_PUBLISHERS=[print])
class User:
    def get_id(self): return 9
class Broken:
    def get_id(self): raise ValueError
@app.before_request
def before():
    from flask import request
    g._login_user = Broken() if request.path == "/broken" else User()
client = app.test_client()
print(json.dumps([client.get("/a").json["user_id"], client.get("/broken").json]))
""",
        )[0]
        == 9
    )


def test_several_apps_in_one_process(project: Project) -> None:
    """The last one's settings count, with a warning; the same settings again change nothing."""
    found = said(
        project,
        """
import logging
said = []
handler = logging.Handler()
handler.emit = lambda record: said.append(record.getMessage())
logging.getLogger("clues").addHandler(handler)
one = made(CLUES_PUBLISHERS=["log://one.log"])
first = config.default.config
again = made(CLUES_PUBLISHERS=["log://one.log"])
same = config.default.config is first
without = made()
same = same and config.default.config is first
two = made(CLUES_PUBLISHERS=["log://two.log"])
print(json.dumps([same, config.default.config is first, said, one.test_client().get("/x").json["request_path"]]))
""",
    )
    assert found[:2] == [True, False]
    assert len(found[2]) == 1
    assert "for the whole process" in found[2][0]
    assert found[3] == "/x"


MISTAKES = [
    ('CLUES_PUBLISHERS=["lgo://x"]', "app.config[\"CLUES_PUBLISHERS\"][0]: no publisher has the scheme 'lgo'"),
    ("CLUES_PUBLISHERZ=[]", 'app.config["CLUES_PUBLISHERZ"] is no setting of clues'),
    ("CLUES=[3]", 'app.config["CLUES"] must be a dict'),
    ('CLUES_REQUEST_FIELDS=["x"]', 'app.config["CLUES_REQUEST_FIELDS"] holds some of'),
    ("CLUES_REQUEST_METADATA=3", 'app.config["CLUES_REQUEST_METADATA"] must be a callable'),
    ('CLUES_ADAPTERS={"dramatiq": True}', 'app.config["CLUES_ADAPTERS"]["dramatiq"] needs '),
]


def test_mistaken_settings(project: Project) -> None:
    """Told by their names when the extension is initialised; a job system that is not there by its extra."""
    program = f"""
said = []
for settings in [{", ".join(f"dict({settings})" for settings, _ in MISTAKES)}]:
    try:
        made(**settings)
    except clues.errors.CluesError as error:
        said.append(str(error))
print(json.dumps(said))
"""
    found = said(project, program)
    assert len(found) == len(MISTAKES)
    for (_, expected), message in zip(MISTAKES, found, strict=True):
        assert expected in message


def test_what_the_page_says(project: Project) -> None:
    """The snippet of docs/initializers.md runs."""
    program = f"{snippet('Flask')}\nprint('[%d]' % (create_app().extensions['clues'] is not None))"
    assert project.python_says(program) == [1]


def test_the_whole_environment_as_config(project: Project) -> None:
    """What is told by the environment alone is no mistake there."""
    program = """
made(CLUES_PUBLISHERS="noop://", CLUES_SPOOL="/tmp", CLUES_RUN_DIR="run", CLUES_MAX_ARGS_BYTES="4096")
print(json.dumps(config.default.config.sanitizer.limits.args))
"""
    assert said(project, program) == 4096
