"""Delivery: what the shipper takes for each event, to OTLP and to Elasticsearch, and how much memory.

The back ends are in a process of their own and take all at once (`benchmarks.sinks`); the events wait in a journal. A
shipper is a process, too; what counts is its CPU, from its first look at the journal to its last checkpoint: reading,
decoding, encoding, compressing, sending, and reading the answers.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.programs import Program, ProgramError, output_of, running, wait_until
from benchmarks.run import Run
from benchmarks.stories import events
from benchmarks.timing import Figure, by_rounds
from clues.event import Event
from clues.publishers.elasticsearch_documents import Target, bulk_lines
from clues.publishers.journal import Journal

OTLP = "otlp+http://127.0.0.1:{otlp}?service_name=shop"
ELASTICSEARCH = "elasticsearch://127.0.0.1:{elasticsearch}?"
_TARGET = Target("logs-clues.events-default", namespace="default")


def measure(run: Run) -> list[Figure]:
    """Each way of delivery in each round."""
    with tempfile.TemporaryDirectory() as name, back_ends(Path(name)) as ports:
        told = events(run.pick(25_000, 500))
        stage = _Stage(Path(name), ports, len(told))
        stage.journal(told)
        run.say(f"{len(told)} events, {sum(len(event.line) for event in told) // len(told)} bytes each")
        cases = {
            "otlp": lambda: stage.ship(OTLP),
            "elasticsearch": lambda: stage.ship(ELASTICSEARCH),
            "both": lambda: stage.ship(OTLP, ELASTICSEARCH),
            "helpers": stage.index,
        }
        found = by_rounds(cases, rounds=run.rounds(5))
    run.note("delivery: rates on one core are events for each second of the shipper's CPU")
    return [*_figures(found, len(told))]


def _figures(found: dict[str, list[dict[str, float]]], count: int) -> Iterator[Figure]:
    def figure(name: str, unit: str, values: Iterator[float]) -> Figure:
        return Figure.of(name, unit, values)

    yield figure("shipper to OTLP (HTTP), one core", "events/s", (count / one["cpu"] for one in found["otlp"]))
    yield figure("shipper to OTLP (HTTP), CPU per event", "s", (one["cpu"] / count for one in found["otlp"]))
    yield figure("Elasticsearch delivery, CPU per event", "s", (one["cpu"] / count for one in found["elasticsearch"]))
    yield figure("helpers.streaming_bulk, CPU per document", "s", (one["cpu"] for one in found["helpers"]))
    yield figure("to OTLP, end to end", "events/s", (count / one["seconds"] for one in found["otlp"]))
    yield figure("to Elasticsearch, end to end", "events/s", (count / one["seconds"] for one in found["elasticsearch"]))
    yield figure("to both at once, end to end", "events/s", (count / one["seconds"] for one in found["both"]))
    yield figure("the shipper's peak memory, to both", "B", (one["peak"] for one in found["both"]))


@dataclass(frozen=True, slots=True)
class _Stage:
    """What is delivered, from where, and where to.

    Attributes:
        folder: for the journal and the documents.
        ports: the back ends', by name.
        count: of the events.
    """

    folder: Path
    ports: dict[str, int]
    count: int

    def journal(self, told: list[Event]) -> None:
        """Keep them in a journal, which each round has a copy of, and as documents for others."""
        journal = Journal(self.folder / "spool")
        with (self.folder / "documents.json").open("wb") as documents:
            for event in told:
                journal.append(event)
                documents.write(bulk_lines(event.line, _TARGET).partition(b"\n")[2])
        journal.close()

    def ship(self, *urls: str) -> dict[str, float]:
        """Ship all of them; gives what `benchmarks.shipping` says.

        Raises:
            ProgramError: some were left.
        """
        spool = self.folder / "copy"
        shutil.copytree(self.folder / "spool", spool)
        try:
            command = [sys.executable, "-m", "benchmarks.shipping", str(spool)]
            found: dict[str, Any] = json.loads(
                output_of(Program([*command, *(url.format(**self.ports) for url in urls)]))
            )
        finally:
            shutil.rmtree(spool)
        if found["delivered"] != [self.count] * len(urls):
            raise ProgramError(f"of {self.count} events {found['delivered']} were delivered")
        return {name: found[name] for name in ("seconds", "cpu", "peak")}

    def index(self) -> dict[str, float]:
        """The same documents by Elastic's helpers."""
        url = f"http://127.0.0.1:{self.ports['elasticsearch']}"
        command = [sys.executable, "-m", "benchmarks.bulk_helpers", str(self.folder / "documents.json"), url]
        found: dict[str, float] = json.loads(output_of(Program(command)))
        return found


@contextmanager
def back_ends(folder: Path) -> Iterator[dict[str, int]]:
    """Back ends that take all, of OTLP and Elasticsearch, in a process of their own; gives their ports."""
    ports = folder / "ports.json"
    with running([Program([sys.executable, "-m", "benchmarks.sinks", str(ports)])]):
        wait_until(ports.exists, "the back ends")
        yield json.loads(ports.read_text())
