"""clues as a Flask extension.

clues = Clues()

def create_app():
    app = Flask(__name__)
    app.config["CLUES_PUBLISHERS"] = ["log:///var/log/clues.log"]
    clues.init_app(app)
"""

from __future__ import annotations

import contextlib
import logging
import sys
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from clues.errors import ConfigError, MissingExtraError

try:
    import click
    import flask
    from flask.cli import with_appcontext
    from flask.globals import request_ctx
except ModuleNotFoundError as error:
    raise MissingExtraError("clues.flask", "flask", "Flask") from error

from clues import config
from clues.config import Config
from clues.initializer import SETTINGS, initialize, named
from clues.request import REQUEST_ID_HEADER, checked_fields, describe_in, request_id, user_id
from clues.variables import VARIABLES

__all__ = ["Clues", "add_request", "request_metadata"]

OWN = ("REQUEST_FIELDS", "REQUEST_METADATA", "REQUEST_ID_HEADER")

_ID_KEPT = "clues.request_id"  # in the WSGI environment: `flask.g` is another one in a nested app context

log = logging.getLogger("clues")


@dataclass(frozen=True)
class _State:
    """What ``app.extensions["clues"]`` holds: what jobs are told of the app's requests."""

    fields: tuple[str, ...]
    more: Callable[[flask.Request], Mapping[str, Any]] | None
    id_header: str | None


@dataclass
class _Done:
    """What was configured last, and for which app: the configuration is the whole process's."""

    given: Mapping[str, Any] | None = None
    config: Config | None = None
    app: Callable[[], flask.Flask | None] = lambda: None


_done = _Done()


class Clues:
    """The extension. Settings are ``CLUES_PUBLISHERS`` and the like in ``app.config``, or a dict ``CLUES`` there.

    Their names are those of `clues.initializer`, and for requests ``REQUEST_FIELDS``, ``REQUEST_METADATA`` (a callable
    that takes the request) and ``REQUEST_ID_HEADER``. clues is configured for the whole process: with several apps, the
    settings of the one that comes last count for all, which is logged as a warning where they differ and the other app
    is still there. An app without settings leaves all as it is.
    """

    def __init__(self, app: flask.Flask | None = None) -> None:
        """Make the extension; with an app, also `init_app`."""
        if app is not None:
            self.init_app(app)

    def init_app(self, app: flask.Flask) -> None:
        """Configure clues by the app's settings, and add ``flask clues`` to its commands.

        Raises:
            ConfigError: a setting is mistaken; the message names it.
            MissingExtraError: an adapter's job system is not installed.
        """
        given = _given(app)
        more = named(given.get("REQUEST_METADATA"), _label("REQUEST_METADATA"))
        if more is not None and not callable(more):
            msg = f"{_label('REQUEST_METADATA')} must be a callable that takes a request, not {type(more).__name__}"
            raise ConfigError(msg)
        fields = checked_fields(_label("REQUEST_FIELDS"), given.get("REQUEST_FIELDS"))
        header = given.get("REQUEST_ID_HEADER", REQUEST_ID_HEADER)
        _configure(app, {name: value for name, value in given.items() if name not in OWN})
        app.extensions["clues"] = _State(fields, more, header)
        app.cli.add_command(_command)


def request_metadata() -> dict[str, Any]:
    """What jobs enqueued here and now are told of the request; empty outside a request."""
    item: dict[str, Any] = {"clues_metadata": {}}
    with contextlib.suppress(Exception):  # the application's own; it is for logs, which want no errors
        add_request("", item)
    return dict(item["clues_metadata"])


def add_request(_queue: str, item: dict[str, Any]) -> None:
    """An item preprocessor: the fields of the current request, but for those that are there already."""
    state = flask.current_app.extensions.get("clues") if flask.has_request_context() else None
    if isinstance(state, _State):
        more = state.more
        describe_in(item, lambda: _described(state), None if more is None else lambda: more(flask.request))


def _described(state: _State) -> dict[str, Any]:
    return {name: _FINDERS[name]() if name in _FINDERS else _request_id(state) for name in state.fields}


def _given(app: flask.Flask) -> dict[str, Any]:
    found = app.config.get("CLUES") or {}
    if not isinstance(found, Mapping):
        msg = f'app.config["CLUES"] must be a dict of settings, not {type(found).__name__}'
        raise ConfigError(msg)
    single = app.config.get_namespace("CLUES_", lowercase=False)
    # An application may have put all its environment there, to which clues listens by itself.
    elsewhere = {name.removeprefix("CLUES_") for name in VARIABLES if name.startswith("CLUES_")} - {*SETTINGS}
    return {**found, **{name: value for name, value in single.items() if name not in elsewhere}}


def _label(name: str) -> str:
    return f'app.config["CLUES_{name}"]'


def _configure(app: flask.Flask, given: Mapping[str, Any]) -> None:
    if _done.given == given and config.configured():
        return
    other = _done.app()
    if given and other is not None and other is not app and _done.config is config.default.config:
        log.warning(
            "clues is configured anew by the Flask app %s, for the whole process: events of %s go there too",
            app.name,
            other.name,
        )
    made = initialize(given, _label, first=[add_request])
    if given:
        _done.given, _done.config, _done.app = dict(given), made, weakref.ref(app)


def _request_id(state: _State) -> str:
    found: str | None = flask.request.environ.get(_ID_KEPT)
    if found is None:
        header = flask.request.headers.get(state.id_header) if state.id_header else None
        found = flask.request.environ[_ID_KEPT] = request_id(header)
    return found


def _route() -> str | None:
    rule = flask.request.url_rule
    return None if rule is None else rule.rule


def _user_id() -> int | str | None:
    """Flask-Login's user, or what the application wrote into ``g.user_id``; the session is looked at, not touched.

    To touch it would make the response vary by its cookie.
    """
    found = flask.g.get("user_id")
    with contextlib.suppress(Exception):  # any application's class of users
        if found is None:
            user = flask.g.get("_login_user")
            found = _session().get("_user_id") if user is None else user.get_id()
    return user_id(found)


def _session() -> Mapping[str, Any]:
    """What the session holds, without a sign that it was looked at."""
    context = vars(request_ctx._get_current_object())  # noqa: SLF001 - the proxy's own way
    session = context.get("_session", context.get("session"))
    return dict(dict.items(session)) if isinstance(session, dict) else {}


@click.command(
    "clues",
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    short_help="Run a command of clues, such as doctor, tail or trace.",
)
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
@with_appcontext
def _command(args: tuple[str, ...]) -> None:
    from clues.cli import main  # noqa: PLC0415 - needed by this command alone

    if args[:1] == ("doctor",):
        args = ("doctor", "--app=clues.flask", *args[1:])  # so that it looks at what this process has configured
    sys.exit(main(args))


_FINDERS: Mapping[str, Callable[[], Any]] = {
    "request_method": lambda: flask.request.method,
    "request_path": lambda: flask.request.path,
    "request_route": _route,
    "user_id": _user_id,
}
