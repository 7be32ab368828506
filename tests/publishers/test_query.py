"""Options in publishers' URLs."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from clues.errors import ConfigError
from clues.publishers.query import Reader, flag, names, number, options_of, seconds, text, text_or_none, whole

KNOWN: dict[str, Reader] = {
    "dated": flag,
    "events": names,
    "key": text_or_none,
    "mtu": whole,
    "sample": number,
    "spool": text,
    "timeout": seconds,
}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", {}),
        ("spool=/var/spool/a%20b&mtu=1432", {"spool": "/var/spool/a b", "mtu": 1432}),
        ("sample=0.1&timeout=2.5", {"sample": 0.1, "timeout": 2.5}),
        ("dated=Yes", {"dated": True}),
        ("dated=off", {"dated": False}),
        ("events=failed,%20enqueued,", {"events": ["failed", "enqueued"]}),
        ("spool=a&spool=b", {"spool": "b"}),
        ("spool=&mtu=&dated=", {}),
        ("key=", {"key": None}),
    ],
)
def test_options_are_read(query: str, found: dict[str, object]) -> None:
    """An empty one is as good as left out, but where None is a choice of its own."""
    assert options_of(urlsplit(f"x://h?{query}"), KNOWN) == found


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("odd=1&older=2&mtu=3", "x:// knows no option odd, older"),
        ("mtu=many", "mtu must be a whole number, not 'many'"),
        ("sample=half", "sample must be a number, not 'half'"),
        ("timeout=soon", "timeout must be a number of seconds, not 'soon'"),
        ("dated=perhaps", "dated must be true or false, not 'perhaps'"),
    ],
)
def test_a_mistaken_one_is_named(query: str, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        options_of(urlsplit(f"x://h?{query}"), KNOWN)
    assert str(raised.value) == f"CLUES_PUBLISHERS: {said}"
