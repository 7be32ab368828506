"""Which failures a command means: named ones, or those that filters find, in one or all lists."""

from __future__ import annotations

import heapq
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from string import hexdigits

import typer

from clues.cli.output import say
from clues.cli.progress import counted
from clues.errors import AmbiguousHashError
from clues.resque import Failed, Resque
from clues.resque.stored_failure import ID_LENGTH, FailureFilter, StoredFailure

_HASH_BEGINS = 8  # digits that are taken for the beginning of a hash: an index has fewer


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
    """What each name means, an index, an id or the job's hash; nothing where there is no such failure.

    A hash means the job's latest failure: an earlier one was retried, and to retry both would run the job twice.

    Raises:
        typer.BadParameter: a name is none of them, an index could be of several lists, or several hashes begin so.
    """
    names = list(dict.fromkeys(names))
    indexes = [name for name in names if _is_index(name)]
    numbered = _only_list(lists) if indexes else None
    found_by: dict[str, list[Found]] = {name: [] for name in names if name not in indexes}
    hashes = [name for name in found_by if _may_begin_a_hash(name)]
    if found_by:
        for found in matching(lists, FailureFilter()):
            found_by.get(found.failure.id, []).append(found)
            for name in hashes:
                if (found.failure.event_hash or "").startswith(name):
                    found_by[name].append(found)
    for name in names:
        yield name, _one_job(name, found_by[name]) if numbered is None or name in found_by else _at(numbered, name)


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


def _is_index(name: str) -> bool:
    return name.isascii() and name.isdigit() and len(name) < _HASH_BEGINS


def _may_begin_a_hash(name: str) -> bool:
    if len(name) < _HASH_BEGINS:
        msg = (
            f"{name!r} is neither an index, nor an id of {ID_LENGTH} letters, nor the first {_HASH_BEGINS} digits of a "
            "job's hash; clues failed list shows indexes and ids"
        )
        raise typer.BadParameter(msg, param_hint="INDEX")
    return len(name) > ID_LENGTH or not name.isalpha() or set(name) <= set(hexdigits)


def _one_job(name: str, found: list[Found]) -> list[Found]:
    """Those with an id, which are alike to the letter; else the latest of the job that a hash means."""
    if any(each.failure.id == name for each in found):
        return [each for each in found if each.failure.id == name]
    hashes = sorted({str(each.failure.event_hash) for each in found})
    if len(hashes) > 1 and name not in hashes:
        raise typer.BadParameter(str(AmbiguousHashError(name, hashes)), param_hint="INDEX")
    return [each for each in found if name not in hashes or each.failure.event_hash == name][:1]


def _only_list(lists: Sequence[Failed]) -> Failed:
    filled = [failed for failed in lists if failed.count()] or list(lists[:1])
    if len(filled) > 1:
        msg = f"failures stand in {', '.join(failed.name for failed in filled)}: say in which with --list, or give ids"
        raise typer.BadParameter(msg, param_hint="INDEX")
    return filled[0]


def _at(failed: Failed, index: str) -> list[Found]:
    failure = failed.at(int(index))
    return [] if failure is None else [Found(failed, failure)]
