"""What dashboards are described with; neither Grafana's words nor Kibana's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["stat", "lines", "bars", "table", "documents"]
Unit = Literal["count", "ratio", "seconds", "rate", "text"]


@dataclass(frozen=True, slots=True)
class Prom:
    """A query of Prometheus.

    Attributes:
        expr: PromQL, with Grafana's variables.
        legend: what its series are called; ``{{label}}`` is a label's value.
    """

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Value:
    """A number made of documents.

    Attributes:
        name: what it is called.
        of: how it is made.
        field: of which field; none to count documents.
        only: of which documents, in words that Lucene and KQL share; all if empty.
        percent: which percentile.
        window: of the last so much of the time shown, as ``1h``; of all of it if empty. Kibana alone can.
    """

    name: str
    of: Literal["count", "unique", "percentile", "sum", "max", "average"]
    field: str = ""
    only: str = ""
    percent: float = 0.0
    window: str = ""


@dataclass(frozen=True, slots=True)
class Combined:
    """A number made of two others.

    Attributes:
        name: what it is called.
        how: ``/`` or ``-``; ``burn`` for how fast an error budget is spent, if the first of the second were good.
        left: one.
        right: the other.
    """

    name: str
    how: Literal["/", "-", "burn"]
    left: Value
    right: Value


@dataclass(frozen=True, slots=True)
class Events:
    """A query of the documents in Elasticsearch.

    Attributes:
        values: what is asked; none to list the documents themselves.
        by: the field whose values have a line, or a row, each; several make rows of their combinations.
        size: how many of them, those with the most of the first value.
        over_time: whether by time too.
        only: of which documents.
        fields: columns of a list of documents.
        newest_first: the order of such a list.
        of_dashboard: whether the dashboard's variables choose among the documents.
    """

    values: tuple[Value | Combined, ...] = ()
    by: tuple[str, ...] = ()
    size: int = 10
    over_time: bool = False
    only: str = ""
    fields: tuple[str, ...] = ()
    newest_first: bool = True
    of_dashboard: bool = True


@dataclass(frozen=True, slots=True)
class Panel:
    """A panel: one question.

    Attributes:
        title: its title.
        question: the question that it answers, for its description and docs/questions.md.
        kind: how it looks.
        unit: of its numbers.
        prom: queries of Prometheus; Grafana has these where there are some, else those of documents.
        events: the query of documents; Kibana leaves the panel out where there is none.
        width: of 24.
        height: in Grafana's units.
        bad_above: from where on a stat is red.
        drills_to: the dashboard that a row or line leads to, with the field that it chooses by.
    """

    title: str
    question: str
    kind: Kind
    unit: Unit = "count"
    prom: tuple[Prom, ...] = ()
    events: Events | None = None
    width: int = 12
    height: int = 8
    bad_above: float | None = None
    drills_to: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Variable:
    """What the reader chooses.

    Attributes:
        name: its name.
        label: what it is called.
        prom: the metric and the label whose values it has.
        events: the field of documents whose values it has.
        fields: the objects, with ``|`` between, the names of whose fields it has.
        options: its values, where they are fixed.
        many: whether several, and all, can be chosen.
        text: whether it is typed.
    """

    name: str
    label: str
    prom: tuple[str, str] = ("", "")
    events: str = ""
    fields: str = ""
    options: tuple[str, ...] = ()
    many: bool = True
    text: bool = False


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A dashboard.

    Attributes:
        uid: its id, for ever.
        title: its title.
        about: what it is for.
        rows: headings and their panels.
        variables: what can be chosen.
        span: the time that it shows at first, as ``now-1h``.
    """

    uid: str
    title: str
    about: str
    rows: Sequence[tuple[str, tuple[Panel, ...]]]
    variables: tuple[Variable, ...] = ()
    span: str = "now-6h"

    def panels(self) -> Iterator[Panel]:
        """All panels."""
        for _, panels in self.rows:
            yield from panels
