"""Dashboards into a running Kibana, by its import of saved objects."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from clues.cli.setup_http import Answer, Site
from clues.dashboards_source import kibana
from clues.dashboards_source.files import for_kibana

_NEEDS = "the Kibana privilege Saved Objects Management: All"
_OK = 200


def install(
    site: Site, *, space: str = "", index: str = kibana.STREAMS, labels: tuple[str, ...] = ()
) -> Iterator[tuple[str, str, str]]:
    """Import all, over what an earlier import has left; gives what was done, to what, and a word more.

    Args:
        site: the Kibana.
        space: which of its spaces; the default one if empty.
        index: the indices that the dashboards look at.
        labels: fields of metadata, or of documents, that have a panel each.

    Raises:
        SetupRefusedError: it refused something.
    """
    objects = kibana.saved_objects(for_kibana(labels) if labels else for_kibana(), index=index)
    inside = f"/s/{quote(space, safe='')}" if space else ""
    headers = {**site.headers, "kbn-xsrf": "clues"}  # without it Kibana takes no POST
    guarded = Site(site.url, headers, site.verified)
    path = f"{inside}/api/saved_objects/_import?overwrite=true"
    answer = guarded.upload(path, "clues.ndjson", kibana.ndjson(objects).encode())
    if answer.status != _OK or not isinstance(answer.body, dict):
        raise site.refused("the import", answer, _NEEDS)
    if not answer.body.get("success"):
        raise site.refused("the import", Answer(answer.status, {"message": _errors(answer)}), _NEEDS)
    before = {(one["type"], one["id"]) for one in answer.body.get("successResults", ()) if one.get("overwrite")}
    for one in objects:
        if one["type"] != "search":  # they are part of their dashboards
            title = one["attributes"].get("name") or one["attributes"]["title"]
            place = f"{site.url}{inside}/app/dashboards#/view/{one['id']}" if one["type"] == "dashboard" else ""
            what = "data view" if one["type"] == "index-pattern" else one["type"]
            yield "updated" if (one["type"], one["id"]) in before else "installed", f"{what} {title}", place


def _errors(answer: Answer) -> str:
    found = answer.body.get("errors", ())
    return "; ".join(f"{one.get('type')} {one.get('id')}: {one.get('error', {}).get('type')}" for one in found)
