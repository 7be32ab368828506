"""A job's timeline as text."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from rich.text import Text

from clues.analysis.facts import is_retried
from clues.analysis.story import AttemptStory, Child, Failure, Step, Timeline
from clues.cli.event_line import remark, time_of_day
from clues.cli.output import clean
from clues.cli.words import LABELS, error_text, fields, label, seconds, short, value_text

_NAME_WIDTH, _TIME_WIDTH, _GAP_WIDTH, _LABEL_WIDTH = 8, 24, 9, 9
_SHOWN_CHILDREN = 20


def timeline_text(timeline: Timeline) -> Text:
    """The whole story, from the job's name to the jobs it enqueued."""
    lines = [*_head(timeline)]
    for attempt in timeline.attempts:
        lines += [Text(), *_attempt(attempt)]
    if timeline.children:
        lines += [Text(), *_children(timeline.children)]
    if timeline.duplicates:
        lines += [Text(), Text(_copies(timeline.duplicates), style="dim")]
    return Text("\n").join(lines)


def _head(timeline: Timeline) -> Iterator[Text]:
    yield Text.assemble((clean(timeline.worker_class or "-"), "bold"), "  ", (clean(timeline.event_hash), "dim"))
    yield _named("queue", Text(clean(timeline.queue or "-")))
    if timeline.job_id:
        yield _named(clean(timeline.system or "job id"), Text(clean(timeline.job_id)))
    yield _named("args", Text(value_text(list(timeline.args))))
    last = timeline.attempts[-1]
    carried = {key: value for key, value in last.fields.items() if key not in last.added}
    if carried:
        yield _named("fields", fields(carried, longest=None))
    if timeline.parent:
        parent = clean(timeline.parent)
        yield _named("parent", Text.assemble("enqueued by job ", (short(parent), "bold"), "  ", (parent, "dim")))


def _attempt(attempt: AttemptStory) -> Iterator[Text]:
    again = label(", will be retried" if attempt.retrying else "", retrying=True)
    outcome = label(attempt.outcome, retrying=attempt.retrying)
    yield Text.assemble((f"attempt {attempt.number}", "bold"), "  ", outcome, again, _times(attempt))
    first = attempt.steps[0].moment
    for step in attempt.steps:
        yield _step(step, first.date() if first and step is not attempt.steps[0] else date.min)
    if attempt.added:
        yield Text.assemble("  ", ("added while it ran  ", "dim"), fields(attempt.added, longest=None))
    if attempt.failure is not None:
        yield from _failure(attempt.failure)


def _times(attempt: AttemptStory) -> str:
    waited = f"  waited {seconds(attempt.time_in_queue)}" if attempt.time_in_queue is not None else ""
    ran = f"  ran {seconds(attempt.time_to_perform)}" if attempt.time_to_perform is not None else ""
    return waited + ran


def _step(step: Step, same_day: date) -> Text:
    metadata, told = step.event.metadata, remark(step.event, step.moment.date() if step.moment else None)
    where = ":".join(clean(metadata[key]) for key in ("_hostname", "_process") if key in metadata)
    return Text.assemble(
        "  ",
        (time_of_day(step.event, same_day).rjust(_TIME_WIDTH), "dim"),
        "  ",
        _gap(step).rjust(_GAP_WIDTH),
        "  ",
        label(LABELS[step.event.event_type], width=_LABEL_WIDTH, retrying=is_retried(step.event)),
        "  ",
        (where, "dim"),
        "  " if told else "",
        told,
    )


def _gap(step: Step) -> str:
    if step.gap is None:
        return ""
    # Whole-second timestamps (Ruby's) don't tell more than about how long.
    told = seconds(step.gap) if step.exact else f"~{step.gap:.0f}s"
    return told if step.gap < 0 else f"+{told}"


def _failure(failure: Failure) -> Iterator[Text]:
    yield Text.assemble("  ", error_text(failure.exception, failure.message))
    for line in failure.message.strip().splitlines()[1:]:
        yield Text(f"    {clean(line)}", style="red")
    if failure.reason:
        by = f", found by the {clean(failure.reporter)}" if failure.reporter else ""
        yield Text(f"    ended by {clean(failure.reason)}{by}", style="yellow")
    for line in failure.backtrace:
        yield Text(f"    {clean(line)}", style="red" if line.startswith("caused by ") else "dim")


def _children(children: tuple[Child, ...]) -> Iterator[Text]:
    yield Text(f"enqueued {len(children)} {'job' if len(children) == 1 else 'jobs'}", style="bold")
    width = max(len(child.worker_class or "-") for child in children)
    for child in children[:_SHOWN_CHILDREN]:
        name = clean(child.worker_class or "-").ljust(width)
        yield Text.assemble("  ", (short(child.event_hash), "dim"), "  ", name, "  ", label(child.outcome))
    if len(children) > _SHOWN_CHILDREN:
        yield Text(f"  … and {len(children) - _SHOWN_CHILDREN} more; --json lists them all", style="dim")


def _copies(number: int) -> str:
    return "1 copy of these events is not shown" if number == 1 else f"{number} copies of these events are not shown"


def _named(name: str, value: Text) -> Text:
    return Text.assemble("  ", (name.ljust(_NAME_WIDTH), "dim"), value)
