"""Without an extra, what needs it says which one to install; all else works. The environments really lack it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from importlib.metadata import entry_points, requires
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import pytest
import typer
from packaging.requirements import Requirement

from clues.cli.app import app
from clues.extras import too_old, wanted
from tests.bare import EXTRAS, bare_python, is_installed, wanted_by

LIFE = {
    "event_type": "perform_finished",
    "timestamp": "2026-11-20T20:59:58.123456Z",
    "queue": "mail",
    "metadata": {"_event_hash": "0695f49c5e70fc18da91961113e1769a", "_attempt": 1},
    "worker_class": "Mail",
    "args": [],
}
NOWHERE = "127.0.0.1:1"

URLS = {
    "composite://": "",
    "elasticsearch+https://es:9200": "elasticsearch",
    "elasticsearch://es:9200": "elasticsearch",
    "log://x.log": "",
    "noop://": "",
    "opensearch+https://es:9200": "opensearch",
    "opensearch://es:9200": "opensearch",
    "otlp+http://col:4318": "otlp",
    "otlp+https://col:4318": "otlp",
    "otlp://col:4317": "otlp",
    "otlps://col:4317": "otlp",
    "statsd+unix:///run/none.sock": "",
    "statsd://127.0.0.1:8125": "",
    "stdout://": "",
    "tcp+tls://col:5000": "",
    "tcp://col:5000": "",
    "udp://127.0.0.1:5000": "",
}
"""A URL for each publisher, and the extra that it can't do without."""

COMMANDS = [
    ("compare x.log x.log", "analysis", 1),
    ("demo --seconds 1", "demo", 1),
    ("doctor", "", 0),
    ("enqueue Mail --queue mail", "", 1),  # no Redis is there
    ("failed list", "", 1),
    ("pause mail", "", 1),
    ("query 'FROM jobs' x.log", "analysis", 1),
    ("queues", "", 1),
    ("report x.log", "analysis", 1),
    ("resume mail", "", 1),
    (f"setup elasticsearch --to elasticsearch://{NOWHERE}", "elasticsearch", 2),
    (f"setup elasticsearch --to opensearch://{NOWHERE}", "opensearch", 2),
    (f"setup grafana --url http://{NOWHERE}", "", 1),
    (f"setup kibana --url http://{NOWHERE}", "", 1),
    (f"ship x.log --to otlp://{NOWHERE}", "otlp", 2),
    (f"ship x.log --to otlp+http://{NOWHERE}", "otlp", 2),
    (f"ship x.log --to elasticsearch://{NOWHERE}", "elasticsearch", 2),
    (f"ship --follow spool --to opensearch://{NOWHERE}", "opensearch", 2),
    (f"ship x.log --to tcp://{NOWHERE} --timeout 0", "", 1),
    ("sla 'failure_ratio < 1%' x.log", "analysis", 1),
    ("start -c none.py", "", 2),
    ("tail x.log", "", 0),
    ("trace 0695f49c x.log", "", 0),
    ("web x.log", "web", 1),
    ("work --app nowhere --queues mail", "", 1),
    ("workers", "", 1),
]
"""What to try of each command, the extra that it names, and its exit code."""

IMPORTS = """
import importlib, json, pkgutil, sys
import clues
found = {}
for module in pkgutil.walk_packages(clues.__path__, "clues.", onerror=lambda name: None):
    if not module.name.endswith("__main__"):
        try:
            importlib.import_module(module.name)
        except ImportError as error:
            found[module.name] = [type(error).__name__, str(error)]
print(json.dumps(found))
"""

CONFIGURES = """
import json, sys
from clues.errors import CluesError
from clues.plugs import publisher_from_url
found = {}
for url in sys.argv[1:]:
    try:
        publisher_from_url(url)
    except CluesError as error:
        found[url] = [type(error).__name__, str(error)]
print(json.dumps(found))
"""

COMMAND_LINES = """
import io, json, os, shlex, sys
from clues import config
from clues.cli import main
told = sys.stdout
found = []
for line, url in json.load(sys.stdin):
    os.environ["CLUES_PUBLISHERS"] = url
    config.reset()
    sys.stdout, sys.stderr = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    code = main(shlex.split(line))
    output = []
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        output.append(stream.buffer.getvalue().decode())
    found.append([code, *output])
json.dump(found, told)
"""
"""Command lines one after the other in one process, which is quicker by far; each with its CLUES_PUBLISHERS."""


class Said(NamedTuple):
    """What a command left."""

    code: int
    output: str
    error: str


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the base alone."""
    return bare_python(tmp_path_factory.mktemp("base") / "venv")


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with an event log, and an application that does nothing."""
    (tmp_path / "x.log").write_text(json.dumps(LIFE) + "\n")
    (tmp_path / "shop.py").touch()
    return tmp_path


def run(python: Path, *arguments: str, cwd: Path, given: str = "") -> str:
    """What a program says, where neither a library of this environment is found, nor a Redis."""
    environ = {"PATH": "", "HOME": str(cwd), "CLUES_SPOOL": str(cwd / "spool"), "REDIS_URL": f"redis://{NOWHERE}"}
    done = subprocess.run(
        [python, *arguments], capture_output=True, text=True, check=False, cwd=cwd, input=given, env=environ
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def clues(python: Path, cwd: Path, *lines: str, publishers: Sequence[str] = ()) -> list[Said]:
    """What ``clues`` says to each of these command lines."""
    given = list(zip_longest(lines, publishers, fillvalue=""))
    return [Said(*one) for one in json.loads(run(python, "-c", COMMAND_LINES, cwd=cwd, given=json.dumps(given)))]


def names(extra: str) -> str:
    return f": pip install 'clues[{extra}]'"


def test_the_base_is_bare(base: Path, tmp_path: Path) -> None:
    """These tests would hold of anything else."""
    mine = {name for extra in EXTRAS for name in wanted_by("clues", extra) if is_installed(name)}
    assert {"duckdb", "grpcio", "starlette"} <= mine
    listed = run(base, "-c", "import importlib.metadata as m\nfor d in m.distributions(): print(d.name)", cwd=tmp_path)
    assert set(wanted_by("clues")) <= set(listed.split())
    assert not mine & set(listed.split())


def test_each_module_imports_or_names_its_extra(base: Path, tmp_path: Path) -> None:
    """What is behind a door that names the extra may want its library as such."""
    found = json.loads(run(base, "-c", IMPORTS, cwd=tmp_path))
    doors = {name: text for name, (kind, text) in found.items() if kind == "MissingExtraError"}
    assert set(doors) == {
        *(f"clues.adapters.{name}" for name in ("arq", "celery", "dramatiq", "huey", "rq", "taskiq")),
        "clues.django.apps",
        "clues.flask",
    }
    for name, text in doors.items():
        [extra] = EXTRAS & set(name.split("."))
        assert text.endswith(names(extra))
    behind = ("clues.django.", "clues.publishers.otlp_", "clues.web.")
    assert [name for name in found if name not in doors and not name.startswith(behind)] == []


def test_each_url_works_or_names_its_extra(base: Path, tmp_path: Path) -> None:
    points = {point.name for point in entry_points(group="clues.publishers")}
    assert {url.partition("://")[0] for url in URLS} == points, "each publisher is tried here"
    found = json.loads(run(base, "-c", CONFIGURES, *URLS, cwd=tmp_path))
    assert "leave out composite://" in found.pop("composite://")[1]
    assert set(found) == {url for url, extra in URLS.items() if extra}
    for url, (kind, text) in found.items():
        assert kind == "ConfigError"
        assert "which is not installed" in text
        assert text.endswith(names(URLS[url]))


def test_each_command_works_or_names_its_extra(base: Path, here: Path) -> None:
    """In one line, on standard error, with the exit code that scripts go by."""
    known = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    assert {line.split()[0] for line, _, _ in COMMANDS} == known, "each command is tried here"
    for (line, extra, code), said in zip(COMMANDS, clues(base, here, *(line for line, _, _ in COMMANDS)), strict=True):
        assert said.code == code, (line, said)
        if extra:
            assert said.error.startswith("clues: error: ")
            assert names(extra) in said.error
            assert said.error.count("\n") == 1
            assert said.output == ""
        else:
            assert "pip install" not in said.error


def test_a_worker_and_doctor_name_what_the_environment_wants(base: Path, here: Path) -> None:
    """A worker doesn't start without its events. Doctor leaves no spool behind."""
    urls = list({extra: url for url, extra in URLS.items() if extra}.values())
    worked = clues(base, here, *["work --app shop --queues x"] * len(urls), publishers=urls)
    looked = clues(base, here, *["doctor"] * len(urls), publishers=urls)
    for url, work, doctor in zip(urls, worked, looked, strict=True):
        assert (work.code, doctor.code) == (2, 1)
        assert work.error.endswith(f"{names(URLS[url])}\n")
        assert names(URLS[url]) in doctor.output
    assert not (here / "spool").exists()


@pytest.mark.parametrize("lacked", ["grpcio", "googleapis-common-protos", "opentelemetry-proto"])
def test_one_library_of_several_is_missing(lacked: str, tmp_path: Path) -> None:
    """The others may be there for another's sake. OTLP over HTTP needs no gRPC."""
    python = bare_python(tmp_path / "venv", *(name for name in wanted_by("clues", "otlp") if name != lacked))
    found = json.loads(run(python, "-c", CONFIGURES, "otlp://col:4317", "otlp+http://col:4318", cwd=tmp_path))
    assert set(found) == {"otlp://col:4317", *(["otlp+http://col:4318"] if lacked != "grpcio" else [])}
    assert all(text.endswith(names("otlp")) for _, text in found.values())


@pytest.mark.parametrize("lacked", ["starlette", "uvicorn"])
def test_the_page_needs_both(lacked: str, here: Path) -> None:
    [there] = {"starlette", "uvicorn"} - {lacked}
    [said] = clues(bare_python(here / "venv", there), here, "web")
    assert said == Said(1, "", f"clues: error: clues web needs {lacked}{names('web')}\n")


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("duckdb", {"query 'FROM jobs' x.log": 1, "report x.log": 1}),
        ("starlette", {"web": 1}),
        ("uvicorn", {"web": 1}),
        ("elasticsearch", {f"setup elasticsearch --to elasticsearch://{NOWHERE}": 2}),
        ("opensearch-py", {f"ship x.log --to opensearch://{NOWHERE}": 2}),
        ("grpcio", {f"ship x.log --to otlp://{NOWHERE}": 2}),
        ("googleapis-common-protos", {f"ship x.log --to otlp+http://{NOWHERE}": 2}),
        ("opentelemetry-proto", {f"ship x.log --to otlp+http://{NOWHERE}": 2}),
    ],
)
def test_a_library_that_is_too_old_is_named(name: str, lines: dict[str, int], here: Path) -> None:
    """Before it is used, and with what there is."""
    [extra] = {extra for extra in EXTRAS - {"all", "dev"} if name in wanted_by("clues", extra)}
    python = bare_python(here / "venv", *wanted_by("clues", extra))
    [about] = (here / "venv").glob(f"lib/*/site-packages/{name.replace('-', '_')}-*.dist-info")
    text = (about / "METADATA").read_text()
    about.unlink()  # a link
    about.mkdir()
    (about / "METADATA").write_text(text.replace("\nVersion: ", "\nVersion: 0.0.1\nX-Was: ", 1))
    for code, said in zip(lines.values(), clues(python, here, *lines), strict=True):
        assert said.code == code
        assert f" needs {name}>=" in said.error
        assert said.error.endswith(f", and 0.0.1 is installed{names(extra)}\n")


def test_each_extra_says_which_releases(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that pyproject.toml says is found, and compared as numbers."""
    for line in requires("clues") or []:
        asked = Requirement(line)
        for extra in EXTRAS - {"all", "dev"}:
            if asked.marker and not asked.marker.evaluate() and asked.marker.evaluate({"extra": extra}):
                assert wanted(extra, asked.name) == str(asked.specifier)
    assert wanted("celery", "celery") == "<5.8,>=5.3"
    assert wanted("celery", "dramatiq") == wanted("nothing", "celery") == ""
    releases = {"5.2.9": True, "5.3": False, "5.10.0": False, "5.3.0rc1": False, "unknown": True, "4.99": True}
    for there, old in releases.items():
        monkeypatch.setattr("importlib.metadata.version", lambda _name, there=there: there)
        assert bool(too_old("celery", "celery")) is old, there
