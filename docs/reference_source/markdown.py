"""Markdown, as the reference needs it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_SPECIAL = re.compile(r"[*<>\[\]]")
MADE = "<!-- made by `make reference`: change {source}, and nothing here -->"


def whole(title: str, source: str, *blocks: str) -> str:
    """A page, with a word to whoever would edit it."""
    return "\n\n".join([MADE.format(source=source), f"# {title}", *(block.strip("\n") for block in blocks)]) + "\n"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table."""
    lines = [_row(headings), _row(["---"] * len(headings)), *(_row(row) for row in rows)]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|').replace(chr(10), ' ') for cell in cells)} |"


def code(text: object) -> str:
    """A text as code; nothing for nothing."""
    found = str(text)
    return f"`{found}`" if found else ""


def escaped(text: str) -> str:
    """A text in which no character means anything to Markdown, but for what stands in backticks."""
    parts = text.split("`")
    return "`".join(_SPECIAL.sub(r"\\\g<0>", part) if at % 2 == 0 else part for at, part in enumerate(parts))


def fence(language: str, text: str) -> str:
    """A block of code."""
    return f"```{language}\n{text.rstrip()}\n```"


def prose(text: str) -> str:
    """A docstring's text in Markdown, where names stand in double backticks."""
    return " ".join(text.replace("``", "`").split())
