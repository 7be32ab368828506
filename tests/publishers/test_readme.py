"""What publishers/README.md shows, run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import clues.publishers
from clues import config
from clues.lifecycle import Lifecycle
from clues.plugs import publisher_from_url
from tests.stories import live

README = Path(__file__).parents[2] / "publishers" / "README.md"


def snippet(language: str) -> str:
    [found] = re.findall(rf"```{language}\n(.*?)```", README.read_text(), re.DOTALL)
    assert isinstance(found, str)
    return found


def boom() -> None:
    raise ValueError("out of paper")


def test_the_publisher_in_15_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is that short, works beside a log, and is closed."""
    monkeypatch.chdir(tmp_path)
    code = snippet("python")
    assert len([line for line in code.splitlines() if line.strip()]) <= 15
    scope: dict[str, Any] = {}
    exec(code, scope)
    live(Lifecycle(), {"class": "Print", "args": []})
    assert capsys.readouterr().out == ""
    live(Lifecycle(), {"class": "Print", "args": []}, boom)
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith('Print failed: out of paper {"event_type":"failed",')
    assert len((tmp_path / "events.log").read_text().splitlines()) == 8
    found = config.default.config
    assert found is not None
    assert found.faults.counts == {}
    mail = found.publisher.children[1]  # type: ignore[attr-defined]
    config.reset()
    assert mail.send is None


def test_the_table_names_what_there_is() -> None:
    """Every publisher that can be imported, and URLs that work."""
    text = README.read_text()
    for name in clues.publishers.__all__:
        assert f"`{name}(" in text
    for url in re.findall(r"`(noop://|stdout://)`", text):
        assert type(publisher_from_url(url)).__name__ in text
    assert "`log:///var/log/clues.log`" in text
