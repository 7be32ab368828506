"""Whether a cluster is ready for events: if it isn't, the first of them would decide the mapping of all."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

from clues.publishers.elasticsearch_client import Client
from clues.publishers.elasticsearch_documents import Target

_MISSING = 404


def is_set_up(client: Client, target: Target) -> bool:
    """Whether documents would find their mappings; True too where that can't be told, for want of rights say."""
    index = quote(target.index(datetime.now(UTC)))
    answer = client.ask("GET", f"/{index}/_mapping")
    if answer.status == 200 and isinstance(answer.body, dict):  # noqa: PLR2004
        found = [part.get("mappings") for part in answer.body.values() if isinstance(part, dict)]
        return not found or any(map(_takes_metadata, found))
    if answer.status != _MISSING:
        return True
    answer = client.ask("POST", f"/_index_template/_simulate_index/{index}")
    if answer.status != 200 or not isinstance(answer.body, dict):  # noqa: PLR2004
        return True
    template = answer.body.get("template")
    return _takes_metadata(template.get("mappings") if isinstance(template, dict) else None)


def _takes_metadata(mappings: object) -> bool:
    found = mappings
    for key in ("properties", "clues", "properties", "metadata", "type"):
        found = found.get(key) if isinstance(found, dict) else None
    return isinstance(found, str) and found in {"flattened", "flat_object"}
