"""The page of the command line: each command with its options, examples, variables, files, exit status."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args, get_type_hints

import typer
from typer.models import ArgumentInfo, OptionInfo, ParameterInfo

from clues.cli.app import app
from clues.cli.manual import Manual
from docs.reference_source.docstrings import summary
from docs.reference_source.markdown import code, escaped, fence, table, whole

_INTRO = """
What `clues COMMAND --help` says, made of the same texts. Options may stand before or after arguments. `clues` stands
for `python -m clues`, too; [`manage.py clues`](../initializers.md#django) and
[`flask clues`](../initializers.md#flask) are the same with the application loaded.
"""


@dataclass(frozen=True)
class Parameter:
    """An option or an argument.

    Attributes:
        names: how it is written: ``--follow``, ``-f``, ``--no-follow``; an argument's metavar.
        value: what follows it, in one word; empty for a flag.
        is_required: whether it must be there.
        is_repeatable: whether it may be there several times.
        default: its default in words; empty if that says nothing.
        variables: the variables that it is read from otherwise.
        about: what it says.
        is_option: whether it begins with a dash.
    """

    names: tuple[str, ...]
    value: str
    is_required: bool
    is_repeatable: bool
    default: str
    variables: tuple[str, ...]
    about: str
    is_option: bool


@dataclass(frozen=True)
class Command:
    """A command.

    Attributes:
        name: its words after ``clues``.
        summary: its first line of help.
        group: the heading that it stands under.
        manual: what its help says after its options.
        parameters: arguments, then options.
        is_group: whether further words follow.
    """

    name: str
    summary: str
    group: str
    manual: Manual
    parameters: tuple[Parameter, ...]
    is_group: bool = False


def commands(of: typer.Typer = app, before: str = "", group: str = "") -> Iterator[Command]:
    """All commands, those of groups after their group."""
    for one in of.registered_commands:
        function, kind = one.callback, one.cls
        assert function is not None
        name = f"{before}{one.name or function.__name__.replace('_', '-')}"
        heading = group or str(one.rich_help_panel)
        yield Command(name, summary(function), heading, kind.manual, tuple(_parameters(function)))  # type: ignore[union-attr]
    for inner in of.registered_groups:
        part = inner.typer_instance
        assert part is not None
        name, heading = f"{before}{inner.name}", str(inner.rich_help_panel)
        yield Command(name, str(inner.help), heading, part.info.cls.manual, (), is_group=True)  # type: ignore[union-attr]
        yield from commands(part, f"{name} ", heading)


def _parameters(function: Any) -> Iterator[Parameter]:
    hints = get_type_hints(function, include_extras=True)
    found = [_parameter(name, hints[name], one.default) for name, one in inspect.signature(function).parameters.items()]
    yield from sorted(found, key=lambda parameter: parameter.is_option)


def _parameter(name: str, hint: Any, default: object) -> Parameter:
    kind, info = get_args(hint)
    assert isinstance(info, ParameterInfo)
    is_option = isinstance(info, OptionInfo)
    is_flag = bool in {kind, *get_args(kind)}
    first = (info.default,) if isinstance(info.default, str) and info.default.startswith("-") else ()
    declared = (*first, *(info.param_decls or ()))
    spelled = tuple(part for one in declared for part in one.split("/"))
    if is_option and not spelled:
        word = name.replace("_", "-")
        spelled = (f"--{word}", f"--no-{word}") if is_flag else (f"--{word}",)
    metavar = str(info.metavar or ("" if is_flag else name.upper()))
    is_many = any(getattr(part, "__origin__", None) is list for part in (kind, *get_args(kind)))
    shown = "" if default in {None, False, "", inspect.Parameter.empty} or default == () else str(default)
    variables = (info.envvar,) if isinstance(info.envvar, str) else tuple(info.envvar or ())
    return Parameter(
        names=spelled if is_option else (metavar,),
        value="" if is_flag else metavar,
        is_required=default is inspect.Parameter.empty and not variables,
        is_repeatable=is_many,
        default=shown,
        variables=variables,
        about=str(info.help or ""),
        is_option=is_option and not isinstance(info, ArgumentInfo),
    )


def page() -> str:
    """The page."""
    return whole("The command line", "the commands in clues/cli", *_blocks())


def _blocks() -> Iterator[str]:
    every = list(commands())
    groups = dict.fromkeys(one.group for one in every)
    yield _INTRO
    yield "Exit status, if nothing else is said:"
    yield "\n".join(f"- {number}: {text}" for number, text in every[0].manual.statuses.items() if number != 1)
    yield "Most also have 1, which each command explains."
    for group in groups:
        yield f"## {group}"
        for one in every:
            if one.group == group:
                yield from _command(one)


def _command(one: Command) -> Iterator[str]:
    yield f"{'####' if ' ' in one.name else '###'} `clues {one.name}`"
    yield one.summary
    yield fence("sh", "\n".join(one.manual.examples))
    if one.parameters:
        yield table(("", "", "default", ""), map(_row, one.parameters))
    yield from _notes(one.manual.notes)
    for heading, found in one.manual.parts():
        if found and heading != "Exit status":
            yield f"{heading}:"
            yield "\n".join(f"- {code(name)}: {text}" for name, text in found.items())
    told = one.manual.exit_status
    if told:
        yield f"Exit status: {', '.join(f'{number} {text}' for number, text in sorted(told.items()))}."


def _row(one: Parameter) -> tuple[str, str, str, str]:
    notes = [
        "required" if one.is_required else "",
        "may be repeated" if one.is_repeatable else "",
        f"else {' or '.join(map(code, one.variables))}" if one.variables else "",
    ]
    about = "; ".join(filter(None, [escaped(one.about.rstrip(".")), *notes]))
    return ", ".join(map(code, one.names)), code(one.value) if one.is_option else "", code(one.default), about


def _notes(notes: str) -> Iterator[str]:
    for paragraph in filter(None, notes.strip("\n").split("\n\n")):
        is_figure = paragraph.startswith(" ")
        yield fence("text", inspect.cleandoc(paragraph)) if is_figure else escaped(" ".join(paragraph.split()))
