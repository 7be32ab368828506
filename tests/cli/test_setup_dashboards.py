"""``clues setup grafana`` and ``clues setup kibana``, against strict stand-ins of their APIs."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import pytest

from clues.cli import main
from clues.dashboards_source.files import DASHBOARDS
from tests.dashboards.fakes import Elsewhere, Grafana, Kibana, serving


@pytest.fixture
def grafana() -> Iterator[Grafana]:
    fake = Grafana()
    with serving(fake):
        yield fake


@pytest.fixture
def kibana() -> Iterator[Kibana]:
    fake = Kibana()
    with serving(fake):
        yield fake


def outcomes(text: str) -> list[str]:
    return [line.split()[0] for line in text.splitlines()]


def test_grafana(grafana: Grafana, capsys: pytest.CaptureFixture[str]) -> None:
    """Installed once; said again it changes nothing; what was edited by hand is put right."""
    assert main(["setup", "grafana", "--url", grafana.url]) == 0
    assert outcomes(capsys.readouterr().out) == ["installed"] * (1 + len(DASHBOARDS))
    assert grafana.dashboards.keys() == {one.uid for one in DASHBOARDS}
    assert {folder for _, folder in grafana.dashboards.values()} == {"clues"}
    assert main(["setup", "grafana", "--url", grafana.url]) == 0
    assert outcomes(capsys.readouterr().out) == ["unchanged"] * (1 + len(DASHBOARDS))
    grafana.dashboards["clues-slo"][0]["title"] = "edited"
    assert main(["setup", "grafana", "--url", grafana.url]) == 0
    assert outcomes(capsys.readouterr().out).count("updated") == 1
    assert grafana.dashboards["clues-slo"][0]["title"] == "clues: SLO"


def test_a_folder_of_that_title_is_not_ours(grafana: Grafana, capsys: pytest.CaptureFixture[str]) -> None:
    """Where Grafana takes a title once only, another one helps."""
    grafana.folders["mine"] = {"uid": "mine", "title": "clues"}
    assert main(["setup", "grafana", "--url", grafana.url]) == 1
    assert "--folder" in capsys.readouterr().err
    assert main(["setup", "grafana", "--url", grafana.url, "--folder", "jobs"]) == 0


def test_what_is_provisioned_is_put_right_in_its_file(grafana: Grafana, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["setup", "grafana", "--url", grafana.url]) == 0
    grafana.provisioned = True
    assert main(["setup", "grafana", "--url", grafana.url]) == 0  # the same already
    grafana.dashboards["clues-slo"][0]["title"] = "edited"
    assert main(["setup", "grafana", "--url", grafana.url]) == 1
    assert "provisioning" in capsys.readouterr().err


def test_kibana(kibana: Kibana, capsys: pytest.CaptureFixture[str]) -> None:
    """Imported once and over; each field that is asked for has a panel."""
    command = ["setup", "kibana", "--url", kibana.url, "--label", "plan", "--label", "customer_id"]
    assert main(command) == 0
    assert outcomes(capsys.readouterr().out) == ["installed"] * (1 + len(DASHBOARDS))
    assert main(command) == 0
    assert outcomes(capsys.readouterr().out) == ["updated"] * (1 + len(DASHBOARDS))
    panels = json.loads(kibana.spaces[""]["dashboard", "clues-overview"]["attributes"]["panelsJSON"])
    assert {"By labels.plan", "By labels.customer_id"} <= {panel["title"] for panel in panels}


def test_a_space_and_other_indices(kibana: Kibana) -> None:
    assert main(["setup", "kibana", "--url", kibana.url, "--space", "jobs", "--index", "jobs-*"]) == 0
    assert not kibana.spaces[""]
    assert kibana.spaces["jobs"]["index-pattern", "clues-events"]["attributes"]["title"] == "jobs-*"


@pytest.mark.parametrize("product", ["grafana", "kibana"])
@pytest.mark.parametrize("way", ["url", "user", "environment", "key", "header"])
def test_ways_in(product: str, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    basic = f"Basic {base64.b64encode(b'ann:s:3').decode()}"
    key = {"grafana": "Bearer k", "kibana": "ApiKey k"}[product]
    wanted = {"url": basic, "user": basic, "environment": basic, "key": key, "header": "Special x"}[way]
    fake = {"grafana": Grafana, "kibana": Kibana}[product](wanted)
    with serving(fake) as url:
        place = url.replace("http://", "http://ann:s%3A3@") if way == "url" else url
        if way == "environment":
            monkeypatch.setenv("CLUES_SETUP_USER", "ann:s:3")
        more = {
            "user": ["--user", "ann:s:3"],
            "key": ["--api-key", "k"],
            "header": ["--header", "Authorization: Special x"],
        }
        assert main(["setup", product, "--url", place, *more.get(way, [])]) == 0


@pytest.mark.parametrize("product", ["grafana", "kibana"])
def test_who_may_not_is_told_what_it_needs(product: str, capsys: pytest.CaptureFixture[str]) -> None:
    with serving({"grafana": Grafana, "kibana": Kibana}[product]("Bearer right")) as url:
        assert main(["setup", product, "--url", url.replace("://", "://ann:geheim@")]) == 1
    told = capsys.readouterr().err
    assert "HTTP 401" in told
    assert "it needs the" in told
    assert "geheim" not in told


@pytest.mark.parametrize("product", ["grafana", "kibana"])
@pytest.mark.parametrize(
    ("more", "code", "told"),
    [
        (["--url", "http://127.0.0.1:1"], 1, "can't be reached"),
        (["--url", "ftp://ann:geheim@host"], 2, "--url must be like"),
        (["--url", "http://x", "--header", "nonsense"], 2, "--header must be like"),
        (["--url", "http://x", "--user", "a:b", "--api-key", "k"], 2, "not both"),
    ],
)
def test_mistakes(product: str, more: list[str], code: int, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["setup", product, *more]) == code
    error = capsys.readouterr().err
    assert told in error
    assert "geheim" not in error


def test_kibana_says_what_it_does_not_take(kibana: Kibana, capsys: pytest.CaptureFixture[str]) -> None:
    kibana._types["dashboard"] = (8, 0, 0)  # an older one
    assert main(["setup", "kibana", "--url", kibana.url]) == 1
    assert "dashboard clues-overview: unknown" in capsys.readouterr().err


def test_a_server_that_is_something_else(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(Grafana()) as url:
        assert main(["setup", "kibana", "--url", url]) == 1
    with serving(Kibana()) as url:
        assert main(["setup", "grafana", "--url", url]) == 1
    assert capsys.readouterr().err.count("HTTP 404") == 2


@pytest.mark.parametrize("product", ["grafana", "kibana"])
def test_a_key_goes_to_no_other_server(product: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Redirects, as to a page to log in at, are told and not followed."""
    with serving(Grafana()) as other:
        fake = Elsewhere(f"{other}/login")
        with serving(fake) as url:
            assert main(["setup", product, "--url", url, "--api-key", "k"]) == 1
    assert "HTTP 302" in capsys.readouterr().err
    assert len(fake.asked) == 1
