"""All pages that are made of the code, by their names in docs/reference."""

from __future__ import annotations

from collections.abc import Iterator

from docs.reference_source import commands, configuration, events, metrics


def pages() -> Iterator[tuple[str, str]]:
    """Each page's name and text."""
    yield "configuration.md", configuration.page()
    yield "events.md", events.page()
    yield "metrics.md", metrics.page()
    yield "command-line.md", commands.page()
