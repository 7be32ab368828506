"""Elasticsearch as the shipper sees it: lines become bulk requests, and the answer says what became of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from clues.publishers.delivery import Refusal, Sent
from clues.publishers.elasticsearch_client import Answer, Client, shortened
from clues.publishers.elasticsearch_documents import Target
from clues.publishers.elasticsearch_quick import writer
from clues.publishers.elasticsearch_ready import is_set_up

MAX_EVENTS = 2_000
MAX_BYTES = 5 * 1024 * 1024

_CONFLICT = 409
_TOO_LARGE = 413
_FORBIDDEN = {401, 403}
_BUSY = {408, 429}
_SERVER_ERROR = 500
# What the cluster's operator sets right, and no document's fault: disks are full, rights are missing, an index may not
# be made. Such events wait.
_NOT_THE_DOCUMENT = {
    "cluster_block_exception",
    "index_closed_exception",
    "index_not_found_exception",
    "security_exception",
    "validation_exception",  # the cluster has as many shards as it may have
}


class ElasticsearchError(Exception):
    """The cluster takes nothing until its operator, or ours, has set something right."""


def destination_name(place: str, target: Target) -> str:
    """What tells a destination from others."""
    return f"elasticsearch:{place}/{target.name}{'-*' if target.dated else ''}"


# Of the answer, what is looked at: else it is as large as the request, and dearer to read than that was to write.
_BULK = "/_bulk?filter_path=errors,error,status,items.*.status,items.*.error"


class _Entry(NamedTuple):
    line: bytes
    body: bytes


class ElasticsearchDestination:
    """Creates a document for each event, in a data stream or an index.

    A document's id is its event's, so what is sent twice is there once: a conflict is a success.
    """

    def __init__(
        self, client: Client, target: Target, *, chart: Sequence[str] = (), max_bytes: int = MAX_BYTES
    ) -> None:
        self.name: str = f"elasticsearch:{client.place}/{target.name}{'-*' if target.dated else ''}"
        self.max_events = MAX_EVENTS
        self.max_bytes = max_bytes
        self._client = client
        self._target = target
        self._write = writer(target, chart)
        self._set_up = False

    def send(self, batch: Sequence[bytes], /) -> Sent:
        """Deliver lines.

        Raises:
            ElasticsearchError: it is not set up, or the request was refused as a whole, for want of rights say.
        """
        self._check_set_up()
        entries, refused = self._read(batch)
        sent = self._deliver(entries) if entries else Sent()
        return Sent(sent.retry, [*refused, *sent.refused], sent.problem, sent.retry_after)

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()

    def _check_set_up(self) -> None:
        if not self._set_up and not is_set_up(self._client, self._target):
            msg = f"{self._target.name} has no mappings for events; they wait until you run: clues setup elasticsearch"
            raise ElasticsearchError(msg)
        self._set_up = True

    def _read(self, batch: Sequence[bytes]) -> tuple[list[_Entry], list[Refusal]]:
        entries, refused = [], []
        write = self._write
        for line in batch:
            try:
                entries.append(_Entry(line, write(line)))
            except ValueError as error:
                refused.append(Refusal(line, shortened(error)))
        return entries, refused

    def _deliver(self, entries: Sequence[_Entry]) -> Sent:
        body = b"".join([entry.body for entry in entries])
        answer = self._client.ask("POST", _BULK, body, kind="application/x-ndjson")
        if answer.status == _TOO_LARGE:
            return self._deliver_halves(entries)
        if answer.status in _BUSY or answer.status >= _SERVER_ERROR:
            problem = f"HTTP {answer.status} {answer.reason}".rstrip()
            return Sent([entry.line for entry in entries], (), problem, answer.retry_after)
        if answer.status >= 300:  # noqa: PLR2004 - neither success nor anything that passes
            raise ElasticsearchError(_why(answer))
        items = _items(answer, len(entries))
        return Sent([], []) if answer.body.get("errors") is False else _sorted_out(entries, items)

    def _deliver_halves(self, entries: Sequence[_Entry]) -> Sent:
        if len(entries) == 1:
            return Sent(refused=[Refusal(entries[0].line, f"HTTP 413: {len(entries[0].body)} bytes are too many")])
        half = len(entries) // 2
        first = self._deliver(entries[:half])
        if first.retry:  # don't press on
            rest = [entry.line for entry in entries[half:]]
            return Sent([*first.retry, *rest], first.refused, first.problem, first.retry_after)
        second = self._deliver(entries[half:])
        return Sent(second.retry, [*first.refused, *second.refused], second.problem, second.retry_after)


def _sorted_out(entries: Sequence[_Entry], items: Sequence[Any]) -> Sent:
    retry, refused, problem = [], [], ""
    for entry, item in zip(entries, items, strict=True):
        status, error = _result(item)
        # What went to the failure store is among the successes: its document was taken, and is there to be mended.
        if status < 300 or status == _CONFLICT:  # noqa: PLR2004
            continue
        if _passes(status, error):
            retry.append(entry.line)
            problem = problem or f"{status} {shortened(error)}"
        else:
            refused.append(Refusal(entry.line, shortened(error) or f"status {status}"))
    return Sent(retry, refused, problem)


def _result(item: object) -> tuple[int, object]:
    """What became of one document: a status, and an error or nothing."""
    result = next(iter(item.values()), None) if isinstance(item, dict) else None
    if not isinstance(result, dict) or type(result.get("status")) is not int:
        msg = f"this is no answer of Elasticsearch's to a bulk request: {shortened(item)}"
        raise ElasticsearchError(msg)
    return result["status"], result.get("error") or {}


def _passes(status: int, error: object) -> bool:
    kind = error.get("type") if isinstance(error, dict) else None
    by_its_kind = isinstance(kind, str) and kind in _NOT_THE_DOCUMENT
    return by_its_kind or status in _BUSY | _FORBIDDEN or status >= _SERVER_ERROR


def _items(answer: Answer, wanted: int) -> list[Any]:
    body = answer.body
    items = body.get("items") if isinstance(body, dict) else None
    if not isinstance(items, list) or len(items) != wanted:
        msg = f"this is no answer of Elasticsearch's to a bulk request: {shortened(body)}"
        raise ElasticsearchError(msg)
    return items


def _why(answer: Answer) -> str:
    said = f"HTTP {answer.status} {answer.reason}".rstrip()
    if answer.status in _FORBIDDEN:
        return f"{said}; check the user or API key: it needs the privileges create_doc and auto_configure"
    return said
