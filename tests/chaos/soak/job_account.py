"""What became of every job: of clues' own, whose promises are clues', and of Celery's, whose losses are Celery's."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.soak.jobs_numbers import is_celery
from tests.chaos.soak.records import Job, Records

Say = Callable[[str, Iterable[Any]], None]
Ends = dict[int, set[str]]
"""The ends of a job's attempts: which kinds were told; none where an end was told, and is not in the log."""

_REQUEUED = {"Resume"}  # goes back to its queue when its worker is stopped: it may begin more than once


@dataclass
class Stories:
    """What events tell of some jobs, wherever they have come.

    Attributes:
        jobs: by number.
        ends: of each.
        attempts: those of each that any event tells of.
        began: those that have a perform_started.
        everywhere: all event ids.
    """

    jobs: dict[int, Job]
    records: Records
    everywhere: set[str]
    ends: dict[int, Ends] = field(default_factory=dict)
    attempts: dict[int, set[int]] = field(default_factory=dict)
    began: dict[int, set[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Sort the events."""
        by_hash: dict[str, set[tuple[int, str]]] = defaultdict(set)
        for one in self.everywhere:
            event_hash, attempt, what = one.split(":")
            by_hash[event_hash].add((int(attempt), what))
        for number, job in self.jobs.items():
            told = {(event_hash, *one) for event_hash in job.hashes for one in by_hash[event_hash]}
            self.attempts[number] = {attempt for _, attempt, _ in told}
            self.began[number] = {attempt for _, attempt, what in told if what == "perform_started"}
            self.ends[number] = {
                attempt: self._kinds(f"{event_hash}:{attempt}:end")
                for event_hash, attempt, what in told
                if what == "end"
            }

    def _kinds(self, name: str) -> set[str]:
        return self.records.log[name].kinds if name in self.records.log else set()

    def count(self, kind: str) -> int:
        """How many attempts have ended so."""
        return sum(self.of(number, kind) for number in self.jobs)

    def of(self, number: int, kind: str) -> int:
        """How many attempts of one job have."""
        return sum(kinds == {kind} for kinds in self.ends[number].values())

    def reasons(self) -> Counter[str]:
        """Why attempts have failed."""
        hashes = {one for job in self.jobs.values() for one in job.hashes}
        return Counter(
            told.reason or "by itself"
            for name, told in self.records.log.items()
            if told.kinds == {"failed"} and name.partition(":")[0] in hashes
        )

    def figures(self) -> dict[str, int]:
        """What both systems have in common."""
        return {
            "asked for": sum(bool(job.kind) for job in self.jobs.values()),
            "enqueued": sum(job.pushed for job in self.jobs.values()),
            "enqueueing raised": sum(bool(job.refused) for job in self.jobs.values()),
            "of these, in the queue all the same": sum(
                bool(job.refused and (job.begun or job.hashes)) for job in self.jobs.values()
            ),
            "attempts ended": sum(map(len, self.ends.values())),
            "perform_finished": self.count("perform_finished"),
            "failed": self.count("failed"),
            **{f"failed, {reason}": count for reason, count in sorted(self.reasons().items())},
            "destroyed": self.count("destroyed"),
        }

    def unseen(self) -> list[tuple[int, str]]:
        """The events that must have been published, and are seen nowhere."""
        found = [(n, "perform_started") for n, job in self.jobs.items() if job.begun and not self.began[n]]
        found += [(n, "enqueued") for n, job in self.jobs.items() if job.pushed and not self._has(job, "enqueued")]
        found += [(n, "dequeued") for n, job in self.jobs.items() if job.begun and not self._has(job, "dequeued")]
        over = {(n, 1) for n, job in self.jobs.items() if job.ended or job.removed}
        over |= {(n, attempt) for n, attempt in self.records.failed if n in self.jobs}
        return sorted(found + [(n, f"end of attempt {k}") for n, k in over if k not in self.ends[n]])

    def _has(self, job: Job, what: str) -> bool:
        return any(f"{event_hash}:1:{what}" in self.everywhere for event_hash in job.hashes)

    def say_what_is_wrong(self, system: str, say: Say) -> None:
        """What holds for both systems, and does not."""
        jobs = self.jobs
        say(f"{system}: attempts that began, without an end", [
            (n, k) for n in jobs for k in self.began[n] if k not in self.ends[n]
        ])  # fmt: skip
        say(f"{system}: told as finished, and never came to its end", [
            n for n, job in jobs.items() if self.of(n, "perform_finished") > job.ended
        ])  # fmt: skip
        say(f"{system}: jobs with more than one hash", [n for n, job in jobs.items() if len(job.hashes) > 1])


def of_resque(records: Records, everywhere: set[str], say: Say) -> tuple[dict[str, int], list[tuple[int, str]]]:
    """What became of clues' own jobs, and the events of them that are seen nowhere; says what is wrong."""
    jobs = {n: job for n, job in records.jobs.items() if not is_celery(n)}
    stories = Stories(jobs, records, everywhere)
    stories.say_what_is_wrong("clues.resque", say)
    known = {n: job for n, job in jobs.items() if job.pushed or job.hashes or job.begun}
    say("jobs that are lost", [
        n for n, job in known.items()
        if 1 not in stories.ends[n] and not (job.ended or job.removed or records.failed[n, 1])
    ])  # fmt: skip
    say("attempts without an end", [
        (n, k) for n in known for k in stories.attempts[n] - {1}
        if k not in stories.ends[n] and not records.failed[n, k]
    ])  # fmt: skip
    ends = {(n, k): kinds for n in known for k, kinds in stories.ends[n].items()}
    say("attempts with two kinds of end", [(which, kinds) for which, kinds in ends.items() if len(kinds) > 1])
    say("twice in failed", [which for which, count in records.failed.items() if count > 1])
    say("in failed, and told as finished", [one for one in records.failed if ends.get(one) == {"perform_finished"}])
    say("told as failed, and not in failed", [
        which for which, kinds in ends.items() if kinds == {"failed"} and not records.failed[which]
    ])  # fmt: skip
    say("begun more often than there are attempts", [
        n for n, job in known.items()
        if job.kind not in _REQUEUED and job.begun > max(1, len(stories.attempts[n]))
    ])  # fmt: skip
    return stories.figures() | {"entries in failed": sum(records.failed.values())}, stories.unseen()


def of_celery(records: Records, everywhere: set[str], say: Say) -> tuple[dict[str, int], list[tuple[int, str]]]:
    """The same of Celery's jobs. Messages that Celery lost are told as such."""
    jobs = {n: job for n, job in records.jobs.items() if is_celery(n)}
    stories = Stories(jobs, records, everywhere)
    stories.say_what_is_wrong("Celery", say)
    redelivered = {name.rpartition(":")[0] for name, told in records.log.items() if told.redelivered}
    say("Celery: two kinds of end", [
        (n, k, kinds) for n, job in jobs.items() for k, kinds in stories.ends[n].items()
        if len(kinds) > 1 and not any(f"{one}:{k}" in redelivered for one in job.hashes)
    ])  # fmt: skip
    silent = [n for n, job in jobs.items() if job.pushed and not (job.begun or stories.began[n] or stories.ends[n])]
    return stories.figures() | {
        "delivered again": len(redelivered),
        "lost by Celery before they began": len(silent),
    }, stories.unseen()
