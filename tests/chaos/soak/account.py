"""The account: what became of every event and every job, who has grown, and what nobody has counted."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos.soak.back_ends import event_id
from tests.chaos.soak.disturbances import Scene
from tests.chaos.soak.job_account import of_celery, of_resque
from tests.chaos.soak.records import Records, lines, read
from tests.chaos.soak.suite import Suite
from tests.chaos.soak.watch import Watch


@dataclass
class Account:
    """All figures of a soak.

    Attributes:
        figures: by section, what and how many.
        memory: by role: seconds of the longest life, PSS in MiB at its second quarter and its last, descriptors.
        problems: what is unaccounted for, or was left behind. None is the aim.
    """

    figures: dict[str, dict[str, Any]] = field(default_factory=dict)
    memory: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def say(self, what: str, which: Iterable[Any]) -> None:
        """A problem, if there are any of it."""
        found = list(which)
        if found:
            self.problems.append(f"{what}: {len(found)}, such as {', '.join(map(str, found[:5]))}")


def account(suite: Suite, scene: Scene, watch: Watch) -> Account:
    """Read everything, and say what is wrong."""
    made = Account()
    records = read(suite)
    back_ends = {one.name: Counter(one.counts()) for one in suite.back_ends}
    dead = {one.name: _dead_letters(suite, one.name) for one in suite.back_ends}
    everywhere = set(records.log).union(*back_ends.values()) - {""}
    unseen = []
    for name, of_system in (("clues.resque", of_resque), ("Celery", of_celery)):
        made.figures[f"jobs of {name}"], some = of_system(records, everywhere, made.say)
        unseen += some
    _of_events(made, suite, scene, records, back_ends=back_ends, dead=dead, everywhere=everywhere, unseen=unseen)
    made.figures["faults that clues counted"] = {
        f"{culprit}: {error}": count for (culprit, error), count in sorted(records.faults.items())
    }
    for life in watch.long_lives():
        made.memory.append({
            "role": life.role,
            "spared": life.spared,
            "seconds": round(life.seconds),
            "MiB before": round(life.quarter(1, 1), 1),
            "MiB after": round(life.quarter(3, 1), 1),
            "most MiB": round(max(sample[1] for sample in life.samples), 1),
            "descriptors before": life.quarter(1, 2),
            "descriptors after": life.quarter(3, 2),
            "most descriptors": max(sample[2] for sample in life.samples),
        })  # fmt: skip
    made.problems += watch.problems()
    return made


# events


def _of_events(
    made: Account,
    suite: Suite,
    scene: Scene,
    records: Records,
    *,
    back_ends: dict[str, Counter[str]],
    dead: dict[str, set[str]],
    everywhere: set[str],
    unseen: list[tuple[int, str]],
) -> None:
    log = records.log
    held = [one.name for one in suite.back_ends if one.held]
    journalled = set().union(*(back_ends[name] for name in held)) - {""}
    dropped = sum(spool.dropped()[0] for spool in suite.spools)
    faults = _counted(records)
    made.figures["events"] = {
        "in all": len(everywhere),
        "in the log": len(log),
        "in the log more than once, by _event_id": sum(told.lines > 1 for told in log.values()),
        "torn lines in the log": records.torn,
        "not in the journal": len(everywhere - journalled),
        "not in the log": len(everywhere - set(log)),
        "in neither, and seen over UDP": len(everywhere - journalled - set(log)),
        "seen nowhere": len(unseen),
        "faults counted of the log": faults["log"],
        "faults counted of the journal": faults["journal"],
        "dropped by the journal, as the spool counts": dropped,
    }
    # The log comes first: whoever is killed between the two has not journalled. Ends are told again.
    not_journalled = sorted(everywhere - journalled)
    lost = len(not_journalled) + len(unseen)
    uncounted = max(0, lost - max(faults["journal"], dropped))
    cut = [
        one for one in not_journalled if not one.endswith(":end") and one in log and log[one].process in scene.killed
    ]
    made.figures["events"]["not counted, as their process was killed between log and journal"] = min(
        uncounted, len(cut)
    )
    if uncounted > len(cut):
        left = [*unseen, *sorted(set(not_journalled) - set(cut))]
        made.say("events that are not in the journal, and nobody counted", left)
    not_logged = sorted(everywhere - set(log))
    if len(not_logged) + len(unseen) > faults["log"]:
        made.say("events that are not in the log, and nobody counted", [*unseen, *not_logged])
    for one in suite.back_ends:
        counts = back_ends[one.name]
        made.figures[f"to {one.name}"] = {
            "events": len(counts) - ("" in counts),
            "deliveries": sum(counts.values()),
            "dead letters": len(dead[one.name]),
        }
        if one.held:
            missing = journalled - set(counts) - dead[one.name]
            made.figures[f"to {one.name}"]["missing"] = len(missing)
            made.say(f"events that {one.name} never got", sorted(missing))
            made.say(f"dead letters of {one.name}", sorted(dead[one.name]))


def _counted(records: Records) -> Counter[str]:
    found: Counter[str] = Counter()
    for (culprit, _error), count in records.faults.items():
        if "LogPublisher" in culprit:
            found["log"] += count
        elif "TCPPublisher" in culprit:  # the first of those that share the journal
            found["journal"] += count
    return found


def _dead_letters(suite: Suite, name: str) -> set[str]:
    """The events that a back end has refused. What stands there of a torn line was counted when it was torn."""
    found = set()
    for spool in suite.spools:
        for path in (spool.folder / "dead").glob(f"{name}*.jsonl"):
            for line in lines(path):
                with contextlib.suppress(ValueError):  # torn itself
                    event = json.loads(line)["event"]
                    found |= {event_id(json.dumps(event).encode())} if isinstance(event, dict) else set()
    return found


def left_behind(suite: Suite) -> list[str]:
    """What stands in the folders of the programs, and should not when all have ended."""
    found: list[Path] = list((suite.folder / "run").iterdir())
    for spool in suite.spools:
        found += [path for path in spool.folder.iterdir() if path.name.startswith(".try")]
        found += [path for path in (spool.folder / "destinations").iterdir() if path.suffix not in {".json", ".lock"}]
    return [str(path.relative_to(suite.folder)) for path in found]
