"""The demo's end: what came of it, and what to try next."""

from __future__ import annotations

import importlib.util
import shlex
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from clues.analysis.facts import hash_of
from clues.cli.demo_table import table
from clues.cli.words import error_text, short
from clues.demo.session import Outcome
from clues.event import Event

_INITIALIZER = [
    Text("import clues"),
    Text("from clues.publishers import LogPublisher"),
    Text("clues.configure("),
    Text('    publisher=LogPublisher("/var/log/clues.log"),'),
    Text(")"),
]


def print_summary(outcome: Outcome, console: Console) -> None:
    """Figures by outcome and class, commands to run next, and the lines for one's own initializer."""
    console.print(Text(), _headline(outcome), Text(), sep="\n")
    console.print(Padding.indent(table(outcome.stats), 2), soft_wrap=False)
    if outcome.failure is not None:
        console.print(_section("One that failed", [_failed(outcome.failure)]))
    console.print(_section("Try next", _commands(outcome)))
    console.print(_section("The same for your own jobs, in your application's initializer", _INITIALIZER))


def _section(heading: str, lines: Iterable[Text]) -> Text:
    indented = (Text.assemble("    ", line) for line in lines)
    return Text("\n").join([Text(), Text(f"  {heading}", style="bold"), *indented])


def _headline(outcome: Outcome) -> Text:
    total = outcome.stats.total
    text = Text.assemble(
        "  ",
        (f"{total.enqueued:,} jobs in {outcome.elapsed:.0f} seconds", "bold"),
        ": ",
        (f"{total.finished:,} finished", "green"),
        ", ",
        (f"{total.failed:,} failed", "red" if total.failed else "dim"),
    )
    if outcome.unfinished > 0:
        text.append(f", {outcome.unfinished:,} not worked any more", style="yellow")
    text.append(" (interrupted)" if outcome.interrupted else "", style="yellow")
    return text


def _failed(event: Event) -> Text:
    metadata = event.metadata
    return Text.assemble(
        (str(event.worker_class), "bold"),
        "  ",
        (short(hash_of(event)), "dim"),
        "  ",
        error_text(metadata.get("_exception"), metadata.get("_message")),
    )


def _commands(outcome: Outcome) -> list[Text]:
    clues, log = invocation(), _shell(outcome.events)
    found: list[tuple[str, str]] = []
    if outcome.failure is not None:
        found.append((f"{clues} trace {short(hash_of(outcome.failure))} {log}", "the failed job's story"))
    if outcome.import_job is not None:
        found.append((f"{clues} trace {short(hash_of(outcome.import_job))} {log}", "a job that enqueued others"))
    found += [
        (f"{clues} tail --type failed {log}", "the last failures"),
        (f"{clues} report {log}", f"percentiles, the slowest, failures{_needed()}"),
        (f"less {log}", "all events, one JSON object a line"),
    ]
    if outcome.former is not None:
        found.append((f"less {_shell(outcome.former)}", "those of the run before"))
    return [line for command, what in found for line in (Text(f"# {what}", style="dim"), Text(command, style="cyan"))]


def _needed() -> str:
    """What `clues report` still needs, in words."""
    return "" if importlib.util.find_spec("duckdb") else "; needs pip install 'clues[analysis]'"


def invocation() -> str:
    """How the reader can call ``clues``: as they did, so that the commands can be pasted."""
    given = Path(sys.argv[0])
    if given.name != "clues":
        return f"{_shell(Path(sys.executable))} -m clues"
    on_path = shutil.which("clues")
    if on_path is not None and Path(on_path).resolve() == given.resolve():
        return "clues"
    return _shell(given)


def _shell(path: Path) -> str:
    """A path for pasting: relative if that is shorter to read, quoted if need be."""
    here = Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))
