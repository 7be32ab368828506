"""``clues compare``."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from clues.analysis.compare import fisher
from tests.analysis.made import event, lines
from tests.cli.running import clues

pytestmark = pytest.mark.usefixtures("duckdb")


def ends(worker_class: str, count: int, mean: float, failed: int, at: float = 0.0, seed: int = 1) -> bytes:
    """Jobs of a class that ended."""
    random_ = random.Random(f"{worker_class}{mean}{seed}")
    return lines(
        *(
            event(
                "failed" if n < failed else "finished",
                at + n,
                event_hash=f"{random_.getrandbits(128):032x}",
                worker_class=worker_class,
                _time_to_perform=round(random_.lognormvariate(0, 0.5) * mean, 6),
            )
            for n in range(count)
        )
    )


BEFORE = (
    ends("Slow", 2000, 1.0, 10)
    + ends("Quick", 2000, 1.0, 0)
    + ends("Same", 2000, 1.0, 10)
    + ends("Fails", 2000, 1.0, 10)
    + ends("Few", 4, 1.0, 0)
    + ends("Gone", 5, 1.0, 0)
)


def after(at: float = 0.0) -> bytes:
    return (
        ends("Slow", 2000, 1.5, 10, at)
        + ends("Quick", 2000, 0.5, 0, at)
        + ends("Same", 2000, 1.0, 12, at, seed=2)
        + ends("Fails", 2000, 1.0, 60, at, seed=2)
        + ends("Few", 4, 3.0, 1, at)
        + ends("New", 5, 1.0, 0, at)
    )


FINDINGS = {
    "Slow": ["slower"],
    "Quick": ["faster"],
    "Same": [],
    "Fails": ["fails more"],
    "Few": [],
    "Gone": ["gone"],
    "New": ["new"],
}


@pytest.fixture
def logs(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "before.log", tmp_path / "after.log"]
    for path, content in zip(paths, (BEFORE, after()), strict=True):
        path.write_bytes(content)
    return paths


def test_what_got_slower_and_what_fails_more(logs: list[Path]) -> None:
    """What is worse comes first; where few jobs speak, nothing is said."""
    done = clues("compare", *logs, "--json")
    told = json.loads(done.stdout)["classes"]
    assert done.returncode == 0
    assert {one["worker_class"]: one["findings"] for one in told} == FINDINGS
    assert {one["worker_class"] for one in told[:2]} == {"Slow", "Fails"}
    assert set(next(one for one in told if one["worker_class"] == "Slow")["changed"]) >= {"p50", "p95"}


def test_a_split(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_bytes(BEFORE + after(at=86_400))
    done = clues("compare", "--split", "2020-09-14T00:00:00Z", log, "--json")
    told = json.loads(done.stdout)["classes"]
    assert {one["worker_class"]: one["findings"] for one in told} == FINDINGS
    same = clues("compare", "--split", "2020-09-14T00:00:00Z", "--json", environ={"CLUES_PUBLISHERS": f"log://{log}"})
    assert json.loads(same.stdout) == json.loads(done.stdout)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--fail-on", "slower"], 1),
        (["--fail-on", "failing"], 1),
        (["--fail-on", "worse"], 1),
        (["--fail-on", "slower", "--class", "Same"], 0),
        (["--fail-on", "slower", "--threshold", "1"], 0),
        (["--fail-on", "failing", "--class", "Slow"], 0),
        ([], 0),
    ],
)
def test_exit_codes(options: list[str], code: int, logs: list[Path]) -> None:
    done = clues("compare", *logs, *options)
    assert done.returncode == code
    assert done.stdout.startswith("class")


def test_two_sets_or_a_split(logs: list[Path]) -> None:
    assert clues("compare", logs[0]).returncode == 2
    assert clues("compare", *logs, logs[0]).returncode == 2


@pytest.mark.parametrize(
    ("counts", "chance"),
    [((1, 10, 9, 10), 0.001093), ((10, 100, 10, 100), 1.0), ((0, 5, 0, 5), 1.0), ((0, 1000, 8, 1000), 0.0078)],
)
def test_fishers_exact_test(counts: tuple[int, int, int, int], chance: float) -> None:
    """Figures by hand: sums of hypergeometric probabilities."""
    assert fisher(*counts) == pytest.approx(chance, rel=0.05)
    assert fisher(*counts[2:], *counts[:2]) == pytest.approx(fisher(*counts))
