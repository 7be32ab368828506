"""``clues report``."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from clues.event import Event
from tests.analysis.made import START, a_life, event, lines
from tests.analysis.many import lines as many
from tests.cli.running import clues
from tests.requirements import lacking

pytestmark = pytest.mark.usefixtures("duckdb")

HOSTILE = (
    '</script><script>document.title="owned"</script><img src=x onerror=document.title="owned">\x1b]0;x\x07|`*\u2028'
)


def hostile_events() -> list[Event]:
    """Events with hostile text wherever text can be."""
    common: dict[str, Any] = {"queue": HOSTILE, "worker_class": HOSTILE, "_hostname": HOSTILE, HOSTILE: HOSTILE}
    failed: dict[str, Any] = {"_exception": HOSTILE, "_message": HOSTILE, "_reason": HOSTILE, "_system": HOSTILE}
    return [
        event("enqueued", 0, **common),
        event("started", 1, _time_in_queue=1.0, **common),
        event("failed", 2, _time_in_queue=1.0, _time_to_perform=1.0, _retrying=True, **failed, **common),
        event("enqueued", 3, event_hash=HOSTILE[:90], **common),
    ]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "events.log"
    path.write_bytes(b"".join(many(3_000)) + b"garbage\n")
    return path


def test_text(log: Path) -> None:
    done = clues("report", log)
    assert done.returncode == 0
    for heading in (
        "Over time",
        "Classes",
        "Queues",
        "Failures",
        "Slowest",
        "Retries",
        "Gaps",
        "Workers",
        "Lines that were no events",
    ):
        assert f"\n{heading}  " in done.stdout
    assert "PdfGeneration" in done.stdout
    assert "were no events" in done.stderr


def test_markdown(log: Path) -> None:
    text = clues("report", log, "--markdown").stdout
    assert text.startswith("# Jobs\n")
    assert re.search(r"\| PdfGeneration \| [\d,]+ \|", text)
    tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert len(tables) > 5
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}) == 1


def test_json_and_the_choice(log: Path) -> None:
    told = json.loads(clues("report", log, "--json", "--queue", "mail*", "--class", "SendWelcome", "--top", "3").stdout)
    assert [row["worker_class"] for row in told["classes"]] == ["SendWelcome"]
    assert [row["queue"] for row in told["queues"]] == ["mailers"]
    assert len(told["slowest"]) == 3
    assert told["read"]["bad_lines"] == 4
    celery = json.loads(clues("report", log, "--json", "--system", "celery").stdout)["total"]
    rest = json.loads(clues("report", log, "--json", "--system", "resque").stdout)["total"]
    both = json.loads(clues("report", log, "--json").stdout)["total"]
    assert celery["attempts"] + rest["attempts"] == both["attempts"]
    assert 0 < celery["attempts"] < rest["attempts"]


def test_the_time(tmp_path: Path) -> None:
    """An attempt belongs to the time of its last event."""
    log = tmp_path / "x.log"
    log.write_bytes(lines(*a_life(), event("enqueued", 100, event_hash="b" * 32)))
    for option, jobs in (("--since", 1), ("--until", 1)):
        told = json.loads(clues("report", log, "--json", option, "2020-09-13T12:27:00Z").stdout)
        assert told["total"]["attempts"] == jobs
        assert told["total"]["finished"] == (option == "--until")


@pytest.mark.parametrize("form", [["--json"], ["--markdown"], ["--html", "r.html"], []])
def test_nothing_happened(form: list[str], tmp_path: Path) -> None:
    (tmp_path / "empty.log").touch()
    done = clues("report", "empty.log", *form, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_no_log(tmp_path: Path) -> None:
    assert clues("report", tmp_path / "missing.log").returncode == 1
    assert clues("report").returncode == 2


def test_one_form_at_a_time(log: Path) -> None:
    assert clues("report", log, "--json", "--markdown").returncode == 2


# the page


@pytest.fixture(scope="module")
def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    return found or lacking("chromium", "no Chromium on PATH")


def browse(chromium: str, page: Path, *options: str) -> str:
    """The page as it is when its scripts have run."""
    done = subprocess.run(
        [
            chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            "--enable-logging=stderr",
            f"--user-data-dir={page.parent / 'profile'}", "--virtual-time-budget=3000", *options, page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )  # fmt: skip
    assert "CONSOLE" not in done.stderr, done.stderr[-2000:]
    return done.stdout


def page_of(log: Path, tmp_path: Path) -> Path:
    page = tmp_path / "report.html"
    done = clues("report", log, "--html", page)
    assert done.returncode == 0, done.stderr
    return page


def test_the_page_holds_all_it_needs(log: Path, tmp_path: Path) -> None:
    text = page_of(log, tmp_path).read_text()
    assert not re.search(r"<(?:script|img|iframe)[^>]+src=|<link", text)
    assert not re.search(r"[\s\"'(]//[a-z]", re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL))
    assert "default-src 'none'" in text.replace("&#x27;", "'")
    assert "Permission is hereby granted" not in text
    assert "uPlot" in text


def test_charts_are_drawn(log: Path, tmp_path: Path, chromium: str) -> None:
    """Three, and the heat map; nothing is complained of."""
    shown = browse(chromium, page_of(log, tmp_path), "--dump-dom")
    assert shown.count('class="u-over"') == 3
    assert shown.count("<canvas") == 3
    assert '<rect class="h' in shown


def test_hostile_text_runs_nowhere(tmp_path: Path, chromium: str) -> None:
    (tmp_path / "x.log").write_bytes(lines(*hostile_events()) + HOSTILE.encode() + b"\n")
    page = page_of(tmp_path / "x.log", tmp_path)
    assert page.read_text().count("<script") == 3
    shown = browse(chromium, page, "--dump-dom")
    assert "<title>Jobs" in shown
    assert "<img" not in shown
    assert "&lt;/script&gt;&lt;script&gt;document" in shown
    for form in ([], ["--markdown"]):
        text = clues("report", tmp_path / "x.log", *form).stdout
        assert "\x1b" not in text
        assert "document" in text


@pytest.mark.parametrize("width", [390, 1400])
def test_light_and_dark_narrow_and_wide(width: int, log: Path, tmp_path: Path, chromium: str) -> None:
    """Two pictures that differ, neither of them empty."""
    page = page_of(log, tmp_path)
    pictures = []
    for scheme in ("1", "0"):
        picture = tmp_path / f"{scheme}.png"
        options = [f"--blink-settings=preferredColorScheme={scheme}", f"--window-size={width},1200"]
        browse(chromium, page, *options, f"--screenshot={picture}")
        pictures.append(picture.read_bytes())
    assert pictures[0] != pictures[1]
    assert min(map(len, pictures)) > 20_000


def test_a_day_and_a_year(tmp_path: Path) -> None:
    """Never more spans than can be drawn."""
    for days in (1, 400):
        (tmp_path / "x.log").write_bytes(
            lines(
                *(event("finished", n * days * 864, event_hash=f"{n:032x}", _time_to_perform=0.0) for n in range(100))
            )
        )
        told = json.loads(clues("report", tmp_path / "x.log", "--json").stdout)
        assert 1 < len(told["spans"]) <= 120
        assert told["first"].startswith("2020-09-13")
    assert START
