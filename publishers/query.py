"""The options in publishers' URLs."""

from __future__ import annotations

from urllib.parse import parse_qsl

from clues.errors import ConfigError


def query_of(text: str) -> dict[str, str]:
    """A URL's query as a dictionary; of a name that is there twice, the last counts."""
    return dict(parse_qsl(text, keep_blank_values=True))


def refuse_unknown(scheme: str, query: dict[str, str]) -> None:
    """Refuse what is left of a URL's query.

    Raises:
        ConfigError: something is left.
    """
    if query:
        msg = f"CLUES_PUBLISHERS: {scheme}:// knows no option {', '.join(sorted(query))}"
        raise ConfigError(msg)
