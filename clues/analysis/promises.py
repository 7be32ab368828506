"""The promises of a service level, as ``clues sla`` is given them: ``queue=mailers time_in_queue p95 < 30s``.

::

    promise    := condition* measure [statistic] comparison limit
    condition  := field ("=" | "!=") value       fields: queue class system host exception metadata.<key>
    measure    := time_in_queue | time_to_perform              with a statistic: p50 … p99.9, min, max, mean
                | failure_ratio | retry_ratio                  a share, 0 … 1 or a percentage
                | enqueued | finished | failed | retried | destroyed | waiting | unfinished      a number of jobs
    comparison := "<" | "<=" | ">" | ">="
    limit      := number [unit]                  units: us ms s m h d, % for shares
    value      := bare text without spaces, or "quoted"; * stands for any text

Several conditions hold together. A duration without a unit is in seconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import NoReturn

from clues.errors import PromiseError

UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
FIELDS = ("queue", "class", "system", "host", "exception")
DURATIONS = ("time_in_queue", "time_to_perform")
RATIOS = ("failure_ratio", "retry_ratio")
COUNTS = ("enqueued", "finished", "failed", "retried", "destroyed", "waiting", "unfinished")
MEASURES = (*DURATIONS, *RATIOS, *COUNTS)
PLAIN_STATISTICS = ("min", "max", "mean")

_TOKEN = re.compile(r"""\s*(?:(?P<compare><=|>=|<|>)|(?P<word>[^\s<>"=!]+(?:!?=(?:"[^"]*"|[^\s<>"]*))?))""")
_CONDITION = re.compile(r"""(?P<field>[^\s=!"]+?)(?P<sign>!?=)(?P<value>"[^"]*"|.*)""")
_STATISTIC = re.compile(r"p(\d{1,2}(?:\.\d{1,3})?)")
_LIMIT = re.compile(r"(\d+(?:\.\d+)?)(.*)")


@dataclass(frozen=True, slots=True)
class Condition:
    """Which jobs a promise is about.

    Attributes:
        field: one of `FIELDS`, or ``metadata.<key>``.
        value: what it is, ``*`` standing for any text.
        negated: whether it is about all others.
    """

    field: str
    value: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Promise:
    """One promise.

    Attributes:
        text: as it was given.
        conditions: the jobs it is about; all if empty.
        measure: what is measured, one of `MEASURES`.
        statistic: of durations: ``p95``, ``min``, ``max`` or ``mean``; else empty.
        comparison: ``<``, ``<=``, ``>`` or ``>=``.
        limit: in seconds, as a share, or a number.
    """

    text: str
    conditions: tuple[Condition, ...]
    measure: str
    statistic: str
    comparison: str
    limit: float

    def holds(self, found: float) -> bool:
        """Whether what was found keeps it."""
        return {
            "<": found < self.limit,
            "<=": found <= self.limit,
            ">": found > self.limit,
            ">=": found >= self.limit,
        }[self.comparison]


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    place: int
    comparison: bool


def parse(text: str) -> Promise:
    """Read a promise.

    Raises:
        PromiseError: it is none; says where the mistake is, and what could stand there.
    """
    return _Parser(text).promise()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(_tokens(text))
        self._next = 0

    def promise(self) -> Promise:
        conditions = []
        while (token := self._peek()) is not None and "=" in token.text and not token.comparison:
            conditions.append(self._condition(self._take()))
        measure = self._measure()
        statistic = self._statistic(measure)
        comparison = self._comparison(measure)
        limit = self._limit(measure)
        if (token := self._peek()) is not None:
            self._fail("the promise ends before this; give each promise as an argument of its own", token)
        return Promise(self._text.strip(), tuple(conditions), measure, statistic, comparison, limit)

    def _condition(self, token: _Token) -> Condition:
        found = _CONDITION.fullmatch(token.text)
        if found is None:
            self._fail("a condition is field=value or field!=value", token)
        field, value = found["field"], found["value"].strip('"')
        if field not in FIELDS and not (field.startswith("metadata.") and len(field) > len("metadata.")):
            self._fail(f"no field {field!r}; there are {', '.join(FIELDS)} and metadata.<key>", token)
        if not value:
            self._fail(f'{field} is to be what? "" is no value', token, len(field) + len(found["sign"]))
        return Condition(field, value, negated=found["sign"] == "!=")

    def _measure(self) -> str:
        token = self._peek()
        if token is None or token.comparison or token.text not in MEASURES:
            self._fail(f"what is measured? one of {', '.join(MEASURES)}", token)
        return self._take().text

    def _statistic(self, measure: str) -> str:
        token = self._peek()
        if measure not in DURATIONS:
            if token is not None and not token.comparison:
                self._fail(f"{measure} is one number: a comparison (<, <=, >, >=) follows", token)
            return ""
        if token is None or token.comparison or not _is_statistic(token.text):
            self._fail(f"which of the times? {measure} takes p50, p95, p99.9, …, min, max or mean", token)
        return self._take().text

    def _comparison(self, measure: str) -> str:
        token = self._peek()
        if token is None or not token.comparison:
            self._fail(f"a comparison (<, <=, >, >=) follows {measure}", token)
        return self._take().text

    def _limit(self, measure: str) -> float:
        token = self._peek()
        found = None if token is None else _LIMIT.fullmatch(token.text)
        if token is None or found is None:
            self._fail("a number is to follow, such as 30s, 1.5m, 250ms, 2% or 10", token)
        self._take()
        number, unit = Decimal(found[1]), found[2]
        after = len(found[1])
        if measure in DURATIONS:
            if unit and unit not in UNITS:
                self._fail(f"no unit of time {unit!r}; there are {', '.join(UNITS)}", token, after)
            return float(number * Decimal(str(UNITS[unit or "s"])))
        if measure in RATIOS:
            share = number / 100 if unit == "%" else number
            if unit not in {"", "%"} or share > 1:
                self._fail(f"{measure} is a share: 0 to 1, or 0% to 100%", token, after if unit not in {"", "%"} else 0)
            return float(share)
        if unit:
            self._fail(f"{measure} is a number of jobs, without a unit", token, after)
        return float(number)

    def _peek(self) -> _Token | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def _take(self) -> _Token:
        self._next += 1
        return self._tokens[self._next - 1]

    def _fail(self, problem: str, token: _Token | None, offset: int = 0) -> NoReturn:
        place = len(self._text.rstrip()) if token is None else token.place + offset
        raise PromiseError(problem, self._text, place)


def _tokens(text: str) -> Iterator[_Token]:
    place = 0
    end = len(text.rstrip())
    while place < end:
        found = _TOKEN.match(text, place)
        if found is None:
            start = place + len(text[place:]) - len(text[place:].lstrip())
            msg = "a quote that is not closed, or nothing that belongs into a promise"
            raise PromiseError(msg, text, start)
        kind = "compare" if found["compare"] else "word"
        yield _Token(found[kind], found.start(kind), kind == "compare")
        place = found.end()


def _is_statistic(text: str) -> bool:
    return text in PLAIN_STATISTICS or (_STATISTIC.fullmatch(text) is not None and Decimal(text[1:]) > 0)
