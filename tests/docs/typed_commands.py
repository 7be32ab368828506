"""The ``clues`` commands in a text, and what is wrong with them by the commands that there are."""

from __future__ import annotations

import functools
import re
import shlex
from collections.abc import Iterator

from docs.reference_source.commands import Command, commands

_SEPARATORS = set("|&;()<>")
_BEFORE = re.compile(r"[A-Z_][A-Z0-9_]*=|(?:sudo|exec|then|do|&&|\|\||\$|!|time|notify)$")


@functools.cache
def known() -> dict[str, Command]:
    """The commands by their words after ``clues``."""
    return {one.name: one for one in commands()}


def typed(text: str) -> Iterator[list[str]]:
    """The words after ``clues`` of each command in a shell's text; lines that a shell can't read are none of ours."""
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;()<>`")
        lexer.whitespace_split = True
        lexer.commenters = "#"
        try:
            words = list(lexer)
        except ValueError:
            continue
        yield from _commands(words)


def _commands(words: list[str]) -> Iterator[list[str]]:
    found: list[str] | None = None
    begins = True
    for word in words:
        if word and set(word) <= _SEPARATORS | {"`"}:
            if found is not None:
                yield found
            found, begins = None, True
        elif found is not None:
            found.append(word)
        elif begins and word == "clues":
            found = []
        elif not _BEFORE.match(word):
            begins = False
    if found is not None:
        yield found


def mistakes(words: list[str]) -> Iterator[str]:
    """What is wrong with a command: no such command, or option."""
    name = next((name for size in (2, 1) if (name := " ".join(words[:size])) in known()), "")
    if not name:
        if words and words[0] not in {"--help", "--version", "COMMAND", "…"}:
            yield f"no command: clues {' '.join(words)}"
        return
    one = known()[name]
    rest = words[len(name.split()) :]
    if one.is_group:
        if rest and not rest[0].startswith("-") and "|" not in rest[0] and rest[0] != "…":
            yield f"no command: clues {' '.join(words)}"
        return
    names = {option for parameter in one.parameters if parameter.is_option for option in parameter.names}
    for word in rest:
        if word == "--":
            return
        option = word.partition("=")[0]
        if option.startswith("--") and option not in names | {"--help"}:
            yield f"clues {name} has no option {option}"
