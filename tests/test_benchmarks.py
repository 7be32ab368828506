"""The benchmarks run, and say what they measured; how long it took is no test's business."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from benchmarks import environments, pages, promises, results, table
from benchmarks.adapters import Cost, added_figures
from benchmarks.arena import Arena, events_in
from benchmarks.contenders import own
from benchmarks.groups import GROUPS
from benchmarks.latency import perfect_waits, quantile
from benchmarks.machine import machine
from benchmarks.programs import Program, ProgramError, cpu_of, family, output_of, running
from benchmarks.promises import PROMISES
from benchmarks.results import Measured, MissingFigureError, Results
from benchmarks.run import Run
from benchmarks.timing import Figure, each_cpu, each_run, interleaved
from tests.waiting import wait_for

ROOT = Path(__file__).parents[1]


def _found(**groups: dict[str, float]) -> Results:
    """Results with these medians."""
    made = Results({"CPU": "some"}, "abc")
    for group, figures in groups.items():
        made.groups[group] = Measured(tuple(Figure.of(name, "s", [value]) for name, value in figures.items()))
    return made


def _promise(beginning: str) -> promises.Promise:
    return next(one for one in PROMISES if one.what.startswith(beginning))


def test_a_quick_run_prints_a_table_and_writes_figures(tmp_path: Path) -> None:
    """Every figure with its spread, and what must hold."""
    path = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks", "core", "--quick", "--json", str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found = json.loads(path.read_text())["groups"]["core"]
    assert found["quick"] is True
    assert len(found["figures"]) > 10
    for figure in found["figures"]:
        assert figure["name"] in done.stdout
        assert 0 < figure["low"] <= figure["median"] <= figure["high"]
    assert "import clues, over a bare interpreter" in done.stdout
    assert "not measured: drain" in done.stdout


@pytest.mark.usefixtures("redis_server")
def test_ctrl_c_ends_what_was_started() -> None:
    """Workers, Redis, all, in whatever session they are."""
    command = [sys.executable, "-m", "benchmarks", "memory", "--quick"]
    bench = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: len(_descendants(bench.pid)) >= 4, "Redis and workers")
    started = _descendants(bench.pid)
    bench.send_signal(signal.SIGINT)
    _, said = bench.communicate(timeout=60)
    assert bench.returncode == 130
    assert "interrupted" in said
    wait_for(lambda: not started & _parents().keys(), "the end of all of them")


def _descendants(pid: int) -> set[int]:
    parents = _parents()
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def _parents() -> dict[int, int]:
    """The parent of each process that has not ended."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, parent, *_ = path.read_text().rpartition(")")[2].split()
            if state != "Z":
                found[int(path.parent.name)] = int(parent)
    return found


@pytest.mark.usefixtures("redis_server")
def test_a_drain_counts_its_jobs_and_reads_the_log() -> None:
    """A real Redis, real workers: a rate, the CPU of a job, every event."""
    contender = own("few", 60, BATCH_SIZE=8)
    with Arena(Run(quick=True)) as arena:
        arena.filled(contender, 60).lay(arena.client)
        drained = arena.drain(contender, 60)
        assert drained.rate > 0
        assert drained.cpu >= 0
        arena.filled(contender, 60).lay(arena.client)
        assert arena.client.llen("resque:queue:bench") == 60


@pytest.mark.usefixtures("redis_server")
def test_a_drain_that_does_not_add_up_fails() -> None:
    """More jobs than it was told of."""
    contender = own("many", 60, log=False)
    with Arena(Run(quick=True)) as arena:
        arena.filled(contender, 60).lay(arena.client)
        with arena.working(contender):
            wait_for(lambda: arena.performed == 60, "the jobs")
        with pytest.raises(ProgramError, match="60 jobs were performed, not 20"):
            arena._check(contender, 20)


def test_events_in_a_log_are_counted_by_type(tmp_path: Path) -> None:
    """Those of a worker by name, the others together."""
    log = tmp_path / "clues.log"
    log.write_text('{"event_type":"dequeued","queue":"q"}\n' * 3 + '{"event_type":"failed","queue":"q"}\n')
    assert events_in(log) == {"dequeued": 3, "perform_started": 0, "perform_finished": 0, "other": 1}


def test_a_peer_that_cannot_be_installed_is_left_out_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried once, and leaves nothing that looks like an environment."""
    monkeypatch.setattr(environments, "_PLACE", tmp_path / ".bench")
    (tmp_path / "peer").mkdir()
    (tmp_path / "peer" / "requirements.txt").write_text("./no_such_wheel-1.0-py3-none-any.whl\n")
    run = Run()
    assert [environments.prepared("peer", run, tmp_path) for _ in range(2)] == [None, None]
    (note,) = run.notes
    assert note.startswith("peer is left out")
    assert "no_such_wheel" in note
    assert not (tmp_path / ".bench" / "peer").exists()


def test_programs_that_fail_show_what_they_said() -> None:
    """The last lines, and the exit status."""
    program = Program([sys.executable, "-c", "import sys; sys.exit('no such luck')"])
    with pytest.raises(ProgramError, match="no such luck"):
        output_of(program)
    with pytest.raises(ProgramError, match="no such luck"), running([program]) as (process,):
        process.wait()


def test_programs_have_nobodys_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's environment changes no figure."""
    monkeypatch.setenv("CLUES_PUBLISHERS", "stdout://")
    asked = "import os; print(os.environ.get('CLUES_PUBLISHERS'), os.environ['MINE'])"
    assert output_of(Program([sys.executable, "-c", asked], {"MINE": "yes"})) == "None yes\n"


def test_programs_children_end_with_them() -> None:
    """Those too that don't listen."""
    code = "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); os.fork(); time.sleep(60)"
    with running([Program([sys.executable, "-c", code])], stop=signal.SIGKILL) as (process,):
        wait_for(lambda: len(family(process.pid)) == 2, "its child")
    assert family(process.pid) == []


def test_a_figure_is_its_rounds_median_and_spread() -> None:
    """And comes back from JSON as it was."""
    figure = Figure.of("it", "jobs/s", [3, 1, 2, 10])
    assert (figure.median, figure.low, figure.high, figure.values) == (2.5, 1, 10, (3, 1, 2, 10))
    found = _found(group={"it": 2.5})
    assert Figure.by(json.loads(json.dumps({"name": "it", "unit": "jobs/s", "median": 2.5, "low": 1, "high": 10,
                                            "values": [3, 1, 2, 10]}))) == figure  # fmt: skip
    assert found.figure("group", "it").median == 2.5
    with pytest.raises(MissingFigureError, match="group, 'that'"):
        found.figure("group", "that")


def test_rounds_are_interleaved() -> None:
    """All cases once, then all again."""
    called: list[str] = []

    def case(name: str) -> Callable[[], float]:
        def count() -> float:
            called.append(name)
            return len(called)

        return count

    first, second = interleaved({"a": case("a"), "b": case("b")}, rounds=3, unit="B")
    assert called == ["a", "b"] * 3
    assert (first.values, second.values, first.unit) == ((1, 3, 5), (2, 4, 6), "B")


def test_clocks_give_a_figure_for_each_case() -> None:
    """In seconds, as many as there are rounds."""
    cases = {"sum": lambda: sum(range(1000))}
    figures = [*each_run(cases, rounds=3), *each_cpu(cases, rounds=3, calls=10)]
    assert len(figures) == 2
    for figure in figures:
        assert (figure.unit, len(figure.values)) == ("s", 3)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.00000123, "s", "1.23 µs"),
        (0.250, "s", "250 ms"),
        (12345.6, "jobs/s", "12,346 jobs/s"),
        (3.14159, "events/s", "3.14 events/s"),
        (11_200_000, "B", "10.7 MiB"),
        (12.34, "%", "12.3 %"),
    ],
)
def test_numbers_are_spelled_for_people(value: float, unit: str, text: str) -> None:
    """Three digits, the unit that fits."""
    assert table.spell(value, unit) == text


def test_promises_are_ratios_of_one_runs_figures() -> None:
    """The faster of the batched drains over the fastest of the peers that took part."""
    rates = {"clues, log, BATCH_SIZE=64": 90.0, "clues, log, BATCH_SIZE=256": 100.0, "Huey": 20.0, "Dramatiq": 10.0}
    first = _promise("drain, 2 processes, BATCH_SIZE set")
    assert first.compute(_found(drain=rates)) == 5.0
    assert [first.judge(value) for value in (15, 14.9, 3.5, 3.4)] == ["reached aim", "holds", "holds", "not reached"]


def test_promises_of_costs_are_kept_by_less() -> None:
    """The cost of observing is the dearer of worker and enqueueing."""
    one = _promise("cost of observing")
    found = _found(
        drain={
            "clues, log, BATCH_SIZE=64: CPU of a job": 30e-6,
            "clues, unconfigured, BATCH_SIZE=64: CPU of a job": 15e-6,
        },
        enqueue={"clues, log: CPU of a job": 46e-6, "clues, unconfigured: CPU of a job": 40e-6},
    )
    assert one.compute(found) == pytest.approx(6e-6)
    assert [one.judge(value) for value in (4e-6, 7e-6, 8e-6)] == ["reached aim", "holds", "not reached"]
    assert one.spell(6e-6) == "6 µs"


def test_promises_of_adapters_are_of_what_they_add() -> None:
    """The dearer of enqueueing and worker; beside OpenTelemetry the one that compares worse."""
    added = {
        "clues on Celery, enqueue": 10e-6,
        "clues on Celery, worker": 24e-6,
        "OpenTelemetry on Celery, enqueue": 100e-6,
        "OpenTelemetry on Celery, worker": 100e-6,
    }
    found = _found(adapters=added)
    assert _promise("what clues adds to a job of Celery").compute(found) == 24e-6
    assert _promise("the same on Celery, against OpenTelemetry").compute(found) == pytest.approx(0.24)


def test_what_is_added_is_the_difference_of_each_rounds_two() -> None:
    """So that what the machine does besides, which changes from round to round, is in neither."""
    bare, observed = [Cost(1.0, 10.0), Cost(2.0, 20.0)], [Cost(1.5, 12.0), Cost(2.25, 21.0)]
    found = {one.name: one.values for one in added_figures("clues on RQ", bare, observed)}
    assert found == {
        "clues on RQ, enqueue": (0.5, 0.25),
        "clues on RQ, enqueue: bare": (1.0, 2.0),
        "clues on RQ, enqueue: observed": (1.5, 2.25),
        "clues on RQ, worker": (2.0, 1.0),
        "clues on RQ, worker: bare": (10.0, 20.0),
        "clues on RQ, worker: observed": (12.0, 21.0),
    }


def test_the_cpu_of_a_program_is_known_while_it_runs() -> None:
    """All that its processes took."""
    code = "import time\nwhile time.process_time() < 0.2: pass\ntime.sleep(60)"
    with running([Program([sys.executable, "-c", code])], stop=signal.SIGKILL) as (process,):
        wait_for(lambda: cpu_of(process.pid) >= 0.2, "its work")


def test_promises_without_figures_say_so() -> None:
    """Every row is there."""
    lines = list(promises.judged(_found()))
    assert len(lines) == len(PROMISES)
    assert all(line[4].startswith("not measured") for line in lines)


def test_figures_that_are_kept_join_those_of_their_commit(tmp_path: Path) -> None:
    """A group that is measured again replaces its former figures; the others stay."""
    path = tmp_path / "figures.json"
    _found(drain={"Huey": 1.0}, core={"a hook": 2.0}).write(path)
    later = _found(drain={"Huey": 3.0})
    later.join(results.read(path))
    later.write(path)
    found = results.read(path)
    assert (found.figure("drain", "Huey").median, found.figure("core", "a hook").median) == (3.0, 2.0)


@pytest.mark.parametrize("text", ["{}", "[]", '{"figures": {}}', "no JSON"])
def test_a_file_without_figures_is_refused(tmp_path: Path, text: str) -> None:
    """The command line says so."""
    path = tmp_path / "figures.json"
    path.write_text(text)
    with pytest.raises(ValueError):
        results.read(path)


def test_a_pages_block_is_made_anew_and_all_else_stays() -> None:
    """The machine, what must hold, each group's table, and what a job's CPU was beside its rate."""
    page = f"# Page\n\nby hand\n\n{pages.BEGIN}\nold\n{pages.END}\n\nafter\n"
    found = _found(drain={"Huey": 2.0, "Huey: CPU of a job": 0.001})
    made = pages.brought_up_to_date(page, found, {"drain": "plots/drain.svg"})
    assert made.startswith("# Page\n\nby hand\n\n")
    assert made.endswith("\n\nafter\n")
    assert "\nold\n" not in made
    assert "| CPU | some |" in made
    assert "](plots/drain.svg)" in made
    assert "| Huey | 2 s | 2 s … 2 s | 1 ms |" in made
    assert pages.brought_up_to_date(made, found, {"drain": "plots/drain.svg"}) == made


def test_a_page_without_a_block_is_refused() -> None:
    """Rather than written anywhere."""
    with pytest.raises(ValueError, match="0 blocks"):
        pages.brought_up_to_date("# Page\n", _found())


def test_the_performance_page_has_its_block() -> None:
    """So that the figures can be brought up to date."""
    assert pages.brought_up_to_date((ROOT / "docs" / "performance.md").read_text(), _found())


def test_the_machine_is_described() -> None:
    """No field is empty."""
    assert all(machine().values())


def test_quantiles_are_values_that_were_measured() -> None:
    """The smallest that so large a part does not exceed."""
    values = [float(number) for number in range(1, 101)]
    assert [quantile(values, part) for part in (0.5, 0.99, 1.0)] == [50.0, 99.0, 100.0]
    assert quantile([7.0], 0.99) == 7.0


def test_perfect_workers_make_jobs_wait_for_jobs_alone() -> None:
    """Two at once start at once, the third waits for the first to end."""
    assert perfect_waits([1.0, 1.0, 1.5, 9.0], 2.0) == [0.0, 0.0, 1.5, 0.0]


def test_groups_have_titles_and_modules() -> None:
    """Names that can be typed."""
    assert all(name.isalpha() and group.title and group.module for name, group in GROUPS.items())
    assert all(group.module.startswith("benchmarks.") for group in GROUPS.values())


@pytest.mark.parametrize("group", ["publishing", "delivery"])
def test_what_is_published_and_delivered_is_measured(group: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By every publisher, to every back end, all events: what is promised of them is among the figures."""
    pytest.importorskip("opentelemetry.proto")
    pytest.importorskip("elasticsearch")
    monkeypatch.setattr("benchmarks.publishing.prepared", lambda _name, run: run.note("no other libraries in a test"))
    found = {figure.name for figure in GROUPS[group].measure(Run(quick=True))}
    assert found >= PROMISED[group]


PROMISED = {
    "publishing": {
        "log publisher, whole event",
        "build + orjson + os.write",
        "journal (OTLP + Elasticsearch + TCP), publish",
        "statsd, publish",
        "journal, p99.9, back ends away",
    },
    "delivery": {
        "Elasticsearch delivery, CPU per event",
        "helpers.streaming_bulk, CPU per document",
        "shipper to OTLP (HTTP), one core",
    },
}
