"""The page, served as users serve it: by ``clues web``."""

from __future__ import annotations

import json
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.cli.running import start
from tests.waiting import wait_for


@dataclass(frozen=True)
class Answer:
    """What the page answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirects)


class Site:
    """A page that is served.

    Attributes:
        url: as it was printed, with the token.
        token: the token.
    """

    def __init__(self, url: str, process: subprocess.Popen[bytes]) -> None:
        self.url = url
        self.process = process
        self.base = url.partition("?")[0]
        self.token = parse_qs(urlsplit(url).query).get("token", [""])[0]
        self.port = urlsplit(url).port

    def ask(
        self, path: str, *, body: Any = None, headers: Mapping[str, str] | None = None, method: str | None = None
    ) -> Answer:
        """Ask without a token."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, dict(headers or {}), method=method)
        try:
            with _opener.open(request, timeout=60) as found:
                return Answer(found.status, dict(found.headers.items()), found.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, dict(error.headers.items()), error.read())

    def get(self, name: str, **query: Any) -> Any:
        """What the page is told, with the token."""
        found = self.ask(f"api/{name}?{urlencode(query)}", headers=self.bearer)
        assert found.status == 200, found.text
        return found.json

    def post(self, name: str, body: Any) -> Answer:
        """Have it change something, with the token."""
        return self.ask(f"api/{name}", body=body, headers=self.bearer)

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def ready(self) -> None:
        """Wait until the log is read."""
        wait_for(lambda: not self.get("state")["history"]["loading"], "the log's end")


@contextmanager
def serving(
    *args: str | Path, redis_url: str, log: Path | None = None, environ: Mapping[str, str] | None = None
) -> Iterator[Site]:
    """Serve a page for as long as the block lasts."""
    files = [] if log is None else [log]
    process = start("web", *files, "--port", "0", *args, environ={"REDIS_URL": redis_url, **(environ or {})})
    try:
        assert process.stdout is not None
        lines = []
        while line := process.stdout.readline().decode().strip():
            lines.append(line)
            if line.startswith("http://"):
                break
        assert lines, process.wait(30)
        assert lines[-1].startswith("http://"), lines
        site = Site(lines[-1], process)
        wait_for(lambda: _answers(site), "the page's answer")
        yield site
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.wait(30)
        if process.stdout is not None:
            process.stdout.close()


def _answers(site: Site) -> bool:
    try:
        return site.ask("").status in {200, 401}
    except OSError:
        return False
