"""Which failures a command means: named ones, or those that filters find, in one or all lists."""

from __future__ import annotations

import heapq
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import typer

from clues.cli.output import say
from clues.cli.progress import counted
from clues.resque import Failed, Resque
from clues.resque.stored_failure import ID_LENGTH, FailureFilter, StoredFailure


@dataclass(frozen=True, slots=True)
class Found:
    """A failure where it stands.

    Attributes:
        failed: the list that it stands in.
        failure: the failure.
    """

    failed: Failed
    failure: StoredFailure


def lists_of(client: Resque, name: str | None) -> list[Failed]:
    """The lists of failures: that of a name, or of a queue, or all.

    Raises:
        typer.BadParameter: there is no such list.
    """
    known = client.failed_lists()
    if name is None:
        return known
    chosen = [failed for failed in known if failed.name in {name, f"{name}_failed"}]
    if not chosen:
        msg = f"there is no list {name!r}; there are {', '.join(failed.name for failed in known)}"
        raise typer.BadParameter(msg, param_hint="--list")
    return chosen[:1]


def chosen(
    client: Resque, list_name: str | None, names: Sequence[str], wanted: FailureFilter, limit: int | None
) -> tuple[list[Found], list[str]]:
    """The failures that a command is to act on, newest first, and the names of those there are not."""
    lists = lists_of(client, list_name)
    if not names:
        return list(matching(lists, wanted, limit)), []
    meant = list(named(lists, names))
    missing = [name for name, found in meant if not found]
    for name in missing:
        say(f"clues: there is no failure {name}; clues failed list shows those there are")
    each = {(found.failed.name, found.failure.index): found for _, those in meant for found in those}
    return [each[place] for place in sorted(each, reverse=True)], missing


def matching(
    lists: Sequence[Failed], wanted: FailureFilter, limit: int | None = None, *, progress: bool = True
) -> Iterator[Found]:
    """The failures that a filter allows, newest first, whatever list they stand in.

    Args:
        lists: where to look.
        wanted: the filter.
        limit: at most so many.
        progress: show how far the reading is, where it is long.
    """
    each = [_found_in(failed, wanted, progress=progress and len(lists) == 1) for failed in lists]
    with closing(heapq.merge(*each, key=_age) if len(each) > 1 else each[0]) as merged:
        for number, found in enumerate(merged, 1):
            yield found
            if number == limit:
                return


def named(lists: Sequence[Failed], names: Iterable[str]) -> Iterator[tuple[str, list[Found]]]:
    """What each name means, an index or an id; nothing where there is no such failure.

    Raises:
        typer.BadParameter: a name is neither, or an index could be of several lists.
    """
    names = list(dict.fromkeys(names))
    by_id: dict[str, list[Found]] = {name: [] for name in names if _is_id(name)}
    numbered = _only_list(lists) if len(by_id) < len(names) else None
    if by_id:
        for found in matching(lists, FailureFilter()):
            by_id.get(found.failure.id, []).append(found)
    for name in names:
        yield name, by_id[name] if numbered is None or name in by_id else _at(numbered, name)


def _found_in(failed: Failed, wanted: FailureFilter, *, progress: bool) -> Generator[Found]:
    failures = failed.found()
    if progress:
        failures = counted(failures, failed.count(), f"reading {failed.name}")
    with closing(failures):
        for failure in failures:
            if wanted.allows(failure):
                yield Found(failed, failure)


def _age(found: Found) -> float:
    return -(found.failure.failed_at or 0.0)


def _is_id(name: str) -> bool:
    if name.isascii() and name.isdigit():
        return False
    if len(name) == ID_LENGTH and name.isalpha():
        return True
    msg = f"{name!r} is neither an index nor an id of {ID_LENGTH} letters; clues failed list shows both"
    raise typer.BadParameter(msg, param_hint="INDEX")


def _only_list(lists: Sequence[Failed]) -> Failed:
    filled = [failed for failed in lists if failed.count()] or list(lists[:1])
    if len(filled) > 1:
        msg = f"failures stand in {', '.join(failed.name for failed in filled)}: say in which with --list, or give ids"
        raise typer.BadParameter(msg, param_hint="INDEX")
    return filled[0]


def _at(failed: Failed, index: str) -> list[Found]:
    failure = failed.at(int(index)) if len(index) < 19 else None  # noqa: PLR2004 - Redis knows no larger index
    return [] if failure is None else [Found(failed, failure)]
