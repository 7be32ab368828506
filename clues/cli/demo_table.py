"""The demo's figures by class, as a table and as a line."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from clues.analysis.stats import ClassStats, Stats
from clues.cli.output import clean
from clues.cli.words import STYLES, seconds

_COUNTS = ("waiting", "running", "finished", "failed")


def table(stats: Stats) -> Table:
    """What waits, runs, finished and failed, and how long it took, by class and in all."""
    found = Table(box=None, padding=(0, 1, 0, 0), show_footer=True, header_style="dim", footer_style="bold")
    total = stats.total
    found.add_column("\nclass", footer="all", style="bold", no_wrap=True, min_width=16)
    for name in _COUNTS:
        found.add_column(f"\n{name}", footer=_count(name, total), justify="right", no_wrap=True)
    for head, value in zip(("queue\np50", "time\np95", "run\np50", "time\np95"), _times(total), strict=True):
        found.add_column(head, footer=value, justify="right", no_wrap=True, min_width=6)
    for name, its in sorted(stats.by_class.items()):
        found.add_row(clean(name), *(_count(count, its) for count in _COUNTS), *_times(its))
    return found


def figures(stats: Stats, now: float) -> Text:
    """``14.2 jobs/s  143 finished  9 failed  12 waiting  2 running``."""
    total = stats.total
    parts = [Text(f"{stats.throughput(now):5.1f} jobs/s", style="bold")]
    parts += [Text.assemble(_count(name, total), f" {name}") for name in ("finished", "failed", "waiting", "running")]
    return Text("  ").join(parts)


def _count(name: str, stats: ClassStats) -> Text:
    number = int(getattr(stats, name))
    return Text(f"{number:,}", style=STYLES[name] if number else "dim")


def _times(stats: ClassStats) -> list[str]:
    return [
        seconds(values.percentile(percent)) for values in (stats.queue_times, stats.run_times) for percent in (50, 95)
    ]
