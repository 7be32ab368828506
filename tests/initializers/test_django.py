"""The Django example under its servers, and what clues.django does in a project."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py

from tests.conformance.site import told
from tests.redis_server import RedisServer
from tests.waiting import wait_for
from tests.web_sites import Project, Server, snippet


@pytest.fixture(scope="module", params=["django-newest", "django-oldest"])
def project(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer
) -> Iterator[Project]:
    found = Project("django", request.param, tmp_path_factory.mktemp(request.param), redis_server.url)
    try:
        found.run(found.command("python manage.py check"))
        found.run(found.command("python manage.py migrate"))
        yield found
    finally:
        found.close()


@pytest.mark.parametrize("server", ["python manage.py runserver", "gunicorn", "uvicorn"])
def test_jobs_tell_their_request(project: Project, server: str) -> None:
    """Under runserver with autoreload, WSGI and ASGI; by views that are ordinary and async, with a user and without."""
    at = project.serve(project.command(server))
    headers = {"X-Request-ID": "4f-1 <script>"}
    anonymous, headers_back = at.answer("/orders/7?card=4111", headers=headers)
    assert project.carried(anonymous["job"]) == {
        "request_id": "4f-1script",
        "request_method": "POST",
        "request_path": "/orders/7",
        "release": "2026-11",
    }
    user_id = at.ask("/sign-in/ada")["user_id"]
    found, headers_back = at.answer("/orders/42")
    assert "Cookie" not in headers_back.get("Vary", ""), "the session was touched"
    fields = project.carried(found["job"])
    assert (fields["request_path"], fields["user_id"]) == ("/orders/42", user_id)
    found = at.ask("/async/orders/43")
    fields = project.carried(found["job"])
    assert (fields["request_path"], fields["user_id"]) == ("/async/orders/43", user_id)
    assert len(fields["request_id"]) == 32
    at.stop()


def test_autoreload(project: Project) -> None:
    """New code is served after a reload, and events go on, each once."""
    at = project.serve(project.command("python manage.py runserver"))
    views = project.folder / "orders" / "views.py"
    text = views.read_text()
    try:
        wait_for(lambda: _reloaded(at, views, text), "a reload", timeout=60)
        job = at.ask("/orders/1")["job"]
    finally:
        views.write_text(text)
    assert told(project.events(job)) == ["1 enqueued"]
    assert project.carried(job)["request_path"] == "/orders/1"
    at.stop()


def _reloaded(at: Server, views: Path, text: str) -> bool:
    """Whether new code is served; it is written anew each time, for the server has to have seen the old one before."""
    views.write_text(text.replace('{"user_id": user.pk', '{"reloaded": True, "user_id": user.pk'))
    try:
        return "reloaded" in at.ask("/sign-in/ada")
    except OSError:  # between the two
        return False


def test_the_worker_and_other_commands(project: Project, redis: redis_py.Redis) -> None:
    """`manage.py clues work` loads Django and each app's jobs; other commands have their arguments and statuses."""
    at = project.serve(project.command("gunicorn"))
    job = at.ask("/orders/42")["job"]
    project.run(project.command("INTERVAL=0"))
    events = project.events(job)
    assert told(events) == ["1 enqueued", "1 dequeued", "1 perform_started", "1 perform_finished"]
    assert events[-1]["metadata"]["total"] == 42
    assert all(event["metadata"]["request_path"] == "/orders/42" for event in events)
    assert all(event["args"][1] == "[REDACTED]" for event in events)
    assert job[:8] in project.run(project.command("python manage.py clues tail"))
    assert "total=42" in project.run(f"python manage.py clues trace {job} events.log --settings=shop.settings")
    assert "configured by the application: LogPublisher" in project.run("python manage.py clues doctor")
    assert "no event" in project.run("python manage.py clues trace ffffffff events.log", status=1)
    assert "Usage" in project.run("cd / && python $OLDPWD/manage.py clues tail --help")
    found = project.python_says(
        "import django, io, json, contextlib; django.setup()\n"
        "from django.core.management import CommandError, call_command\n"
        "try: call_command('clues', 'trace', 'ffffffff', 'events.log')\n"
        "except CommandError as error: print(json.dumps([str(error), error.returncode]))",
        DJANGO_SETTINGS_MODULE="shop.settings",
    )
    assert found == ["clues trace ffffffff events.log ended with status 1", 1]
    at.stop()


MISTAKES = [
    ('{"PUBLISHERS": ["lgo:///x.log"]}', "CLUES[\"PUBLISHERS\"][0]: no publisher has the scheme 'lgo'"),
    ('{"PUBLISHERS": ["shop.nowhere.publisher"]}', "CLUES[\"PUBLISHERS\"][0]: 'shop.nowhere.publisher' can't be"),
    ('{"PUBLISHER": 3}', 'CLUES["PUBLISHER"] must have publish(event)'),
    ('{"PUBLISHERZ": []}', 'CLUES["PUBLISHERZ"] is no setting of clues; CLUES["PUBLISHER'),
    ('{"publishers": []}', 'CLUES["publishers"] is no setting of clues; CLUES["PUBLISHERS"] is'),
    ('{"MAX_ARGS_BYTES": 1}', 'CLUES["MAX_ARGS_BYTES"] must be a number of bytes'),
    ('{"ITEM_PREPROCESSORS": ["shop.observability.missing"]}', 'CLUES["ITEM_PREPROCESSORS"][0]: '),
    ('{"ITEM_PREPROCESSORS": [len]}', "an item_preprocessor takes a queue and an item"),
    ('{"ADAPTERS": {"selery": True}}', 'CLUES["ADAPTERS"]["selery"]: there is no adapter of that name'),
    ('{"ADAPTERS": {"huey": "x.y"}}', 'CLUES["ADAPTERS"]["huey"] needs '),
    ('{"REQUEST_FIELDS": ["cookies"]}', 'CLUES["REQUEST_FIELDS"] holds some of request_id, '),
    ('{"REQUEST_METADATA": 3}', 'CLUES["REQUEST_METADATA"] must be a callable'),
    ('["log:///x"]', "CLUES must be a dict of settings, not list"),
]


def test_mistaken_settings(project: Project) -> None:
    """Whatever is mistaken is told by its name when Django is set up."""
    program = f"""
import json, django
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
settings.configure(INSTALLED_APPS=["clues.django"])
try:
    settings.CLUES = {{"PUBLISHER_": 1}}
    django.setup()
except ImproperlyConfigured as error:
    said = [str(error)]
from clues.django.conf import configure_from_settings
for settings.CLUES in [{", ".join(clues for clues, _ in MISTAKES)}]:
    try:
        configure_from_settings()
    except ImproperlyConfigured as error:
        said.append(str(error))
print(json.dumps(said))
"""
    first, *said = project.python_says(program)
    assert first == 'CLUES["PUBLISHER_"] is no setting of clues; CLUES["PUBLISHER"] is'
    assert len(said) == len(MISTAKES)
    for (_, expected), found in zip(MISTAKES, said, strict=True):
        assert expected in found


def test_checks(project: Project) -> None:
    """Each of them has its moment, and none speaks in a project that is as it should be."""
    program = """
import json, django, sys
from django.conf import settings
settings.configure(INSTALLED_APPS=["clues.django"], **eval(sys.stdin.read()))
django.setup()
from django.core.checks import run_checks
{before}
print(json.dumps([message.id for message in run_checks() if message.id.startswith("clues.")]))
"""

    def found(settings: dict[str, Any], before: str = "") -> Any:
        return project.python_says(
            program.replace("{before}", before).replace("sys.stdin.read()", repr(repr(settings)))
        )

    there = {"PUBLISHERS": ["log://events.log"]}
    middleware = ["clues.django.middleware.CluesMiddleware"]
    assert found({"CLUES": there}) == []
    assert found({}) == ["clues.W001"]
    assert found({"CLUES": there}, "import clues; clues.configure()") == ["clues.W002"]
    assert found({"CLUES": {**there, "REQUEST_FIELDS": ["request_id"]}}) == ["clues.W003"]
    assert found({"CLUES": {**there, "REQUEST_FIELDS": ["request_id"]}, "MIDDLEWARE": middleware}) == []
    assert found({"CLUES": there}, "settings.CLUES = {'PUBLISHER_': 1}") == ["clues.E001"]


def test_configured_by_the_environment_or_by_hand(project: Project) -> None:
    """Without CLUES the environment counts; who has configured by hand keeps that, and the request's fields too."""
    program = """
import json, django, clues
from clues.config import default
from django.conf import settings
settings.configure(INSTALLED_APPS=["clues.django"])
{by_hand}
django.setup()
names = [one.__name__ for one in default.config.item_preprocessors]
print(json.dumps([type(default.config.publisher).__name__, names]))
"""
    environ = {"CLUES_PUBLISHERS": "log://other.log"}
    assert project.python_says(program.replace("{by_hand}", ""), **environ) == ["LogPublisher", ["add_request"]]
    by_hand = "def mine(queue, item): pass\nclues.configure(print, item_preprocessor=mine)"
    assert project.python_says(program.replace("{by_hand}", by_hand), **environ) == [
        "CallablePublisher",
        ["add_request", "mine"],
    ]


IN_PROJECT = """
import json, os, django
os.environ["DJANGO_SETTINGS_MODULE"] = "shop.settings"
django.setup()
import clues
from clues import resque
from clues.lifecycle import Lifecycle
from clues.request import add_request
from clues.testing import capture_events
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext, modify_settings, setup_test_environment
from orders.models import Order
setup_test_environment()
"""


def test_nothing_of_the_database_is_asked(project: Project) -> None:
    """Model instances, query sets and a lazy user, as arguments and as metadata: shown without a query."""
    program = f"""{IN_PROJECT}
from django.contrib.auth.models import AnonymousUser
from django.utils.functional import SimpleLazyObject
order = Order.objects.create(total=3)
deferred = Order.objects.only("id").get(pk=order.pk)
type(order).__str__ = lambda self: str(Order.objects.count())
lazy = SimpleLazyObject(lambda: User.objects.get(pk=1))
lifecycle = Lifecycle(system="foreign")
with capture_events(item_preprocessor=add_request) as events, CaptureQueriesContext(connection) as queries:
    item = {{"class": "J", "args": [order, deferred, Order.objects.all(), lazy, Order.objects], "job_id": "1"}}
    item["clues_metadata"] = {{"order": order, "all": Order.objects.all(), "by": lazy}}
    lifecycle.enqueued(lifecycle.stamp("q", item, preprocess=True))
print(json.dumps([len(queries), events.events[0].args, order.pk, len(item["clues_metadata"])]))
"""
    count, args, pk, _ = project.python_says(program)
    assert count == 0
    assert args[0] == args[1] == f"<orders.models.Order id={pk}>"


def test_tests_of_a_project(project: Project) -> None:
    """Apps set up again change nothing; a project's own tests capture events, and requests cost one query at most."""
    program = f"""{IN_PROJECT}
from django.test import RequestFactory
from clues.django.middleware import CluesMiddleware
from django.http import HttpResponse
from clues.request import request_metadata
user, _ = User.objects.get_or_create(username="grace")
client = Client()
client.force_login(user)
found = {{}}
with capture_events(item_preprocessor=add_request) as events:
    with modify_settings(INSTALLED_APPS={{"remove": "django.contrib.messages"}}):
        found["status"] = client.post("/orders/5").status_code
found["fields"] = events.events[0].metadata.get("user_id") == user.pk, events.events[0].metadata["request_method"]
found["outside"] = request_metadata()

def view(request):
    with CaptureQueriesContext(connection) as queries:
        first, second = request_metadata(), request_metadata()
    found["queries"] = len(queries)
    assert first == second
    found["accessed"] = request.session.accessed
    return HttpResponse()

from django.contrib.sessions.middleware import SessionMiddleware
from django.contrib.auth.middleware import AuthenticationMiddleware
request = RequestFactory().get("/x")
request.COOKIES = {{settings.SESSION_COOKIE_NAME: client.session.session_key}}
SessionMiddleware(AuthenticationMiddleware(CluesMiddleware(view)))(request)

def broken(request):
    raise ValueError("told to")
with override_settings(CLUES={{"PUBLISHERS": ["log://overridden.log"]}}):
    client.post("/orders/8")
found["overridden"] = [line.split('"')[3] for line in open("overridden.log")]
before = open("events.log").read().count("\\n")
client.post("/orders/8")
found["afterwards"] = open("events.log").read().count("\\n") - before
with override_settings(CLUES={{"REQUEST_METADATA": broken}}), capture_events(item_preprocessor=add_request) as events:
    broken_client = Client()
    broken_client.force_login(user)
    found["broken"] = broken_client.post("/orders/6").status_code
found["without"] = events.events[0].metadata.get("request_path")
tenant = lambda request: {{"tenant": request.path[1]}}
with override_settings(CLUES={{"REQUEST_METADATA": tenant, "REQUEST_FIELDS": ["request_route"]}}):
    with capture_events(item_preprocessor=add_request) as events:
        Client().post("/orders/6")
found["asked"] = {{k: v for k, v in events.events[0].metadata.items() if k[0] != "_"}}
print(json.dumps(found))
"""
    found = project.python_says(program)
    assert found["status"] == found["broken"] == 200
    assert found["fields"] == [True, "POST"]
    assert found["outside"] == {}
    assert found["queries"] == 1
    assert found["accessed"] is False
    assert found["overridden"] == ["enqueued"]
    assert found["afterwards"] == 1
    assert found["asked"]["tenant"] == "o"
    assert found["asked"]["request_route"] == "/orders/<int:total>"
    assert "request_id" not in found["asked"]
    assert found["without"] == "/orders/6"


def test_celery_in_the_project(project: Project) -> None:
    """Celery's worker sets Django up, and so clues: one setting hooks the web part and the worker."""
    if "oldest" in project.python.parts[-3]:
        pytest.skip("Celery is tried with the newest Django")
    (project.folder / "shop" / "celery.py").write_text(
        "import os\nfrom celery import Celery\n"
        "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.with_celery')\n"
        "app = Celery('shop', broker=os.environ['REDIS_URL'])\n"
        "app.autodiscover_tasks()\n"
    )
    (project.folder / "shop" / "with_celery.py").write_text(
        "from shop.settings import *\n"
        "CLUES = {**CLUES, 'ADAPTERS': {'celery': 'shop.celery:app'}}\n"
        "ROOT_URLCONF = 'orders.celery_urls'\n"
    )
    (project.folder / "orders" / "tasks.py").write_text(
        "import clues\nfrom shop.celery import app\nfrom orders.models import Order\n"
        "@app.task\ndef count():\n    clues.clues_metadata['orders'] = Order.objects.count()\n"
    )
    (project.folder / "orders" / "celery_urls.py").write_text(
        "from django.http import JsonResponse\nfrom django.urls import path\nfrom orders.tasks import count\n"
        "urlpatterns = [path('count', lambda request: JsonResponse({'job': count.delay().id}))]\n"
    )
    settings = {"DJANGO_SETTINGS_MODULE": "shop.with_celery"}
    worker = project.start("celery --app shop worker --concurrency 1", **settings)
    at = project.serve(project.command("gunicorn"), **settings)
    job = project.hash_of(at.ask("/count", method="GET")["job"])
    events = project.ended(job)
    assert told(events) == ["1 enqueued", "1 dequeued", "1 perform_started", "1 perform_finished"]
    assert events[-1]["metadata"]["orders"] >= 0
    assert project.carried(job)["request_path"] == "/count"
    at.stop()
    worker.stop()


def test_what_the_page_says(project: Project) -> None:
    """The settings of docs/initializers.md set Django up, but for the Celery that is not there, and the log's place."""
    text = (
        snippet("Django")
        .replace("/var/log/clues.log", f"{project.folder}/page.log")
        .replace('"shop.celery:app"', "None")
    )
    program = f"""{text}
import django, json
from django.conf import settings
settings.configure(INSTALLED_APPS=INSTALLED_APPS, MIDDLEWARE=MIDDLEWARE, CLUES=CLUES)
django.setup()
from django.core.handlers.wsgi import WSGIHandler
print(json.dumps(len(WSGIHandler()._middleware_chain.__class__.__name__) > 0))
"""
    assert project.python_says(program) is True


def test_many_requests_at_once(project: Project) -> None:
    """In one event loop and in threads, by ordinary and async views: each job tells its own request."""
    program = f"""{IN_PROJECT}
import asyncio
from asgiref.sync import sync_to_async
from django.test import AsyncClient
from clues.request import request_metadata
user, _ = User.objects.get_or_create(username="grace")
async def main():
    clients = [AsyncClient() for _ in range(20)]
    for client in clients:
        await sync_to_async(client.force_login)(user)
    kinds = ["/orders", "/async/orders"]
    return await asyncio.gather(*(one.post(f"{{kinds[n % 2]}}/{{n}}") for n, one in enumerate(clients)))
with capture_events(item_preprocessor=add_request) as events:
    answers = asyncio.run(main())
    jobs = [answer.json()["job"] for answer in answers]
    found = [events.about(job)[0].metadata for job in jobs]
print(json.dumps([[one["request_path"], one["user_id"] == user.pk] for one in found] + [request_metadata()]))
"""
    found = project.python_says(program)
    kinds = ["/orders", "/async/orders"]
    assert found[:-1] == [[f"{kinds[number % 2]}/{number}", True] for number in range(20)]
    assert found[-1] == {}
