"""Strict stand-ins for the APIs of Grafana and Kibana, of our own making: no real one could be had.

Grafana: /api/folders, /api/dashboards/uid, /api/dashboards/db. Kibana: /api/saved_objects/_import with its multipart
form, header `kbn-xsrf`, references that must be there, and the types and versions that Kibana 8.9 knows.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Reply = tuple[int, Any]


class Fake:
    """What a server has, and who may ask.

    Attributes:
        authorization: what that header must be; anything if empty.
        asked: the requests so far.
    """

    def __init__(self, authorization: str = "") -> None:
        self.authorization = authorization
        self.asked: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.url = ""

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Reply:
        raise NotImplementedError


class Grafana(Fake):
    """Folders and dashboards."""

    def __init__(self, authorization: str = "") -> None:
        super().__init__(authorization)
        self.folders: dict[str, dict[str, Any]] = {}
        self.dashboards: dict[str, tuple[dict[str, Any], str]] = {}
        self.provisioned = False

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Reply:
        match method, path.split("/")[2:]:
            case "GET", ["folders", uid]:
                return (200, self.folders[uid]) if uid in self.folders else (404, {"message": "folder not found"})
            case "POST", ["folders"]:
                return self._new_folder(_json(headers, body))
            case "GET", ["dashboards", "uid", uid]:
                if uid not in self.dashboards:
                    return 404, {"message": "Dashboard not found"}
                dashboard, folder = self.dashboards[uid]
                return 200, {"dashboard": dashboard, "meta": {"folderUid": folder, "provisioned": self.provisioned}}
            case "POST", ["dashboards", "db"]:
                return self._save(_json(headers, body))
        return 404, {"message": "Not found"}

    def _new_folder(self, given: dict[str, Any]) -> Reply:
        assert given.keys() <= {"uid", "title", "parentUid"}
        if not given.get("title"):
            return 400, {"message": "folder title cannot be empty"}
        if given["uid"] in self.folders:
            return 412, {"message": "a folder with that UID already exists"}
        if any(folder["title"] == given["title"] for folder in self.folders.values()):  # as Grafana 10 has it
            return 409, {"message": "a folder with the same name already exists in the current location"}
        self.folders[given["uid"]] = {"id": len(self.folders) + 1, **given}
        return 200, self.folders[given["uid"]]

    def _save(self, given: dict[str, Any]) -> Reply:
        assert given.keys() <= {"dashboard", "folderUid", "folderId", "message", "overwrite", "refresh"}
        dashboard = given["dashboard"]
        if self.provisioned:
            return 400, {"message": "Cannot save provisioned dashboard"}
        if given.get("folderUid") not in self.folders:
            return 400, {"message": "folder not found"}
        if not dashboard.get("title") or len(dashboard["uid"]) > 40:
            return 400, {"message": "bad dashboard"}
        before = self.dashboards.get(dashboard["uid"])
        if dashboard.get("id") is not None and before is None:
            return 404, {"message": "Dashboard not found"}
        if before is not None and not given.get("overwrite") and before[0]["version"] != dashboard.get("version"):
            return 412, {"status": "version-mismatch", "message": "The dashboard has been changed by someone else"}
        version = before[0]["version"] + 1 if before else 1
        number = before[0]["id"] if before else len(self.dashboards) + 1
        self.dashboards[dashboard["uid"]] = ({**dashboard, "id": number, "version": version}, given["folderUid"])
        return 200, {"id": number, "uid": dashboard["uid"], "status": "success", "version": version}


class Kibana(Fake):
    """Saved objects, by space."""

    def __init__(self, authorization: str = "") -> None:
        super().__init__(authorization)
        self._types = {"index-pattern": (8, 0, 0), "dashboard": (8, 9, 0), "search": (8, 0, 0)}
        self.spaces: dict[str, dict[tuple[str, str], dict[str, Any]]] = {"": {}, "jobs": {}}

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Reply:
        url = urlsplit(path)
        space, rest = "", url.path
        if rest.startswith("/s/"):
            space, rest = rest[3:].split("/", 1)
            rest = f"/{rest}"
        if space not in self.spaces or (method, rest) != ("POST", "/api/saved_objects/_import"):
            return 404, {"statusCode": 404, "error": "Not Found", "message": "Not Found"}
        if "kbn-xsrf" not in headers:
            return 400, {"statusCode": 400, "message": "Request must contain a kbn-xsrf header."}
        query = parse_qs(url.query)
        assert query.keys() <= {"overwrite", "createNewCopies", "compatibilityMode"}
        return 200, self._import(self.spaces[space], _form(headers, body), overwrite=query.get("overwrite") == ["true"])

    def _import(self, there: dict[tuple[str, str], Any], text: bytes, *, overwrite: bool) -> dict[str, Any]:
        objects = [json.loads(line) for line in text.splitlines()]
        known = {*there, *((one["type"], one["id"]) for one in objects)}
        errors, results = [], []
        for one in objects:
            key = one["type"], one["id"]
            error = self._error(one, known) or ("conflict" if key in there and not overwrite else "")
            told = {"type": one["type"], "id": one["id"], "meta": {}}
            if error:
                errors.append({**told, "error": {"type": error}})
            else:
                results.append({**told, **({"overwrite": True} if key in there else {})})
        if not errors:
            there.update({(one["type"], one["id"]): one for one in objects})
        answer = {"success": not errors, "successCount": len(results), "warnings": [], "successResults": results}
        return {**answer, "errors": errors} if errors else answer

    def _error(self, one: dict[str, Any], known: set[tuple[str, str]]) -> str:
        assert one.keys() == {"type", "id", "attributes", "references", "coreMigrationVersion", "typeMigrationVersion"}
        if one["type"] not in self._types:
            return "unsupported_type"
        if tuple(map(int, one["typeMigrationVersion"].split("."))) > self._types[one["type"]]:
            return "unknown"  # written by a newer Kibana
        if any((reference["type"], reference["id"]) not in known for reference in one["references"]):
            return "missing_references"
        return ""


class Elsewhere(Fake):
    """Sends everybody to another place."""

    def __init__(self, place: str) -> None:
        super().__init__()
        self.place = place

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Reply:
        return 302, {}


@contextmanager
def serving(fake: Fake) -> Iterator[str]:
    """The URL of a fake."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(fake))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        fake.url = f"http://127.0.0.1:{server.server_port}"
        yield fake.url
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(fake: Fake) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            fake.asked.append((self.command, self.path))
            fake.headers.append(headers)
            if fake.authorization and headers.get("authorization") != fake.authorization:
                status, answer = 401, {"message": "Unauthorized"}
            else:
                status, answer = fake.answer(self.command, self.path, headers, body)
            text = json.dumps(answer).encode()
            self.send_response(status)
            if isinstance(fake, Elsewhere):
                self.send_header("Location", fake.place)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET: Callable[[Any], None] = _any
        do_POST: Callable[[Any], None] = _any

        def log_message(self, *args: object) -> None: ...

    return Handler


def _json(headers: dict[str, str], body: bytes) -> dict[str, Any]:
    assert headers["content-type"] == "application/json"
    found: dict[str, Any] = json.loads(body)
    return found


def _form(headers: dict[str, str], body: bytes) -> bytes:
    kind = headers["content-type"]
    assert kind.startswith("multipart/form-data; boundary=")
    message: Any = BytesParser().parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
    (part,) = message.get_payload()
    assert part.get_param("name", header="content-disposition") == "file"
    assert part.get_filename().endswith(".ndjson")
    found = part.get_payload(decode=True)
    assert isinstance(found, bytes)
    return found
