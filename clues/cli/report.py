"""``clues report``: what happened, in figures, tables and charts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clues.cli.manual import DEFAULT_LOG, THEN, Manual, command, variables
from clues.cli.reading import Classes, Files, Memory, Queues, Rotated, Since, Systems, Until

if TYPE_CHECKING:
    from clues.analysis.report import Report

_MANUAL = Manual(
    (
        "clues report",
        "clues report --since 24h --queue mailers /var/log/clues.log --rotated",
        "clues report 'logs/*.gz' --html report.html",
        'clues report --markdown >> "$GITHUB_STEP_SUMMARY"',
    ),
    notes="The HTML file holds all that it needs: it works offline, and can be mailed.",
    environment=DEFAULT_LOG | variables("NO_COLOR"),
    exit_status={1: "a file can't be read"},
)

_SPANS_OF_TEXT = 24


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, report, _MANUAL, THEN)


def report(
    files: Files = None,
    *,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write one self-contained page with charts.")
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The figures as one JSON object.")] = False,
    since: Since = None,
    until: Until = None,
    queues: Queues = None,
    classes: Classes = None,
    systems: Systems = None,
    top: Annotated[int, typer.Option(metavar="N", min=1, help="Rows of lists that could be endless.")] = 20,
    rotated: Rotated = False,
    memory: Memory = "2GB",
) -> None:
    """Tell what happened: percentiles, slowest, failures, gaps."""
    from clues.analysis.needs import needs
    from clues.analysis.report import gathering
    from clues.analysis.report import report as made
    from clues.cli.output import quiet_pipe, say
    from clues.cli.query_errors import explained
    from clues.cli.reading import chosen, files_to_read, loaded, tell_what_was_read

    if sum((html is not None, markdown, as_json)) > 1:
        msg = "choose one of --html, --markdown and --json"
        raise typer.BadParameter(msg)
    choice = chosen(since, until, queues, classes, systems)
    paths = files_to_read(files, rotated=rotated)
    with explained(), loaded(paths, needs(gathering(choice)), memory) as database:
        found = made(database, choice, top=top, **({} if html or as_json else {"spans": _SPANS_OF_TEXT}))
    if html is not None:
        _write_page(found, html)
        tell_what_was_read(found.read)
        say(f"wrote {html}")
        return
    with quiet_pipe():
        _print(found, markdown=markdown, as_json=as_json)


def _write_page(found: Report, target: Path) -> None:
    from clues.cli.report_page import page

    target.write_text(page(found), encoding="utf-8", errors="backslashreplace")


def _print(found: Report, *, markdown: bool, as_json: bool) -> None:
    if as_json:
        import json

        from clues.cli.output import clean_json

        text = json.dumps(found.as_dict(), indent=2, ensure_ascii=False, default=str)
        print(clean_json(text))
    elif markdown:
        from clues.cli.report_markdown import markdown_text

        print(markdown_text(found), end="")
    else:
        from clues.cli.reading import tell_what_was_read
        from clues.cli.report_text import print_report

        tell_what_was_read(found.read)
        print_report(found)
