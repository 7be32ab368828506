"""`clues setup elasticsearch` against a fake, and the JSON files that it installs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from clues.cli import main
from clues.errors import ConfigError
from clues.publishers.elasticsearch import target_of
from clues.publishers.elasticsearch_client import Answer
from clues.publishers.elasticsearch_ready import is_set_up
from clues.publishers.elasticsearch_server import Server
from clues.publishers.elasticsearch_setup import SetupError, Step, read, set_up
from tests.publishers.fake_elasticsearch import FakeElasticsearch, fake  # noqa: F401 - a fixture

pytest.importorskip("elasticsearch")

STREAM = target_of("default", None, dated=False)
POLICY = "/_ilm/policy/logs-clues.events%40lifecycle"


def outcomes(fake: FakeElasticsearch, **options: Any) -> list[str]:  # noqa: F811
    client = Server.of(fake.url).connect()
    return [step.outcome for step in set_up(client, STREAM, **options)]


def test_installed_once(fake: FakeElasticsearch) -> None:  # noqa: F811
    """The second time nothing is put."""
    assert outcomes(fake) == ["installed"] * 4
    puts = [text for text in fake.requests if text.startswith("PUT")]
    assert puts == [
        f"PUT {POLICY}",
        "PUT /_component_template/clues.events@mappings",
        "PUT /_component_template/clues.events@settings",
        "PUT /_index_template/logs-clues.events",
    ]
    assert outcomes(fake) == ["unchanged"] * 4
    assert [text for text in fake.requests if text.startswith("PUT")] == puts


def test_another_age(fake: FakeElasticsearch) -> None:  # noqa: F811
    """An age that was once chosen stays until another is asked for."""
    assert outcomes(fake, delete_after="90d") == ["installed"] * 4
    assert outcomes(fake) == ["unchanged"] * 4
    phases = fake.templates[POLICY]["policy"]["phases"]
    assert phases["delete"]["min_age"] == "90d"
    assert phases["hot"]["actions"]["rollover"]["max_age"] == "7d"
    assert outcomes(fake, delete_after="3d") == ["updated", *["unchanged"] * 3]
    assert fake.templates[POLICY]["policy"]["phases"]["hot"]["actions"]["rollover"]["max_age"] == "3d"


def test_what_was_edited_stays(fake: FakeElasticsearch) -> None:  # noqa: F811
    """Until clues itself has something newer."""
    outcomes(fake)
    path = "/_component_template/clues.events@settings"
    fake.templates[path]["template"]["settings"]["index"]["codec"] = "default"
    assert outcomes(fake) == ["unchanged"] * 4
    fake.templates[path]["_meta"]["clues"] = "older"
    assert outcomes(fake)[2] == "updated"


def test_without_lifecycle_management(fake: FakeElasticsearch) -> None:  # noqa: F811
    """The templates then don't name a policy: a server without ILM would refuse the setting."""
    fake.ilm = False
    assert outcomes(fake) == ["left out", *["installed"] * 3]
    assert "lifecycle" not in json.dumps(fake.templates["/_index_template/logs-clues.events"])
    fake.ilm = True
    assert outcomes(fake) == ["installed", "unchanged", "unchanged", "updated"]
    named = fake.templates["/_index_template/logs-clues.events"]["template"]["settings"]["index"]["lifecycle"]["name"]
    assert named == "logs-clues.events@lifecycle"


def test_indices(fake: FakeElasticsearch) -> None:  # noqa: F811
    client = Server.of(fake.url).connect()
    dated = list(set_up(client, target_of("default", "jobs", dated=True)))
    assert [step.outcome for step in dated] == ["installed"] * 4
    assert fake.templates["/_index_template/clues.events-jobs"]["index_patterns"] == ["jobs-*.*.*"]
    assert "rollover" not in json.dumps(fake.templates["/_ilm/policy/clues.events-jobs%40lifecycle"])
    policy, *_ = set_up(client, target_of("default", "one", dated=False))
    assert policy.outcome == "left out"
    assert fake.templates["/_index_template/clues.events-one"]["index_patterns"] == ["one"]


def test_command(fake: FakeElasticsearch, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    to = fake.url.replace("http", "elasticsearch+http")
    assert main(["setup", "elasticsearch", "--to", to, "--delete-after", "60d"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "installed  ILM policy logs-clues.events@lifecycle (deletes after 60d)"
    assert told[-1] == "installed  index template logs-clues.events"
    fake.authorization = "Basic x"
    assert main(["setup", "elasticsearch", "--to", to]) == 1
    assert "security_exception" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--to", "elasticsearch://127.0.0.1:1"], 1, "can't reach http://127.0.0.1:1"),
        (["--to", "nonsense"], 2, "is not a URL"),
        (["--to", "elasticsearch://127.0.0.1:1", "--delete-after", "soon"], 2, "an age is a number"),
        (["--to", "elasticsearch://127.0.0.1:1", "--namespace", "A B"], 2, "namespace must be"),
    ],
)
def test_command_says_what_is_wrong(
    arguments: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """As all commands do: 2 is for what was said, 1 for what happened."""
    assert main(["setup", "elasticsearch", *arguments]) == code
    assert message in capsys.readouterr().err


class OpenSearch:
    """An OpenSearch with index state management, as far as setting up asks; the runner of tests has none."""

    place = "fake"

    def __init__(self) -> None:
        self.policies: dict[str, Any] = {}
        self.puts: list[str] = []

    def ask(self, method: str, path: str, body: bytes | None = None, *, kind: str = "") -> Answer:
        path, _, query = path.partition("?")
        if method == "PUT":
            self.puts.append(f"{path}?{query}")
            self.policies[path] = json.loads(body or b"")
            return Answer(201, {})
        if path == "/":
            return Answer(200, {"version": {"distribution": "opensearch", "number": "2.19.1"}})
        if path == "/_plugins/_ism/policies":
            return Answer(200, {"policies": []})
        if path in self.policies and "ism" in path:
            return Answer(200, {"_seq_no": 3, "_primary_term": 1, **self.policies[path]})
        return Answer(404, {})

    def close(self) -> None: ...


def test_without_rights() -> None:
    """Who may not ask for policies gets no templates that would go without."""

    class Closed(OpenSearch):
        def ask(self, method: str, path: str, body: bytes | None = None, *, kind: str = "") -> Answer:
            return Answer(403, {"error": "no"}) if "ism" in path else super().ask(method, path, body)

    closed = Closed()
    with pytest.raises(SetupError, match="HTTP 403 no; the user needs"):
        list(set_up(closed, STREAM))
    assert closed.puts == []


def test_ism() -> None:
    """A policy is replaced only under the number that it was read with, and names its streams itself."""
    client = OpenSearch()
    path = "/_plugins/_ism/policies/logs-clues.events%40lifecycle"
    first, *_ = set_up(client, STREAM)
    assert first == Step("ISM policy", "logs-clues.events@lifecycle", "installed", first.why)
    assert client.policies[path]["policy"]["ism_template"][0]["index_patterns"] == ["logs-clues.events-*"]
    assert next(set_up(client, STREAM)).outcome == "unchanged"
    assert next(set_up(client, STREAM, delete_after="30d")).outcome == "unchanged"
    assert next(set_up(client, STREAM, delete_after="2d")).outcome == "updated"
    assert client.puts[-1] == f"{path}?if_seq_no=3&if_primary_term=1"
    assert client.policies["/_component_template/clues.events@mappings"] is not None


def test_neither_of_both() -> None:
    class Other(OpenSearch):
        def ask(self, method: str, path: str, body: bytes | None = None, *, kind: str = "") -> Answer:
            return Answer(200, "<html>")

    with pytest.raises(SetupError, match="neither Elasticsearch nor OpenSearch"):
        list(set_up(Other(), STREAM))
    assert is_set_up(Other(), STREAM)  # nothing can be told
    with pytest.raises(ConfigError, match="an age"):
        list(set_up(Other(), STREAM, delete_after="30"))


def test_the_two_mappings() -> None:
    """OpenSearch's differ in the type of metadata alone."""
    ours, theirs = read("mappings.json"), read("mappings-opensearch.json")
    fields = ours["template"]["mappings"]["properties"]["clues"]["properties"]
    assert fields["metadata"]["type"] == "flattened"
    fields["metadata"] = {"type": "flat_object"}
    assert ours == theirs


def test_priorities() -> None:
    """Above Elasticsearch's own logs-*-*, which has 100."""
    for file in ("index-template.json", "index-template-plain.json"):
        assert read(file)["priority"] >= 200
