"""The page of all that can be set: arguments, variables, URLs, the options of workers."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from importlib.metadata import entry_points
from typing import Any

import clues
from clues import variables
from clues.initializer import SETTINGS as INITIALIZER_SETTINGS
from clues.publishers.journal import JournalOptions
from clues.publishers.shipped import JOURNAL_OPTIONS, SHIPPING, ShippedPublisher
from clues.redaction import SECRET_WORDS
from clues.resque.options import Options
from clues.resque.starter_settings import SETTINGS
from clues.sanitize import Limits
from docs.reference_source.docstrings import described, summary
from docs.reference_source.markdown import code, prose, table, whole

_INTRO = """
All that can be set, made of the code. Settings are checked when clues is configured, when a worker starts or a config
file is read; a mistaken one is an error there that names it, never later.

What `clues.configure` is given counts first, then the environment, then the default.
"""


def _blocks() -> Iterator[str]:
    """The page's blocks."""
    yield _INTRO
    yield "## `clues.configure`\n\n" + prose(summary(clues.configure))
    yield table(("argument", "variable", "default", "what it says"), _arguments())
    words = ", ".join(code(word) for word in SECRET_WORDS)
    yield f"Words that make a key a secret's name, wherever they stand in it: {words}."
    yield (
        "Django's `CLUES`, Flask's `app.config` and FastAPI's `clues_lifespan` take the same, and "
        + ", ".join(code(name) for name in INITIALIZER_SETTINGS if name.lower() not in _signature())
        + ": [initializers](../initializers.md)."
    )
    yield "## Variables of the environment"
    yield "Of `clues.configure`, and what switches clues on where nothing else does:"
    yield _variables(variables.CONFIGURATION)
    yield "Of workers; Resque's mean what they mean in Resque. `REDIS_URL` is read by whatever talks to Redis:"
    yield _variables(variables.WORKERS, _worker_defaults())
    yield (
        "Of OpenTelemetry, where `OTLPPublisher` or its URL leave something out; those of the exporter exist for each "
        "signal too, as in `OTEL_EXPORTER_OTLP_LOGS_ENDPOINT`:"
    )
    yield _variables(variables.OPENTELEMETRY)
    yield "Of single commands:"
    yield _variables(variables.COMMANDS)
    yield "Of the tests of clues:"
    yield _variables(variables.DEVELOPMENT)
    yield "## URLs of publishers"
    yield (
        "In `CLUES_PUBLISHERS`, in `clues ship --to` and in the settings of frameworks. Options are the query: "
        "`otlp://collector:4317?service_name=shop&sample=0.1`. An unknown one is an error."
    )
    yield from _publishers()
    yield "## Settings of `clues.conf.py`"
    yield (
        "For `clues start -c`: variables of a file in Python, by [resque_starter's names](../starter.md). What is left "
        "out comes from the environment."
    )
    yield table(("setting", "what it takes", "variable", "default", "what it says"), _starter())


def page() -> str:
    """The page."""
    return whole("Configuration", "the code, clues/variables.py or the docstrings", *_blocks())


# clues.configure


def _signature() -> Mapping[str, inspect.Parameter]:
    return inspect.signature(clues.configure).parameters


def _arguments() -> Iterator[tuple[str, str, str, str]]:
    caps = {f"max_{field.name}_bytes": f"{field.default:,}" for field in fields(Limits)}
    for name, text in described(clues.configure, "Args").items():
        if name != "environ":
            variable = f"CLUES_{name.upper()}{'S' * (name == 'publisher')}"
            known = code(variable) if variable in variables.CONFIGURATION else ""
            yield code(name), known, caps.get(name, ""), text


# the environment


def _variables(known: Mapping[str, str], defaults: Mapping[str, str] | None = None) -> str:
    rows = ((code(name), (defaults or {}).get(name, ""), text) for name, text in known.items())
    if defaults is None:
        return table(("variable", "what it says"), ((name, text) for name, _, text in rows))
    return table(("variable", "default", "what it says"), rows)


def variable_of(option: str) -> str:
    """The variable that an option of a tree is read from, as its docstring has it in parentheses."""
    text = described(Options, "Attributes")[option]
    return next((name for name in variables.WORKERS if f"({name}" in text), "")


def _worker_defaults() -> dict[str, str]:
    return {variable: _default(option) for option in option_names() if (variable := variable_of(option))}


def option_names() -> list[str]:
    """The options of a tree."""
    return [field.name for field in fields(Options)]


def _default(option: str) -> str:
    [field] = [field for field in fields(Options) if field.name == option]
    if field.default is MISSING or field.default in {None, "", False} or field.default == ():
        return ""
    return _figure(field.default) if isinstance(field.default, int | float) else str(field.default)


# publishers


def schemes() -> dict[Any, list[str]]:
    """The schemes of each publisher that has a URL."""
    found: dict[Any, list[str]] = {}
    for point in sorted(entry_points(group="clues.publishers"), key=lambda point: point.name):
        if point.name != "composite" and point.value.startswith("clues."):
            found.setdefault(point.load(), []).append(point.name)
    return found


def _publishers() -> Iterator[str]:
    for publisher, names in schemes().items():
        yield f"### `{publisher.__name__}`: " + ", ".join(code(f"{name}://") for name in names)
        yield f"{summary(publisher)} URL: {summary(publisher.from_url)}"
        own = {name for name in getattr(publisher, "url_options", {}) if name not in SHIPPING}
        if own:
            yield table(("option", "default", "what it says"), _url_options(publisher, sorted(own)))
        if issubclass(publisher, ShippedPublisher):
            yield "And the options of [shipping](#options-of-shipping)."
    yield "### Options of shipping"
    yield "Of all publishers that deliver by the journal and the shipper."
    yield table(("option", "default", "what it says"), _url_options(ShippedPublisher, list(SHIPPING)))


def _url_options(publisher: Any, names: list[str]) -> Iterator[tuple[str, str, str]]:
    told = described(publisher.__init__, "Args")
    journal = described(JournalOptions, "Attributes")
    parameters = inspect.signature(publisher.__init__).parameters
    for name in names:
        if name in JOURNAL_OPTIONS:
            option = JOURNAL_OPTIONS[name]
            default = getattr(JournalOptions(), option)
            yield code(name), f"{default:,}" if isinstance(default, int) else code(default), journal[option]
        else:
            yield code(name), _shown(parameters[name].default), told[name]


def _shown(default: object) -> str:
    if default is None or default == ():
        return ""
    if isinstance(default, bool):
        return code(str(default).lower())
    return _figure(default) if isinstance(default, int | float) else code(default)


def _figure(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else f"{value:,}"


# clues.conf.py


def _starter() -> Iterator[tuple[str, str, str, str, str]]:
    told = described(Options, "Attributes")
    ours = {"concurrency": "worker_count", "dequeue_interval": "interval"}
    for name, setting in SETTINGS.items():
        option = ours.get(name, name)
        text = _OTHERS[name] if option not in told else _VARIABLE.sub("", told[option])
        variable = variable_of(option) if option in told else ""
        yield code(name), setting.wanted, code(variable), _default(option) if option in told else "", text


_VARIABLE = re.compile(r" \([A-Z_]+(?:[,=][^)]*)?\)")  # it has a column of its own
_OTHERS = {
    "app": "the application: its jobs, its initializer",
    "logger": "where the starter's log goes; standard output if left out",
    "namespace": "what stands before every key in Redis; `resque` if left out",
    "pid_file": "a file for the master's process id",
    "redis": "which Redis; the application's, or `REDIS_URL`, if left out",
    "status_file": "a file that says what the tree is and does, as JSON",
}
"""Settings that are no options of a tree."""
