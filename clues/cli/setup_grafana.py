"""Dashboards into a running Grafana, by its HTTP API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from clues.cli.setup_http import Site
from clues.dashboards_source import grafana
from clues.dashboards_source.files import DASHBOARDS

FOLDER = "clues"
_NEEDS = "the permissions folders:create, dashboards:create and dashboards:write, as Editors have them"
_MISSING, _OK, _CONFLICT = 404, 200, {409, 412}
_ITS_OWN = ("id", "version")  # which Grafana keeps for itself


def install(site: Site, *, folder: str = "clues") -> Iterator[tuple[str, str, str]]:
    """Install what is missing, update what differs; gives what was done, to what, and a word more.

    Args:
        site: the Grafana.
        folder: the title of the dashboards' folder, if it is not there yet.

    Raises:
        SetupRefusedError: it refused something.
    """
    yield _folder(site, folder), f"folder {folder}", ""
    for described in DASHBOARDS:
        wanted = grafana.dashboard(described)
        yield _dashboard(site, wanted), f"dashboard {described.title}", f"{site.url}/d/{described.uid}"


def _folder(site: Site, title: str) -> str:
    answer = site.ask("GET", f"/api/folders/{FOLDER}")
    if answer.status == _OK:
        return "unchanged"
    if answer.status != _MISSING:
        raise site.refused("the folder", answer, _NEEDS)
    answer = site.ask("POST", "/api/folders", {"uid": FOLDER, "title": title})
    if answer.status in _CONFLICT:
        return "unchanged"  # another has made it meanwhile
    if answer.status != _OK:
        raise site.refused("the folder", answer, _NEEDS)
    return "installed"


def _dashboard(site: Site, wanted: dict[str, Any]) -> str:
    answer = site.ask("GET", f"/api/dashboards/uid/{wanted['uid']}")
    if answer.status not in {_OK, _MISSING} or not isinstance(answer.body, dict):
        raise site.refused(wanted["title"], answer, _NEEDS)
    there = answer.body["dashboard"] if answer.status == _OK else None
    in_folder = answer.status == _OK and answer.body.get("meta", {}).get("folderUid") == FOLDER
    if there is not None and in_folder and _plain(there) == _plain(wanted):
        return "unchanged"
    body = {"dashboard": wanted, "folderUid": FOLDER, "message": "clues setup grafana", "overwrite": True}
    answer = site.ask("POST", "/api/dashboards/db", body)
    if answer.status != _OK:
        raise site.refused(wanted["title"], answer, _NEEDS)
    return "installed" if there is None else "updated"


def _plain(dashboard: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in dashboard.items() if name not in _ITS_OWN}
