"""Delivers events to OpenTelemetry: log records, spans, and metrics that are counted here.

The SDK is not used: its exporters hide what became of a batch, and its processors have threads. The messages are
OTLP's own, filled from the events, sent from the shipper's thread, and judged by the back end's answer.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clues.event import Sample
from clues.faults import Faults
from clues.publishers.choice import Choice
from clues.publishers.delivery import Refusal, Sent
from clues.publishers.lines import event_of
from clues.publishers.otlp_answers import Line
from clues.publishers.otlp_batch import Told, Writer
from clues.publishers.otlp_export import Exported, export
from clues.publishers.otlp_ids import PropagationStyle, spans_of
from clues.publishers.otlp_meter import Meter, NotExportedError
from clues.publishers.otlp_resource import Attributes
from clues.publishers.otlp_settings import GRPC, Target
from clues.publishers.otlp_spans import has_span
from clues.publishers.otlp_values import nanoseconds


@dataclass(frozen=True, slots=True)
class Plan:
    """What is delivered, and where to.

    Attributes:
        name: the destination's.
        targets: by signal; signals that are not wanted are missing.
        resource: the service's attributes.
        place: tells this shipper's counts from others'.
        propagation: what process spans are to their creation.
        choice: which events become logs and spans; all are counted.
        metrics_interval: the least seconds between two exports of metrics.
    """

    name: str
    targets: Mapping[str, Target]
    resource: Attributes
    place: str
    propagation: PropagationStyle
    choice: Choice
    metrics_interval: float


class OTLPDestination:
    """OpenTelemetry, as the shipper sees it."""

    max_events = 1024
    max_bytes = 1_000_000  # servers of gRPC take 4 MB

    def __init__(
        self,
        plan: Plan,
        *,
        clock: Callable[[], float] = time.time,
        faults: Faults | None = None,
        line_to: Callable[[Target], Line] | None = None,
    ) -> None:
        """Prepare; connections are made when they are needed.

        Args:
            plan: what, and where to.
            clock: epoch seconds.
            faults: counts and says what harms no event.
            line_to: makes a connection.

        Raises:
            OSError: a certificate can't be read.
        """
        self.name: str = plan.name
        self._plan = plan
        self._clock = clock
        self._faults = faults or Faults()
        self._lines = {signal: (line_to or connected)(target) for signal, target in plan.targets.items()}
        self._writer = Writer(plan.resource, socket.gethostname(), plan.place)
        self._meter: Meter | None = None
        if "metrics" in self._lines:
            self._meter = Meter(self._lines["metrics"], self._writer, plan.metrics_interval, clock)
        self._logged: set[bytes] = set()  # of what is to be sent again, what has its log record already

    def send(self, batch: Sequence[bytes], /) -> Sent:
        """Deliver lines: their logs, then spans of those whose logs were taken, then count what is done with."""
        told, unreadable = self._read(batch)
        choice = self._plan.choice
        chosen = told if choice.everything else [one for one in told if choice.wants(one.line)]
        logs = self._send_logs(chosen)
        spans = self._send_spans(logs.done)
        refused = [(one, f"logs: {reason}") for one, reason in logs.refused]
        refused += [(one, f"spans: {reason}") for one, reason in spans.refused]
        retry = [one.line for one in (*logs.again, *spans.again)]
        self._remember(logs.done, {*retry})
        self._count(told, {*retry, *(one.line for one, _ in refused)})
        self._tell(logs, spans)
        if not retry:
            self._export_metrics()
        return Sent(
            retry=retry,
            refused=[*unreadable, *(Refusal(one.line, reason) for one, reason in refused)],
            problem=logs.problem or spans.problem,
            retry_after=max(
                (after for after in (logs.retry_after, spans.retry_after) if after is not None), default=None
            ),
        )

    def send_samples(self, samples: Iterable[Sample], /) -> None:
        """Take states, and export metrics if it is time.

        Raises:
            NotExportedError: they were not taken; they go with the next export.
        """
        if self._meter is not None:
            self._meter.take(samples)
            self._meter.export_if_due(self._plan.targets["metrics"].timeout)

    def state(self) -> Mapping[str, Any]:
        """The counts, so that a restart goes on with them."""
        return {} if self._meter is None else self._meter.state()

    def restore(self, state: Mapping[str, Any], /) -> None:
        """Go on with the counts that `state` gave."""
        if self._meter is not None:
            self._meter.restore(state)

    def close(self) -> None:
        """Export the last counts, in a short time, and let go of the connections."""
        try:
            if self._meter is not None:
                self._meter.close(self._plan.targets["metrics"].timeout)
        except NotExportedError as error:
            self._faults.report(self.name, error, "the last counts come with the next start")
        finally:
            for line in self._lines.values():
                with contextlib.suppress(Exception):
                    line.close()

    def _read(self, batch: Sequence[bytes]) -> tuple[list[Told], list[Refusal]]:
        told: list[Told] = []
        unreadable: list[Refusal] = []
        for line in batch:
            try:
                event = event_of(line)
                at = nanoseconds(event.timestamp)
            except ValueError as error:
                unreadable.append(Refusal(line, str(error)[:300]))
            else:
                told.append(Told(line, event, at, spans_of(event.metadata, self._plan.propagation)))
        return told, unreadable

    def _send_logs(self, told: list[Told]) -> Exported:
        if "logs" not in self._lines:
            return Exported(done=told)
        logged = self._logged
        before = [one for one in told if one.line in logged] if logged else []
        fresh = [one for one in told if one.line not in logged] if logged else told
        now = round(self._clock() * 1e9)
        found = export(
            self._lines["logs"], lambda part: self._writer.logs(part, now), fresh, self._plan.targets["logs"].timeout
        )
        found.done += before
        return found

    def _send_spans(self, told: list[Told]) -> Exported:
        if "traces" not in self._lines:
            return Exported(done=told)
        traced = [one for one in told if one.spans is not None and has_span(one.event, one.spans)]
        return export(self._lines["traces"], self._writer.spans, traced, self._plan.targets["traces"].timeout)

    def _remember(self, logged: list[Told], retry: set[bytes]) -> None:
        """Keep which lines have their log record already and come again; all others are done with."""
        if not (self._logged or retry):
            return
        lines = {one.line for one in logged}
        self._logged = (self._logged - lines) | (lines & retry)
        if len(self._logged) > 8 * self.max_events:  # they were given up, and never came again
            self._logged = lines & retry

    def _count(self, told: list[Told], left: set[bytes]) -> None:
        if self._meter is not None:
            for one in told:
                if not left or one.line not in left:
                    self._meter.count(one.event)

    def _tell(self, *found: Exported) -> None:
        for one in found:
            if one.left_out:
                self._faults.report(self.name, LeftOutError(one.left_out), "they are lost to it")

    def _export_metrics(self) -> None:
        if self._meter is not None:
            try:
                self._meter.export_if_due(self._plan.targets["metrics"].timeout)
            except NotExportedError as error:
                self._faults.report(self.name, error, "metrics come with a later export")


class LeftOutError(Exception):
    """A back end took a request, but not all that was in it."""


def connected(target: Target) -> Line:
    """A connection by the target's protocol."""
    if target.protocol == GRPC:
        from clues.publishers.otlp_grpc import GrpcLine  # noqa: PLC0415 - HTTP needs no grpcio

        return GrpcLine(target)
    from clues.publishers.otlp_http import HttpLine  # noqa: PLC0415 - the same the other way round

    return HttpLine(target)
