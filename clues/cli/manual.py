"""What a command's help says after its options: examples, notes, environment, files, exit status, as a manual does."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup

from clues.variables import VARIABLES

BEGIN = "Begin"
WORK = "Work jobs"
NOW = "Look at Redis: what is"
THEN = "Look at event logs: what was"
DELIVER = "Deliver events"

DEFAULT_LOG = {"CLUES_PUBLISHERS": "the log of its first `log://` is read where no FILE is named"}

_WIDEST = 100
_ALWAYS = {0: "fine", 2: "mistaken usage or settings", 130: "interrupted"}


def variables(*names: str) -> dict[str, str]:
    """Variables, and what they mean."""
    return {name: VARIABLES[name] for name in names}


@dataclass(frozen=True, slots=True)
class Manual:
    """The rest of a command's help.

    Attributes:
        examples: command lines.
        notes: paragraphs; those whose lines begin with a space stay as they are.
        environment: the variables that it reads, but for those of its options, and what they mean.
        files: what it reads or writes without being told, by its name.
        exit_status: what the numbers mean that are not `_ALWAYS` so: 1, as a rule.
    """

    examples: tuple[str, ...]
    notes: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    exit_status: Mapping[int, str] = field(default_factory=dict)

    @property
    def statuses(self) -> dict[int, str]:
        """What each exit status means."""
        return dict(sorted((_ALWAYS | dict(self.exit_status)).items()))

    def parts(self) -> Iterator[tuple[str, Mapping[str, str]]]:
        """The lists of names and what they mean, by their headings; those that are not empty."""
        yield "Environment", self.environment
        yield "Files", self.files
        yield "Exit status", {str(number): text for number, text in self.statuses.items()}

    def text(self, width: int) -> str:
        """All of it, for a terminal of so many columns."""
        blocks = ["\n".join(["Examples:", *(f"  {example}" for example in self.examples)])]
        blocks += _paragraphs(self.notes, width)
        for heading, found in self.parts():
            if found:
                blocks.append(f"{heading}:\n{_listed(found, width)}")
        return textwrap.indent("\n\n".join(blocks), " ") + "\n"


def _paragraphs(notes: str, width: int) -> Iterator[str]:
    for paragraph in filter(None, notes.strip("\n").split("\n\n")):
        as_it_is = paragraph.startswith(" ")
        yield paragraph if as_it_is else textwrap.fill(paragraph, width - 2, break_on_hyphens=False)


def _listed(found: Mapping[str, str], width: int) -> str:
    """Names in a column, and beside it what they mean."""
    column = min(max(map(len, found)), 28) + 4
    lines = []
    for name, told in found.items():
        head = f"  {name}".ljust(column)
        lines.append(
            textwrap.fill(
                f"{head}{' ' if len(head) > column else ''}{told.replace('`', '')}",
                width - 2,
                subsequent_indent=" " * column,
                break_on_hyphens=False,
                drop_whitespace=True,
            )
        )
    return "\n".join(lines)


class _Command(TyperCommand):
    manual: ClassVar[Manual]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """As ever, and then the manual."""
        super().format_help(ctx, formatter)
        _write(self.manual, formatter)


class _Group(TyperGroup):
    manual: ClassVar[Manual]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """As ever, and then the manual."""
        super().format_help(ctx, formatter)
        _write(self.manual, formatter)


def _write(manual: Manual, formatter: Any) -> None:
    """After what Typer has printed already, with rich, or has written there, without."""
    text = manual.text(min(shutil.get_terminal_size().columns, _WIDEST))
    if formatter.getvalue():
        formatter.write(f"\n{text}")
    else:
        typer.echo(text, nl=False)


def command(
    app: typer.Typer, function: Callable[..., None], manual: Manual, group: str = "", *, name: str = ""
) -> None:
    """Add a command with its manual.

    Args:
        app: to which.
        function: what it does; its docstring is its first line of help.
        manual: the rest.
        group: the heading that it stands under.
        name: its name, if that is not the function's.
    """
    kind = type("Command", (_Command,), {"manual": manual})
    app.command(name or None, cls=kind, rich_help_panel=group or None)(function)


def group_of(manual: Manual) -> type[TyperGroup]:
    """The class of a group of commands with this manual."""
    return type("Group", (_Group,), {"manual": manual})
