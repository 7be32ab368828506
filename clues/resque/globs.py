"""Queue patterns: Ruby's File.fnmatch as a regular expression.

A star also matches ``/``; neither star, question mark nor bracket matches a dot in front; a backslash takes the next
character as it is; braces mean nothing.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

WILDCARDS = frozenset("*?{}[]")
"""Any of these makes Resque treat all of a worker's queues as patterns."""

_NEVER = "(?!)"


def is_pattern(name: str) -> bool:
    """Tell whether Resque takes a queue name as a pattern."""
    return not WILDCARDS.isdisjoint(name)


@lru_cache(maxsize=1024)
def compiled(pattern: str) -> re.Pattern[str]:
    """Translate a pattern; use the result's fullmatch."""
    parts = [] if pattern.startswith((".", "\\.")) else [r"(?!\.)"]
    at = 0
    while at < len(pattern):
        part, at = _translate(pattern, at)
        parts.append(part)
    return re.compile("".join(parts), re.DOTALL)


def _translate(pattern: str, at: int) -> tuple[str, int]:
    """Translate what stands at `at`; answer it and where the rest begins."""
    match pattern[at]:
        case "*":
            return ".*", at + 1
        case "?":
            return ".", at + 1
        case "[":
            return _bracket(pattern, at + 1)
    character, at = _literal(pattern, at)
    return re.escape(character), at


def _literal(pattern: str, at: int) -> tuple[str, int]:
    """Read one character, behind a backslash if there is one; a backslash that ends the pattern is nothing."""
    if pattern[at] == "\\":
        at += 1
    return pattern[at : at + 1], at + 1


class _Choice(NamedTuple):
    first: str
    last: str

    def regex(self) -> str:
        """Write it for a character class; both ends always match, even of a range that runs backwards."""
        ends = f"{re.escape(self.first)}{re.escape(self.last)}"
        if self.first < self.last:
            return f"{ends}{re.escape(self.first)}-{re.escape(self.last)}"
        return ends


def _bracket(pattern: str, at: int) -> tuple[str, int]:
    """Translate from behind a ``[``; one that is never closed matches nothing."""
    negated = pattern[at : at + 1] in {"!", "^"}
    at += negated
    choices: list[_Choice] = []
    while at < len(pattern) and pattern[at] != "]":
        choice, at = _choice(pattern, at)
        choices.append(choice)
    if at >= len(pattern):
        return _NEVER, len(pattern)
    if not choices:
        return ("." if negated else _NEVER), at + 1
    return f"[{'^' if negated else ''}{''.join(choice.regex() for choice in choices)}]", at + 1


def _choice(pattern: str, at: int) -> tuple[_Choice, int]:
    first, at = _literal(pattern, at)
    if pattern[at : at + 1] == "-" and at + 1 < len(pattern) and pattern[at + 1] != "]":
        last, at = _literal(pattern, at + 1)
        return _Choice(first, last), at
    return _Choice(first, first), at
