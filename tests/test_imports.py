"""What imports bring along, and when: told by `sys.modules` in fresh interpreters, never by time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from clues import publishers

ROOT = Path(__file__).parents[1]
SLOW = {
    "asyncio",
    "concurrent.futures",
    "difflib",
    "email",
    "gzip",
    "hashlib",
    "http",
    "importlib.metadata",
    "multiprocessing",
    "random",
    "redis",
    "secrets",
    "shutil",
    "socket",
    "ssl",
    "subprocess",
    "tempfile",
    "unittest",
    "urllib.request",
    "xml",
    "zipfile",
}
"""What nobody who configures a publisher that has no need of it should wait for."""

NEW = """
import sys
before = set(sys.modules)
{program}
print(*sorted(set(sys.modules) - before))
"""
JOBS = """
import sys
import clues
from clues import publishers as p
from clues.lifecycle import Lifecycle
from clues.metadata import failure_of

class OddError(Exception):
    def __str__(self):
        return "password=hunter2 " * 500

class Odd:
    def __repr__(self):
        raise ValueError

def fail():
    try:
        clues.clues_metadata["_refused"] = clues.clues_metadata["pages"] = 1
        raise OddError("inner")
    except OddError as error:
        raise OddError from error

clues.configure({publisher}, item_preprocessor=lambda queue, item: item["clues_metadata"].update(tier="gold"))
lifecycle = Lifecycle()
before = set(sys.modules)
for job in (dict, fail):
    item = {{"class": "Job", "args": [1, "é" * 5000, Odd(), 1e99, {{"api_key": "s3cret", "n": [None, b"x"]}}]}}
    lifecycle.enqueued(lifecycle.stamp("mail", item))
    attempt = lifecycle.dequeued("mail", item)
    try:
        with lifecycle.performing(attempt, "mail", item):
            job()
    except Exception as error:
        lifecycle.failed(attempt, failure_of(error))
    else:
        lifecycle.perform_finished(attempt)
print("imported late:", *sorted(set(sys.modules) - before), file=sys.stderr)
"""


def fresh(program: str, cwd: Path = ROOT, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a program, with the checkout for its imports."""
    return subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=cwd,
        env={"PYTHONPATH": str(ROOT), **environ},
    )


def test_import_clues_brings_clues_alone() -> None:
    """All else comes when it is named."""
    assert fresh(NEW.format(program="import clues")).stdout.split() == ["clues"]


@pytest.mark.parametrize(
    ("publisher", "modules", "slow"),
    [
        ('LogPublisher("x.log")', {"log", "flood"}, set()),
        ("StandardOutPublisher()", {"stream"}, set()),
        ('UDPPublisher("127.0.0.1", 9)', {"udp", "datagrams", "names", "query"}, {"socket"}),
        ('StatsdPublisher("127.0.0.1")', {"statsd", "statsd_packets", "datagrams", "names", "query"}, {"socket"}),
    ],
)
def test_whoever_publishes_at_once_waits_for_nothing_else(
    publisher: str, modules: set[str], slow: set[str], tmp_path: Path
) -> None:
    """No module of another publisher is imported, none of the shipper, and none of Python's that are slow to."""
    program = f"import clues\nfrom clues.publishers import {publisher.partition('(')[0]}\nclues.configure({publisher})"
    found = set(fresh(NEW.format(program=program), tmp_path).stdout.split())
    ours = {name.removeprefix("clues.publishers.") for name in found if name.startswith("clues.publishers.")}
    assert ours == modules
    assert {name for name in SLOW for module in found if f"{module}.".startswith(f"{name}.")} == slow


@pytest.mark.parametrize(
    "publisher",
    [
        "lambda event: None",
        'p.LogPublisher("x.log")',
        "p.StandardOutPublisher()",
        "p.NoOpPublisher()",
        'p.UDPPublisher("127.0.0.1", 9)',
        'p.StatsdPublisher("127.0.0.1")',
        '[made := p.TCPPublisher("127.0.0.1", 9, spool="spool"), made.companion()][0]',  # another process ships
        'p.CompositePublisher(p.LogPublisher("x.log"), lambda event: 1 / 0)',
    ],
)
def test_nothing_is_imported_late_in_a_jobs_way(publisher: str, tmp_path: Path) -> None:
    """From `configure` on; jobs that fail, and args that take some work, need nothing more either."""
    found = fresh(JOBS.format(publisher=publisher), tmp_path)
    assert "imported late:" in found.stderr.split("\n")  # and none; what publishers lost is told after it
    if "Log" in publisher:
        lines = (tmp_path / "x.log").read_text().splitlines()
        assert [json.loads(line)["event_type"] for line in lines][-2:] == ["perform_started", "failed"]


@pytest.mark.parametrize("module", ["clues", "clues.publishers"])
def test_names_that_come_later_are_as_good(module: str) -> None:
    """They can be listed, imported with a star, and are found once; what is no name is an error as ever."""
    program = f"""
import {module} as module
assert set(module.__all__) <= set(dir(module))
from {module} import *
assert all(globals()[name] is getattr(module, name) is vars(module)[name] for name in module.__all__)
try:
    module.missing
except AttributeError as error:
    print(error)
"""
    assert fresh(program).stdout == f"module '{module}' has no attribute 'missing'\n"


def test_each_publisher_has_its_place() -> None:
    assert all(getattr(publishers, name).__name__ == name for name in publishers.__all__)


@pytest.mark.parametrize("command", [["--version"], ["trace", "0695f49c", "x.log", "--json"], ["nonsense"]])
def test_a_command_that_prints_no_styles_waits_for_no_console(command: list[str], tmp_path: Path) -> None:
    """Nor for Redis, or anything of an application's."""
    (tmp_path / "x.log").touch()
    program = f"""
import sys
from clues.cli import main
main({command!r})
print(*{{"redis", "rich.live", "clues.resque", "clues.config", "clues.cli.console"}} & set(sys.modules))
"""
    assert fresh(program, tmp_path).stdout.splitlines()[-1] == ""
