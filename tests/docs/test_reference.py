"""The reference's pages: as the code is now, and nothing that it reads or writes is missing in them."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("opentelemetry.proto", reason="comes with the extra dev")

from clues.initializer import SETTINGS as INITIALIZER_SETTINGS
from clues.system_keys import KEYS
from clues.variables import VARIABLES
from docs.reference_source import commands, configuration, told
from docs.reference_source.pages import pages
from tests.docs.snippets import PAGES, ROOT

SOURCES = [*(ROOT / "clues").glob("[!p]*/**/*.py"), *(ROOT / "clues").glob("*.py"), *(ROOT / "publishers").glob("*.py")]
REFERENCE = ROOT / "docs" / "reference"
_ASKED = {"cap", "flag", "get", "maybe_seconds", "name", "seconds", "secret_words", "text", "whole"}
_NAMED = re.compile(r"\bCLUES_[A-Z][A-Z_]*[A-Z]\b")
_MISSPELT = {"CLUES_PUBLISHER", "CLUES_PUBLISHERZ", "CLUES_ZZZZ"}  # by other tests, on purpose
_OF_OTHERS = {"HOME", "PATH", "PWD", "PYTHONPATH", "TERM", "XDG_RUNTIME_DIR", "XDG_STATE_HOME"}


@pytest.mark.parametrize(("name", "text"), list(pages()), ids=lambda given: given if len(given) < 40 else "")
def test_a_page_is_up_to_date(name: str, text: str) -> None:
    """If this fails: ``make reference`` writes it anew."""
    assert (REFERENCE / name).read_text() == text


def _asked_of_the_environment(path: Path) -> Iterator[str]:
    """The names that a module asks the environment for, in any of the ways that ours do."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Call(func=ast.Attribute(attr=how), args=[ast.Constant(value=str(name)), *_]) if how in _ASKED:
                yield name
            case ast.Subscript(
                value=ast.Name(id="environ") | ast.Attribute(attr="environ"), slice=ast.Constant(value=str(name))
            ):
                yield name
            case ast.Compare(left=ast.Constant(value=str(name)), ops=[ast.In() | ast.NotIn()]):
                yield name
            case ast.keyword(arg="envvar", value=ast.Constant(value=str(name))):
                yield name
            case ast.keyword(arg="envvar", value=ast.List(elts=several)):
                yield from (str(one.value) for one in several if isinstance(one, ast.Constant))
            case ast.Set(elts=several) | ast.Tuple(elts=several):
                yield from (
                    one.value for one in several if isinstance(one, ast.Constant) and isinstance(one.value, str)
                )


def test_every_variable_that_the_code_reads_is_in_the_reference() -> None:
    """And none that it does not read."""
    asked = {
        name.removeprefix("OTEL_EXPORTER_OTLP_")
        for path in SOURCES
        if path.name != "variables.py"
        for name in _asked_of_the_environment(path)
        if re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*", name) and len(name) > 2
    }
    known = {name.removeprefix("OTEL_EXPORTER_OTLP_") for name in VARIABLES}
    ours = {name for name in asked if name in known or name.startswith(("CLUES_", "OTEL_", "RESQUE_", "STATSD_"))}
    assert ours <= known
    assert known - ours - {"CLUES_REQUIRE", "ENDPOINT"} == set()
    assert not _OF_OTHERS & known


def test_the_pages_speak_of_variables_that_are() -> None:
    """Of ours, or of our tests; another word in capitals after CLUES_ is a mistake of typing."""
    for_requests = {"CLUES_REQUEST_FIELDS", "CLUES_REQUEST_METADATA", "CLUES_REQUEST_ID_HEADER"}  # settings of Flask's
    for_tests = {name for path in (ROOT / "tests").rglob("*.py") for name in _NAMED.findall(path.read_text())}
    allowed = {*VARIABLES, *(f"CLUES_{name}" for name in INITIALIZER_SETTINGS)} | for_requests | (for_tests - _MISSPELT)
    for page in PAGES:
        assert set(_NAMED.findall((ROOT / page).read_text())) <= allowed, page


def test_every_key_that_is_written_is_in_the_reference() -> None:
    """All constants of the core, adapters and publishers that are used as keys, and look like metadata's, are some."""
    others = {"_id", "_index"}  # Elasticsearch's
    others |= {"_defer_by", "_defer_until", "_execute", "_job_try"}  # arq's and RQ's
    patterns = ("clues/*.py", "clues/adapters/*.py", "publishers/otlp_*.py")
    for path in itertools.chain.from_iterable(map(ROOT.glob, patterns)):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Dict(keys=found):
                    keys = [key.value for key in found if isinstance(key, ast.Constant) and isinstance(key.value, str)]
                case ast.Subscript(slice=ast.Constant(value=str(key))):
                    keys = [key]
                case _:
                    continue
            assert {key for key in keys if re.fullmatch(r"_[a-z]+(_[a-z]+)*", key)} <= {*KEYS, *others}, path
    assert told.SAMPLES.keys() == KEYS.keys()


def test_every_option_of_a_tree_has_its_variable() -> None:
    """Which its docstring names, and the defaults are those of the options."""
    without = {"queues", "hostname", "run_dir"}
    for option in configuration.option_names():
        assert option in without or configuration.variable_of(option), option


def test_every_publisher_explains_its_options() -> None:
    for publisher, schemes in configuration.schemes().items():
        assert schemes
        assert publisher.__doc__
    assert {name for names in configuration.schemes().values() for name in names} >= {"log", "otlp", "tcp+tls", "udp"}


def test_every_command_is_a_page_of_a_manual() -> None:
    """With examples that name it, and the meaning of each exit status that it can have."""
    every = list(commands.commands())
    assert len(every) > 20
    for one in every:
        assert one.manual.examples, one.name
        assert all(f"clues {one.name}" in example for example in one.manual.examples), one.name
        assert 1 in one.manual.exit_status, one.name
        assert all(parameter.about for parameter in one.parameters), one.name
