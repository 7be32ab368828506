"""Who may see the page, and who may not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.web.serving import Site, serving
from tests.web.worlds import fail, failure


@pytest.fixture(scope="module")
def site(redis_server: Any) -> Iterator[Site]:
    with serving("--write", "--allow-host", "clues.example.com", redis_url=redis_server.url) as site:
        yield site


@pytest.fixture
def cookie(site: Site) -> dict[str, str]:
    entered = site.ask(f"?token={site.token}")
    return {"Cookie": entered.headers["set-cookie"].partition(";")[0]}


def test_without_the_token_nothing_is_told(site: Site) -> None:
    for path in ("", "api/state", "api/glance", "api/stream", "metrics", "static/app.js", "vendor/uplot/LICENSE"):
        assert site.ask(path).status == 401, path
        assert site.ask(f"{path}?token=wrong").status == 401, path
    assert site.ask("api/state", headers={"Authorization": "Bearer wrong"}).status == 401
    assert site.ask("api/state", headers={"Cookie": f"clues-web-{site.port}={site.token}"}).status == 401


def test_the_token_is_exchanged_for_a_cookie(site: Site, cookie: dict[str, str]) -> None:
    entered = site.ask(f"?token={site.token}&x=1")
    assert (entered.status, entered.headers["location"]) == (303, "./?x=1")
    assert {"HttpOnly", "SameSite=lax"} <= set(entered.headers["set-cookie"].split("; "))
    assert site.token not in entered.headers["set-cookie"]
    assert site.ask("", headers=cookie).status == 200
    assert site.ask("api/state", headers=cookie).json["write"] is True


def test_what_is_answered_runs_no_script_but_ours(site: Site) -> None:
    for path in ("", "api/state", "api/nothing", "metrics"):
        headers = site.ask(path, headers=site.bearer).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "[", "192.168.1.1"])
def test_a_name_that_is_not_ours(site: Site, host: str) -> None:
    """A page that has its own name lead to 127.0.0.1 learns nothing, even with the token."""
    assert site.ask("api/state", headers={**site.bearer, "Host": host}).status in {400, 421}


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]:80", "clues.example.com", "CLUES.example.com:443"])
def test_names_that_are_ours(site: Site, host: str) -> None:
    assert site.ask("api/state", headers={**site.bearer, "Host": host}).status == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://{host}.evil.example"}, 403),
        ({"Origin": "http://{host}", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "http://{host}", "Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "http://{host}", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "http://{host}"}, 200),
    ],
)
def test_forged_requests(site: Site, cookie: dict[str, str], headers: dict[str, str], status: int, redis: Any) -> None:
    fail(redis, [failure(1)])
    (found,) = site.get("failures")["failures"]
    given = {name: value.format(host=f"127.0.0.1:{site.port}") for name, value in headers.items()}
    body = {"index": found["index"], "id": found["id"]}
    assert site.ask("api/remove", body=body, headers={**cookie, **given}).status == status
    assert redis.llen("resque:failed") == (0 if status == 200 else 1)


def test_what_changes_things_is_never_asked_for_by_get(site: Site) -> None:
    for name in ("retry", "remove", "retry-all", "remove-all", "pause", "resume", "stop-operation"):
        assert site.ask(f"api/{name}", headers=site.bearer).status == 405


@pytest.mark.usefixtures("redis")
def test_read_only_unless_asked_for(redis_server: Any) -> None:
    with serving(redis_url=redis_server.url) as site:
        assert site.get("state")["write"] is False
        for name in ("retry", "remove", "retry-all", "remove-all", "pause", "resume", "stop-operation"):
            answer = site.post(name, {"index": 0, "id": "x", "list": "failed"})
            assert (answer.status, "--write" in answer.text) == (403, True)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'"x"', b"\xff", b"{" + b" " * 70_000 + b"}"])
def test_bodies_that_are_none(site: Site, body: bytes) -> None:
    import urllib.error
    import urllib.request

    request = urllib.request.Request(site.base + "api/retry", body, site.bearer)
    with pytest.raises(urllib.error.HTTPError) as found:
        urllib.request.urlopen(request)
    with found.value as error:
        assert error.code in {400, 413}


def test_paths_lead_to_our_files_only(site: Site) -> None:
    for path in ("static/../application.py", "static/%2e%2e/application.py", "vendor/..%2f..%2fetc/passwd", "static/"):
        assert site.ask(path, headers=site.bearer).status == 404, path


def test_metrics_may_be_open(redis_server: Any) -> None:
    with serving("--metrics-open", redis_url=redis_server.url) as site:
        assert site.ask("metrics").status == 200
        assert site.ask("api/state").status == 401
        assert site.ask("metrics", headers={"Host": "evil.example"}).status == 421
