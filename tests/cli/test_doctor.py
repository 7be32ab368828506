"""``clues doctor`` on an application, and on event logs; what it says of the spool is in test_ship.py."""

from __future__ import annotations

import json
from pathlib import Path

from clues.config import Config, Settings
from clues.lifecycle import Lifecycle
from clues.publishers import LogPublisher
from tests.cli.running import clues
from tests.stories import live

APP = """
import clues
from clues.publishers import CompositePublisher, LogPublisher
clues.configure(CompositePublisher(LogPublisher("events.log"), LogPublisher("more.log")))
"""


def written(log: Path, *systems: str | None) -> None:
    """A log with a story of each system."""
    for system in systems:
        live(Lifecycle(Settings(Config(LogPublisher(log))), system=system), {"class": "Job", "args": []})


def test_an_application_and_the_logs_that_it_writes(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(APP)
    written(tmp_path / "events.log", "celery", None, "celery")
    found = clues("doctor", "--app", "shop", "--spool", "none", "--json", cwd=tmp_path)
    told = json.loads(found.stdout)
    assert (found.returncode, told["problems"]) == (0, [])
    assert told["configured"] == {"publisher": "CompositePublisher", "faults": {}}
    assert [(Path(one["log"]).name, one["system"], one["types"]["enqueued"]) for one in told["flow"]] == [
        ("events.log", "celery", 2),
        ("events.log", "resque", 1),
    ]
    shown = clues("doctor", "--app", "shop", "--spool", "none", cwd=tmp_path).stdout
    assert "configured by the application: CompositePublisher" in shown
    assert "2 enqueued" in shown.replace("\n", " ")


def test_the_log_that_the_environment_names(tmp_path: Path) -> None:
    """Once it is there; without a look at the application."""
    environ = {"CLUES_PUBLISHERS": f"noop://,log://{tmp_path}/events.log"}
    found = clues("doctor", "--spool", "none", "--json", environ=environ)
    assert (found.returncode, json.loads(found.stdout)["flow"]) == (0, [])
    written(tmp_path / "events.log", "rq")
    told = json.loads(clues("doctor", "--spool", "none", "--json", environ=environ).stdout)
    assert [(Path(one["log"]).name, one["system"]) for one in told["flow"]] == [("events.log", "rq")]
    mistaken = clues(
        "doctor", "--spool", "none", environ={"CLUES_PUBLISHERS": f"{environ['CLUES_PUBLISHERS']},log://[x"}
    )
    assert "! CLUES_PUBLISHERS: 'log://[x' is not a URL" in mistaken.stdout


def test_an_application_that_does_not_configure_clues(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("")
    found = clues("doctor", "--app", "shop", "--spool", "none", cwd=tmp_path)
    assert found.returncode == 1
    assert "! shop does not configure clues, nor does CLUES_PUBLISHERS" in found.stdout


def test_an_application_that_is_not_there(tmp_path: Path) -> None:
    found = clues("doctor", "--app", "shop", "--spool", "none", cwd=tmp_path)
    assert found.returncode == 1
    assert "there is no module 'shop'" in found.stderr


def test_a_log_that_is_not_there_and_one_of_other_lines(tmp_path: Path) -> None:
    (tmp_path / "other.log").write_text('hello\n{"event_type":\n')
    found = clues("doctor", "--log", "nothing.log", "--log", "other.log", "--spool", "none", cwd=tmp_path)
    assert found.returncode == 1
    assert "! the log nothing.log can't be read: No such file or directory" in found.stdout
    assert "other.log" not in found.stdout


def test_a_log_that_nobody_could_append_to_and_a_misspelt_variable(tmp_path: Path) -> None:
    """Neither is made for that; variables of others that begin alike are none of our business."""
    logs = f"log://{tmp_path}/none/a.log,log://{tmp_path},log://{tmp_path}/fine.log"
    environ = {"CLUES_PUBLISHERS": logs, "CLUES_SPOOLS": "x", "CLUES_ZZZZ": "x"}
    found = clues("doctor", "--spool", "none", "--json", environ=environ, cwd=tmp_path)
    assert json.loads(found.stdout)["problems"] == [
        "CLUES_SPOOLS is no variable of clues; CLUES_SPOOL is",
        f"CLUES_PUBLISHERS: there is no folder {tmp_path}/none for a.log; make it, or choose another path",
        f"CLUES_PUBLISHERS: {tmp_path} is a folder; name a file in it",
    ]
    assert found.returncode == 1
    assert list(tmp_path.iterdir()) == []


def test_who_has_configured_nothing_by_the_environment_is_told_where_to_look(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(APP)
    told = "none in CLUES_PUBLISHERS; see with --app what the application configures"
    assert told in clues("doctor", "--spool", "none", cwd=tmp_path).stdout
    assert "none in CLUES_PUBLISHERS\n" in clues("doctor", "--app", "shop", "--spool", "none", cwd=tmp_path).stdout
