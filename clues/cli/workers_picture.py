"""Workers as people see them: a table with a line for each tree, and one for each of its threads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from rich.table import Table
from rich.text import Text

from clues.cli.output import clean
from clues.cli.tables import on_one_line, plain_table
from clues.cli.words import seconds
from clues.resque.overview import Overview, Tree, WorkerState
from clues.resque.store import shown

_RIGHT = {"for", "beat", "processed", "failed", "memory"}
_CUT = {"queues", "runs"}  # where a terminal is too narrow
_COLUMNS = ("worker", "queues", "runs", "for", "beat", "key", "processed", "failed", "memory", "")
_MINUTE = 60
_MEBIBYTE = 1024 * 1024


def picture(found: Overview) -> Table:
    """All workers; a tree of one worker is one line."""
    rows = plain_table()
    for name in _COLUMNS:
        rows.add_column(name, justify="right" if name in _RIGHT else "left", no_wrap=name not in _CUT)
    for tree in found.trees:
        if len(tree.workers) == 1:
            rows.add_row(_name(tree.first), _queues(tree.first), *_cells(tree.first, found))
        else:
            rows.add_row(_name(tree.first), _queues(tree.first), *_sums(tree))
            for worker in tree.workers:
                rows.add_row(_place(worker), "", *_cells(worker, found))
    return rows


def summary(found: Overview) -> Text:
    """``12 workers, 11 alive, 3 busy``, and what is paused."""
    workers = found.workers
    alive = [worker for worker in workers if worker.alive]
    busy = sum(worker.running is not None for worker in alive)
    number = "1 worker" if len(workers) == 1 else f"{len(workers):,} workers"
    text = Text.assemble((f"{number}, {len(alive):,} alive, {busy:,} busy", "bold"))
    if found.paused.all:
        text.append("  all workers are paused", style="yellow")
    if found.paused.queues:
        text.append(f"  paused: {', '.join(clean(shown(name)) for name in found.paused.queues)}", style="yellow")
    return text


def as_dict(found: Overview) -> dict[str, Any]:
    """The same for programs: seconds, bytes, and None where nobody knows."""
    return {
        "workers": [_worker_dict(worker) for worker in found.workers],
        "paused": {"all": found.paused.all, "queues": [shown(name) for name in found.paused.queues]},
    }


def _worker_dict(worker: WorkerState) -> dict[str, Any]:
    told = asdict(worker) | {"alive": worker.alive}
    return {key: shown(value) if isinstance(value, str) else value for key, value in told.items()}


def _name(worker: WorkerState) -> Text:
    kind = "" if worker.ours else "  Ruby"
    return Text.assemble((clean(shown(f"{worker.host}:{worker.master}")), "bold"), (kind, "dim"))


def _queues(worker: WorkerState) -> Text:
    return on_one_line(Text(clean(shown(worker.queues))))


def _place(worker: WorkerState) -> Text:
    process = "" if worker.process is None else f"  {worker.process}"
    return Text.assemble(f"  {worker.slot}.{worker.thread}", (process, "dim"))


def _sums(tree: Tree) -> Iterator[str | Text]:
    slots = f"{tree.slots} {'slot' if tree.slots == 1 else 'slots'}"
    yield on_one_line(Text(f"{slots}, {len(tree.workers)} threads", style="dim"))
    yield from ("", "", "")
    yield f"{sum(worker.processed for worker in tree.workers):,}"
    yield f"{sum(worker.failed for worker in tree.workers):,}"
    yield _size(tree.pss)
    yield ""


def _cells(worker: WorkerState, found: Overview) -> Iterator[str | Text]:
    yield _runs(worker)
    yield "" if worker.running is None else _age(worker.running.seconds)
    yield _age(worker.heartbeat_age)
    yield _key(worker)
    yield f"{worker.processed:,}"
    yield f"{worker.failed:,}"
    yield _size(worker.pss) if worker.thread == 0 else ""
    yield Text("paused", style="yellow") if worker.paused or found.paused.all else ""


def _runs(worker: WorkerState) -> Text:
    running = worker.running
    dead = ("" if worker.alive else "dead  ", "bold red")
    if running is None:
        return Text.assemble(dead, ("idle" * worker.alive, "dim"))
    more = f"  +{running.further}" if running.further else ""
    name, queue = clean(running.worker_class or "?"), clean(shown(running.queue))
    return on_one_line(Text.assemble(dead, (name, "cyan"), (f"  {queue}", "dim"), more))


def _key(worker: WorkerState) -> Text:
    if worker.has_key:
        return Text("yes")
    return Text("gone", style="bold red") if worker.ours else Text("-", style="dim")


def _age(age: float | None) -> str:
    if age is None:
        return "?"
    return seconds(age) if age >= _MINUTE else f"{int(age)}s"


def _size(size: int | None) -> str:
    return "" if size is None else f"{size / _MEBIBYTE:,.0f} MiB"
