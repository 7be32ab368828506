"""Two jobs that a deploy does not harm."""

import time
from pathlib import Path

import clues
from clues import resque
from clues.publishers import LogPublisher

clues.configure(publisher=LogPublisher("events.log"))


@resque.job(queue="imports")
def import_rows(numbers):
    """Find a stopping point, and put back the rest, when the platform wants us gone."""
    for position, number in enumerate(numbers):
        if resque.stopping():
            resque.reenqueue(numbers[position:])
            break
        time.sleep(0.05)
        with Path("imported").open("a") as done:
            print(number, file=done)


@resque.job(queue="reports", requeue_on_shutdown=True)
def report(day):
    """Start all over on the next machine: it is safe to run twice."""
    try:
        time.sleep(60)
    except resque.TermException:
        print(f"the report of {day} is cut off; nothing to clean up", flush=True)
        raise
