"""The README's own snippets, run as a reader would: in order, in one folder, against a real Redis."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.docs.reading import Reader
from tests.docs.snippets import snippets

ROOT = Path(__file__).parents[1]
CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)  # has brackets, but no links


@pytest.mark.usefixtures("duckdb")
def test_snippets(tmp_path: Path, redis_url: str) -> None:
    """What it tells one to do is done, and then the log has all that it speaks of."""
    with Reader(tmp_path, redis_url, snippets("README.md")) as reader:
        assert reader.read() >= 5
    events = [json.loads(line) for line in (tmp_path / "events.log").read_text().splitlines()]
    told = {event["event_type"] for event in events}
    assert told >= {"enqueued", "dequeued", "perform_started", "perform_finished", "failed"}
    assert all(event["metadata"]["customer_id"] == 4711 for event in events if event["event_type"] == "failed")


def test_event_example_is_an_event() -> None:
    """The event that the README shows has the shape and key order of the real ones."""
    (example,) = (json.loads(one.text) for one in snippets("README.md") if one.language == "json")
    assert list(example) == ["event_type", "timestamp", "queue", "metadata", "worker_class", "args"]


def test_commands_are_targets() -> None:
    """Every `make` that the README names is a target."""
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make (\w+)", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert named <= targets
    assert {"demo", "test", "check", "bench"} <= named


def test_links_lead_somewhere() -> None:
    """Every relative link of the README and the docs names a file of the checkout."""
    pages = [ROOT / "README.md", ROOT / "publishers" / "README.md", *(ROOT / "docs").rglob("*.md")]
    texts = {page: CODE.sub("", page.read_text()) for page in pages}
    links = [(page, target) for page, text in texts.items() for target in re.findall(r"\]\(([^)#]+)\)", text)]
    assert len(links) > 50
    for page, target in links:
        assert target.startswith("http") or (page.parent / target).exists(), f"{page.name}: {target}"
