"""The clients of Elasticsearch and OpenSearch, so far as events need them: one request, one answer."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

from clues.errors import CluesError
from clues.publishers.delivery import with_advice


class UnreachableError(CluesError):
    """The cluster gave no answer, or none that its client understands."""

    def __init__(self, place: str, error: object) -> None:
        super().__init__(with_advice(f"can't reach {place}: {shortened(error)}", "ca_certs="))


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said.

    Attributes:
        status: the HTTP status.
        body: the body; a decoded one, where it is JSON.
        headers: by their lower-case names, where the client tells them.
    """

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def reason(self) -> str:
        """What an error's body says, short."""
        return shortened(self.body.get("error", self.body) if isinstance(self.body, dict) else self.body)

    @property
    def retry_after(self) -> float | None:
        """Seconds for which the server asked to be left alone."""
        asked = self.headers.get("retry-after", "")
        try:
            return max(float(asked), 0.0)
        except ValueError:
            pass
        try:
            return max((parsedate_to_datetime(asked) - datetime.now(UTC)).total_seconds(), 0.0)
        except (TypeError, ValueError, OverflowError):
            return None


def _zipped(body: bytes | None, headers: dict[str, str]) -> bytes | None:
    """A body compressed, and said so: quickly, for the clients' own way takes four times as long for a third less."""
    if not body:
        return body
    headers["content-encoding"] = "gzip"
    return gzip.compress(body, 1, mtime=0)


class Client(Protocol):
    """A connection to a cluster.

    Attributes:
        place: which cluster, without secrets.
    """

    place: str

    def ask(self, method: str, path: str, body: bytes | None = None, *, kind: str = "application/json") -> Answer:
        """Make one request; a server's error is an answer too.

        Raises:
            UnreachableError: there was no answer.
        """

    def close(self) -> None:
        """Let go of connections."""


class AsIs:
    """Elastic's client's serializer for bulk requests: theirs ends each with a newline, be it compressed or not."""

    mimetype = "application/x-ndjson"

    def dumps(self, data: bytes) -> bytes:
        """Nothing to do."""
        return data

    def loads(self, data: bytes) -> bytes:
        """Nothing to do, either."""
        return data


class ElasticsearchClient:
    """Elastic's client, of version 8 or 9."""

    def __init__(self, client: Any, place: str, timeout: float, *, zips: bool = False) -> None:
        self.place = place
        self._client = client
        self._timeout = timeout
        self._zips = zips

    def ask(self, method: str, path: str, body: bytes | None = None, *, kind: str = "application/json") -> Answer:
        """Make one request."""
        from elastic_transport import TransportError  # noqa: PLC0415 - comes with the client

        # The transport, not the client: that would mark its own major version as the only one that may answer, and
        # raise for what is an answer to us. Authorization is among the client's headers.
        headers = {**getattr(self._client, "_headers", {}), "accept": "application/json"}
        if body is not None:
            headers["content-type"] = kind
        if self._zips:
            headers["accept-encoding"] = "gzip"
            body = _zipped(body, headers)
        try:
            meta, found = self._client.transport.perform_request(
                method,
                path,
                body=body,
                headers=headers,
                request_timeout=self._timeout,
                max_retries=0,
                retry_on_status=(),
                retry_on_timeout=False,
            )
        except TransportError as error:
            raise UnreachableError(self.place, error.message) from error
        except RecursionError as error:  # JSON that is deeper than any answer
            raise UnreachableError(self.place, error) from error
        return Answer(meta.status, found, {name.lower(): value for name, value in meta.headers.items()})

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()


class OpenSearchClient:
    """OpenSearch's client."""

    def __init__(self, client: Any, place: str, timeout: float, *, zips: bool = False) -> None:
        self.place = place
        self._client = client
        self._timeout = timeout
        self._zips = zips

    def ask(self, method: str, path: str, body: bytes | None = None, *, kind: str = "application/json") -> Answer:
        """Make one request."""
        from opensearchpy.exceptions import OpenSearchException, TransportError  # noqa: PLC0415 - an extra

        headers = {"accept": "application/json", "content-type": kind}
        if self._zips:
            headers["accept-encoding"] = "gzip"
            body = _zipped(body, headers)
        try:
            found = self._client.transport.perform_request(
                method,
                path,
                headers=headers,
                params={"request_timeout": self._timeout},
                body=body,
            )
        except TransportError as error:
            if not isinstance(error.status_code, int):
                raise UnreachableError(self.place, error.error) from error
            return Answer(error.status_code, error.info if isinstance(error.info, dict) else error.error)
        except (OpenSearchException, RecursionError) as error:  # the latter for JSON that is deeper than any answer
            raise UnreachableError(self.place, error) from error
        return Answer(200, found)

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()


def shortened(error: object) -> str:
    """Type and reason of an Elasticsearch error, or whatever a proxy said, in a line."""
    if isinstance(error, Mapping):
        cause = error.get("caused_by")
        parts: Sequence[object] = (error.get("type"), error.get("reason"), _reason_of(cause))
        text = ": ".join(_text(part) for part in parts if part)
    else:
        text = _text(error or "")
    text = " ".join(text.split())
    return text if len(text) <= 300 else f"{text[:299]}…"  # noqa: PLR2004 - a line or two of a terminal


def _text(value: object) -> str:
    try:
        return str(value)
    except (RecursionError, ValueError):  # deeper, or a number longer, than Python writes
        return f"a {type(value).__name__} beyond all bounds"


def _reason_of(cause: object) -> object:
    return cause.get("reason") if isinstance(cause, Mapping) else None
