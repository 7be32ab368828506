"""The snippets of our pages, and what becomes of each.

A fenced block has a language, and that says what is done with it:

==================  ====================================================================================================
``python``          run, in the order of the page, all in one folder; one whose first line names a file
                    (``# shop.py``) is written to that file, and run too unless a later block speaks of it
``console``         the lines that begin with ``$`` are run by bash; the others are what it prints
``sh``              checked: bash can read it, and its ``clues`` commands have these options
``json toml yaml``  parsed, and written where the first line names a file (``# clues.yaml``); ``ini`` too
others              shown
==================  ====================================================================================================

What can't be run as it stands says so in a comment before the block, which no reader sees:

=================================  =====================================================================================
``<!-- not run: why -->``          checked: Python compiles and imports names that are, commands have these options
``<!-- tried by tests/x.py -->``   the same; another test runs it, and names the page
``<!-- with celery-newest -->``    Python is run in this environment of `tests.conformance.environments`
``<!-- in the background -->``     started, and ended with the page
``<!-- until: text -->``           repeated until its output has this text
=================================  =====================================================================================
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "dashboards/*.md", "docs/**/*.md", "examples/**/*.md", "publishers/*.md")
    for page in ROOT.glob(pattern)
)
"""The pages, as the site has them."""

RUN = {"console", "python"}
DATA = {"ini", "json", "toml", "yaml"}
SHOWN = {"{eval-rst}", "js", "nginx", "sql", "text"}
_MARK = re.compile(r"<!-- (not run: |tried by |with |until: |in the background)(.*?) ?-->")
_NAMED = re.compile(r"# (?P<path>[\w.-]+(?:/[\w.-]+)*\.(?:cfg|conf|ini|py|toml|ya?ml))(?:[:;,] .*)?\n")


@dataclass(frozen=True)
class Snippet:
    """A fenced block of a page.

    Attributes:
        page: where it stands, from the top.
        line: and in which line, from 1.
        language: what the fence says; empty if nothing, ``indented`` if there is no fence.
        text: what it holds.
        mark: what the comment before it says is to be done: ``not run``, ``tried by``, ``with``, ``until``,
            ``in the background``, or nothing.
        what: what the mark speaks of: the reason, the test, the environment, the text.
    """

    page: str
    line: int
    language: str
    text: str
    mark: str = ""
    what: str = ""

    @property
    def file(self) -> str:
        """The file that it is to be written to, or nothing."""
        found = _NAMED.match(self.text) if self.language in DATA | {"python"} else None
        return found["path"] if found else ""

    @property
    def is_left(self) -> bool:
        """Whether it is checked alone."""
        return self.mark in {"not run", "tried by"}

    @property
    def is_run(self) -> bool:
        """Whether a reader runs it."""
        return self.language in RUN and not self.is_left

    @property
    def commands(self) -> str:
        """What is to be typed, of a console; a line that ends with a backslash goes on."""
        if self.language != "console":
            return self.text
        lines = self.text.splitlines()
        typed, going_on = [], False
        for line in lines:
            if line.startswith("$ ") or going_on:
                typed.append(line.removeprefix("$ "))
                going_on = line.endswith("\\")
        return "\n".join(typed or lines)  # without any $, all is to be typed

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def snippets(page: str, text: str | None = None) -> list[Snippet]:
    """All of a page.

    Args:
        page: where it stands, from the top.
        text: what it holds, if not what the file does.
    """
    found: list[Snippet] = []
    mark = what = ""
    for token in MarkdownIt().parse((ROOT / page).read_text() if text is None else text):
        if token.type == "html_block" and (comment := _MARK.match(token.content)):
            mark, what = comment[1].rstrip(": "), comment[2]
            continue
        if token.type in {"fence", "code_block"}:
            language = token.info.partition(" ")[0] if token.type == "fence" else "indented"
            assert token.map is not None
            found.append(Snippet(page, token.map[0] + 1, language, token.content, mark, what))
        mark = what = ""
    return found
