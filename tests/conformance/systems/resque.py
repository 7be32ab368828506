"""clues' own Resque."""

from __future__ import annotations

from collections.abc import Sequence

from tests.conformance.cells import WELL, again
from tests.conformance.site import Site, System, told


def command(site: Site) -> Sequence[str]:
    return [
        str(site.python), "-m", "clues", "work", "--app", "tests.conformance.apps.resque_app",
        "--queues", "conformance", "--interval", "1",
    ]  # fmt: skip


def no_retry(site: Site) -> None:
    """Resque retries nothing by itself; ``clues failed retry`` runs a failed job again, as attempt 2 of its hash."""
    site.work()
    answer = site.ask("fail", retries=1)
    assert answer["error"] == "TypeError"


def retried_by_hand(site: Site) -> None:
    """As above: a job that failed is run again by the operator."""
    site.work()
    place = site.place("first")
    event_hash = site.enqueue("fail_first", str(place))
    events = site.ended(event_hash)
    assert told(events)[-1] == "1 failed"
    done = site.program(
        [str(site.python), "-m", "clues", "failed", "retry", "--all"], CLUES_PUBLISHERS=f"log://{site.log}"
    )
    assert done.process.wait(60) == 0, site.said()
    assert told(site.ended(event_hash, attempt=2))[4:] == again(WELL)


def no_delay(site: Site) -> None:
    """Resque knows no delayed jobs; resque-scheduler is not part of it."""
    answer = site.ask("succeed", 1, 2, delay=2.0)
    assert answer["error"] == "TypeError"


SYSTEM = System(
    "resque",
    command,
    releases=("resque",),
    cells={"retry": retried_by_hand, "retries_exhausted": no_retry, "delayed": no_delay},
)
