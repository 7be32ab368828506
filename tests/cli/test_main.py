"""The command itself: help, version, exit codes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from clues import __version__
from clues.cli.manual import BEGIN, DELIVER, NOW, THEN, WORK
from tests.analysis.made import a_life, lines
from tests.cli.running import COMMAND, clues, environment, start

COMMANDS = (
    *("demo", "doctor", "work", "start", "enqueue", "pause", "resume", "queues", "workers", "failed", "web"),
    *("tail", "trace", "report", "query", "sla", "compare", "ship", "setup"),
)


def test_the_version() -> None:
    found = clues("--version")
    assert (found.returncode, found.stdout) == (0, f"clues {__version__}\n")


def test_help_names_every_command() -> None:
    found = clues("--help")
    assert found.returncode == 0
    assert all(command in found.stdout for command in COMMANDS)
    assert "\x1b" not in found.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_an_example(command: str) -> None:
    found = clues(command, "--help")
    assert found.returncode == 0
    assert "Examples:" in found.stdout
    assert f"clues {command}" in found.stdout
    assert "Exit status:" in found.stdout


def test_help_is_a_page_of_a_manual() -> None:
    """Commands in groups, each told in one line; then what a manual's page has."""
    shown = clues("--help", environ={"PATH": os.environ["PATH"], "COLUMNS": "80"}).stdout
    groups = [line.strip("╭─╮ ") for line in shown.splitlines() if line.startswith("╭")]
    assert groups == ["Options", BEGIN, WORK, NOW, THEN, DELIVER]
    named = [line.split()[1] for line in shown.splitlines() if line.startswith("│ ") and line[2].isalpha()]
    assert sorted(named) == sorted(COMMANDS)
    assert not [line for line in shown.splitlines() if line.startswith("│   ")], "a summary takes two lines"
    headings = [line.strip() for line in shown.splitlines() if line.startswith(" ") and line.rstrip().endswith(":")]
    assert headings == ["Examples:", "Environment:", "Exit status:"]


@pytest.mark.parametrize("group", [[], ["failed"], ["setup"]])
def test_a_group_without_a_command_shows_its_help(group: list[str]) -> None:
    """As a mistake, but the same."""
    asked, found = clues(*group, "--help"), clues(*group)
    assert (asked.returncode, found.returncode) == (0, 2)
    assert found.stdout.strip() == asked.stdout.strip()


def test_help_without_rich_has_all_of_it_too() -> None:
    shown = clues("tail", "--help", environ={"PATH": os.environ["PATH"], "TYPER_USE_RICH": "0"}).stdout
    assert shown.index("--follow") < shown.index("\n\n Examples:\n") < shown.index(" Environment:") < shown.index("130")


@pytest.mark.parametrize(
    "args", [["nonsense"], ["tail", "--nonsense"], ["trace"], ["tail", "--lines", "x"], ["work", "--app", "x"], []]
)
def test_mistaken_usage_is_2(args: list[str]) -> None:
    found = clues(*args)
    assert found.returncode == 2
    assert "Traceback" not in found.stdout + found.stderr


def test_help_loads_neither_redis_nor_the_screen() -> None:
    code = (
        "import sys, clues.cli.app; print([name for name in ('redis', 'rich.live', 'asyncio') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


def test_an_interrupted_command_is_130_without_a_traceback(tmp_path: Path) -> None:
    log = tmp_path / "events.log"
    log.write_bytes(lines(*a_life()))
    with start("tail", "--follow", log) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        said = process.stdout.read()
    assert process.returncode == 130
    assert b"Traceback" not in said


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    log = tmp_path / "events.log"
    log.write_bytes(lines(*a_life()) * 5000)
    with subprocess.Popen(
        [sys.executable, "-m", "clues", "tail", "--all", str(log)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
    assert (process.returncode, said) == (0, b"")


def test_a_closed_standard_output_is_survived(tmp_path: Path) -> None:
    log = tmp_path / "events.log"
    log.write_bytes(lines(*a_life()))
    found = subprocess.run(
        ["/bin/sh", "-c", 'exec "$0" -m clues tail "$1" >&-', sys.executable, str(log)],
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )
    assert (found.returncode, found.stderr) == (0, "")


def test_an_encoding_that_lacks_characters_is_survived(tmp_path: Path) -> None:
    log = tmp_path / "events.log"
    log.write_bytes(lines(*a_life(name="Zoë 東")))
    found = clues("tail", log, environ={"PYTHONIOENCODING": "ascii", "PATH": os.environ["PATH"]})
    assert found.returncode == 0
    assert "Zo\\xeb" in found.stdout


def test_a_full_disk_behind_standard_output_is_told_in_one_line(tmp_path: Path) -> None:
    log = tmp_path / "events.log"
    log.write_bytes(lines(*a_life()))
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*COMMAND, "tail", log], stdout=full, stderr=subprocess.PIPE, text=True, env=environment(), check=False
        )
    assert done.returncode == 1
    assert done.stderr.startswith("clues: error:")
    assert "No space left" in done.stderr
    assert done.stderr.count("\n") == 1
