"""Dashboards into a running Grafana, by its HTTP API."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from clues.cli.setup_http import SetupRefusedError, Site
from clues.dashboards_source import grafana
from clues.dashboards_source.files import DASHBOARDS

FOLDER = "clues"
_NEEDS = "the permissions folders:create, dashboards:create and dashboards:write, as Editors have them"
_OK, _CONFLICT = 200, {409, 412}
_MISSING = {404, 403}  # who is no admin is told 403 of what is not there
_NOT_YET = {403, 500}
_PATIENCE, _PAUSE = 75.0, 3.0
"""Seconds. Grafana keeps for a minute what a role may do: until then a service account that is an Editor can't write
into a folder that it has made itself."""
_SLOWLY = "Grafana may take a minute to let a service account into it"
_ITS_OWN = ("id", "version")  # which Grafana keeps for itself


def install(site: Site, *, folder: str = "clues") -> Iterator[tuple[str, str, str]]:
    """Install what is missing, update what differs; gives what was done, to what, and a word more.

    Args:
        site: the Grafana.
        folder: the title of the dashboards' folder, if it is not there yet.

    Raises:
        SetupRefusedError: it refused something.
    """
    done = _folder(site, folder)
    patience = _PATIENCE if done == "installed" else 0.0
    yield done, f"folder {folder}", _SLOWLY if patience else ""
    for described in DASHBOARDS:
        wanted = grafana.dashboard(described)
        yield _dashboard(site, wanted, patience), f"dashboard {described.title}", f"{site.url}/d/{described.uid}"


def _folder(site: Site, title: str) -> str:
    answer = site.ask("GET", f"/api/folders/{FOLDER}")
    if answer.status == _OK:
        return "unchanged"
    if answer.status not in _MISSING:
        raise site.refused("the folder", answer, _NEEDS)
    answer = site.ask("POST", "/api/folders", {"uid": FOLDER, "title": title})
    if answer.status in _CONFLICT:
        if site.ask("GET", f"/api/folders/{FOLDER}").status == _OK:
            return "unchanged"  # another has made it meanwhile
        msg = f"{site.url} has a folder {title!r} already, and takes no other of that title; say one with --folder"
        raise SetupRefusedError(msg)
    if answer.status != _OK:
        raise site.refused("the folder", answer, _NEEDS)
    return "installed"


def _dashboard(site: Site, wanted: dict[str, Any], patience: float) -> str:
    answer = site.ask("GET", f"/api/dashboards/uid/{wanted['uid']}")
    if answer.status not in {_OK, *_MISSING} or not isinstance(answer.body, dict):
        raise site.refused(wanted["title"], answer, _NEEDS)
    there = answer.body["dashboard"] if answer.status == _OK else None
    in_folder = answer.status == _OK and answer.body.get("meta", {}).get("folderUid") == FOLDER
    if there is not None and in_folder and _plain(there) == _plain(wanted):
        return "unchanged"
    if answer.status == _OK and answer.body.get("meta", {}).get("provisioned"):
        msg = f"{wanted['title']}: {site.url} has it from a file by provisioning; put the new file in its place"
        raise SetupRefusedError(msg)
    body = {"dashboard": wanted, "folderUid": FOLDER, "message": "clues setup grafana", "overwrite": True}
    deadline = time.monotonic() + patience
    while (answer := site.ask("POST", "/api/dashboards/db", body)).status in _NOT_YET and time.monotonic() < deadline:
        time.sleep(_PAUSE)
    if answer.status != _OK:
        raise site.refused(wanted["title"], answer, _NEEDS)
    return "installed" if there is None else "updated"


def _plain(dashboard: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in dashboard.items() if name not in _ITS_OWN}
