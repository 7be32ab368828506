"""Where signals go: arguments, OpenTelemetry's variables, URLs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from clues.errors import ConfigError
from clues.publishers.otlp import OTLPPublisher
from clues.publishers.otlp_resource import of_host, resource_attributes
from clues.publishers.otlp_settings import Options, Target, target


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of OpenTelemetry's variables is set."""
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)


def found(environ: dict[str, str], signal: str = "traces", options: Options | None = None) -> Target:
    return target(signal, options or Options(), {f"OTEL_EXPORTER_OTLP_{name}": text for name, text in environ.items()})


@pytest.mark.parametrize(("environ", "place"), [
    ({}, "grpc://localhost:4317"),
    ({"PROTOCOL": "http/protobuf"}, "http://localhost:4318/v1/traces"),
    ({"TRACES_PROTOCOL": "http/protobuf"}, "http://localhost:4318/v1/traces"),
    ({"LOGS_PROTOCOL": "http/protobuf"}, "grpc://localhost:4317"),
    ({"ENDPOINT": "http://c:1"}, "grpc://c:1"),
    ({"ENDPOINT": "https://c"}, "grpcs://c:4317"),
    ({"ENDPOINT": "c:1"}, "grpcs://c:1"),
    ({"ENDPOINT": "c:1", "INSECURE": "true"}, "grpc://c:1"),
    ({"ENDPOINT": "c:1", "INSECURE": "true", "TRACES_INSECURE": "false"}, "grpcs://c:1"),
    ({"ENDPOINT": "https://c:1", "INSECURE": "true"}, "grpcs://c:1"),
    ({"ENDPOINT": "http://[::1]:4"}, "grpc://[::1]:4"),
    ({"ENDPOINT": "unix:///run/otel.sock"}, "grpc+unix:///run/otel.sock"),
    ({"ENDPOINT": "http://c:1", "TRACES_ENDPOINT": "http://t:2"}, "grpc://t:2"),
    ({"PROTOCOL": "http/protobuf", "ENDPOINT": "https://c/base/"}, "https://c:443/base/v1/traces"),
    ({"PROTOCOL": "http/protobuf", "ENDPOINT": "http://c:1", "TRACES_ENDPOINT": "http://t:2/x?k=1"}, "http://t:2/x?k=1"),
    ({"PROTOCOL": "http/protobuf", "TRACES_ENDPOINT": "http://t:2"}, "http://t:2/"),
    ({"PROTOCOL": "http/protobuf", "ENDPOINT": "http://user:secret@c:1"}, "http://c:1/v1/traces"),
])  # fmt: skip
def test_the_environment(environ: dict[str, str], place: str) -> None:
    assert found(environ).place == place


def test_arguments_come_before_the_environment() -> None:
    options = Options("https://mine:1", "http/protobuf", {"Api-Key": "1"}, timeout=3.0)
    environ = {"ENDPOINT": "http://c:1", "TRACES_ENDPOINT": "http://t:1", "HEADERS": "a=b", "TIMEOUT": "7"}
    mine = found(environ, options=options)
    assert (mine.place, mine.timeout, mine.headers) == ("https://mine:1/v1/traces", 3.0, {"api-key": "1"})


def test_headers_timeout_and_compression_of_the_environment() -> None:
    environ = {"HEADERS": "Api-Key=a%3Db, x = y ", "TIMEOUT": "7", "COMPRESSION": "gzip", "LOGS_TIMEOUT": "2.5"}
    assert found(environ).headers == {"api-key": "a=b", "x": "y"}
    assert (found(environ).timeout, found(environ, "logs").timeout) == (7.0, 2.5)
    assert found(environ).gzip
    assert not found(environ | {"TRACES_COMPRESSION": "none"}).gzip
    assert found(environ | {"TRACES_HEADERS": "only=me"}).headers == {"only": "me"}
    assert "a=b" not in repr(found(environ)), "tokens stay out of logs"


@pytest.mark.parametrize(("environ", "message"), [
    ({"PROTOCOL": "http/json"}, "must be grpc or http/protobuf, not 'http/json'"),
    ({"ENDPOINT": "ftp://c"}, "'ftp://c' is no endpoint"),
    ({"ENDPOINT": "http://c:port"}, "is no endpoint"),
    ({"PROTOCOL": "http/protobuf", "ENDPOINT": "c:4318"}, "is no endpoint"),
    ({"TIMEOUT": "soon"}, "timeout of OTLP must be a number of seconds, not 'soon'"),
    ({"TIMEOUT": "0"}, "timeout"),
    ({"COMPRESSION": "zstd"}, "must be gzip or none"),
    ({"HEADERS": "token"}, "name=value"),
    ({"HEADERS": "a=%0D%0Ab"}, "must be printable ASCII"),
    ({"INSECURE": "maybe"}, "INSECURE must be true or false"),
    ({"CERTIFICATE": "/nowhere.pem"}, "/nowhere.pem for OTLP is no file"),
])  # fmt: skip
def test_mistakes_are_told_at_once(environ: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        found(environ)


def test_secrets_of_a_mistaken_endpoint_are_not_told() -> None:
    with pytest.raises(ConfigError) as caught:
        found({"ENDPOINT": "ftp://user:hunter2@c"})
    assert "hunter2" not in str(caught.value)


def published(url: str, spool: Path) -> dict[str, Any]:
    publisher = OTLPPublisher.from_url(urlsplit(f"{url}{'&' if '?' in url else '?'}spool={spool}"))
    publisher.close()
    return {signal: found.place for signal, found in publisher._targets.items()} | {"name": publisher.name}


@pytest.mark.parametrize(("url", "place"), [
    ("otlp://", "grpc://localhost:4317"),
    ("otlp://c", "grpc://c:4317"),
    ("otlp://c:1", "grpc://c:1"),
    ("otlps://c:1", "grpcs://c:1"),
    ("otlp://c:1?insecure=false", "grpcs://c:1"),
    ("otlp+http://c", "http://c:4318/v1/logs"),
    ("otlp+http://c:1/base", "http://c:1/base/v1/logs"),
    ("otlp+https://c:1", "https://c:1/v1/logs"),
    ("otlp+http://", "http://localhost:4318/v1/logs"),
    ("otlp+http://[::1]:1", "http://[::1]:1/v1/logs"),
    ("otlp://user:secret@c:1", "grpc://c:1"),
])  # fmt: skip
def test_urls(url: str, place: str, tmp_path: Path) -> None:
    got = published(url, tmp_path)
    assert got["logs"] == place
    assert got["name"] == f"otlp:{place}"
    assert {"traces", "metrics"} <= set(got)


def test_a_url_without_a_host_goes_where_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:9")
    assert published("otlp://", tmp_path)["logs"] == "grpc://c:9"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    assert published("otlp://", tmp_path)["logs"] == "http://c:9/v1/logs"


def test_options_of_a_url(tmp_path: Path) -> None:
    url = (
        f"otlp://u:p%40ss@c:1?spool={tmp_path}&traces=false&metrics=no&service_name=shop&propagation_style=child"
        "&timeout=3&headers=api-key%3D1&events=failed&sample=0.5"
    )
    publisher = OTLPPublisher.from_url(urlsplit(url))
    publisher.close()
    assert set(publisher._targets) == {"logs"}
    assert publisher._targets["logs"].headers == {"api-key": "1", "authorization": "Basic dTpwQHNz"}
    assert publisher._targets["logs"].timeout == 3.0
    assert publisher._resource["service.name"] == "shop"
    assert publisher._style == "child"
    assert publisher.choice == publisher._chosen, "nothing is counted, so the rest need not be read"
    assert publisher.choice.sample == 0.5


@pytest.mark.parametrize(("url", "message"), [
    ("otlp://c?colour=red", "knows no option colour"),
    ("otlp://c?timeout=soon", "timeout must be a number of seconds"),
    ("otlp://c?traces=maybe", "traces must be true or false"),
    ("otlps://c?insecure=true", "contradicts itself"),
    ("otlp://c?logs=0&traces=0&metrics=0", "nothing to do"),
    ("otlp://c?metrics_interval=-1", "metrics_interval must be"),
    ("otlp://c?propagation_style=x", "propagation_style"),
])  # fmt: skip
def test_mistaken_urls(url: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message):
        published(url, tmp_path)


def test_without_traces_context_is_left_alone(tmp_path: Path) -> None:
    """Or a job's own spans would have a parent that nobody exports."""
    for traces in (True, False):
        publisher = OTLPPublisher("http://c:1", spool=tmp_path, traces=traces)
        publisher.close()
        assert (publisher.propagator is not None) is traces


def test_what_is_counted_is_not_chosen(tmp_path: Path) -> None:
    publisher = OTLPPublisher("http://c:1", spool=tmp_path, events=["failed"], sample=0.1)
    publisher.close()
    assert (publisher.choice.events, publisher.choice.sample) == (None, 1.0)
    assert (publisher._chosen.events, publisher._chosen.sample) == (frozenset({b"failed"}), 0.1)


def test_the_resource() -> None:
    environ = {
        "OTEL_SERVICE_NAME": "shop",
        "OTEL_RESOURCE_ATTRIBUTES": "service.name=x,deployment.environment.name=a%2Cb",
    }
    known = resource_attributes(None, {"team": "jobs", "shards": 3}, environ)
    assert (known["service.name"], known["deployment.environment.name"], known["team"], known["shards"]) == (
        "shop", "a,b", "jobs", 3,
    )  # fmt: skip
    assert resource_attributes("mine", None, environ)["service.name"] == "mine"
    assert str(resource_attributes(None, None, {})["service.name"]).startswith("unknown_service:")


def test_the_instance_is_the_same_after_a_restart_and_another_on_each_host() -> None:
    known = resource_attributes("shop", None, {})
    ids = [
        of_host(known, host, place)["service.instance.id"]
        for host, place in [("a", "s"), ("a", "s"), ("b", "s"), ("a", "t")]
    ]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
    fixed = resource_attributes("shop", {"service.instance.id": "mine", "host.name": "h"}, {})
    assert {"service.instance.id": "mine", "host.name": "h"}.items() <= of_host(fixed, "a", "s").items()


def test_a_mistaken_resource() -> None:
    with pytest.raises(ConfigError, match="resource attribute 'a'"):
        resource_attributes(None, {"a": []}, {})  # type: ignore[dict-item]
    with pytest.raises(ConfigError, match="OTEL_RESOURCE_ATTRIBUTES must be key=value"):
        resource_attributes(None, None, {"OTEL_RESOURCE_ATTRIBUTES": "a"})


def test_no_library_is_imported_before_something_is_shipped(tmp_path: Path) -> None:
    code = f"""
import sys
from clues.publishers.otlp import OTLPPublisher
publisher = OTLPPublisher("http://127.0.0.1:1", spool={str(tmp_path)!r})
publisher.propagator.inject({{"clues_metadata": {{"_event_hash": "a" * 32}}}})
heavy = [name for name in sys.modules if name.startswith(("grpc", "opentelemetry.", "google."))]
assert not heavy, heavy
publisher.destination().close()
assert "opentelemetry.proto" in sys.modules
assert not [name for name in sys.modules if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter"))]
publisher.close()
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_missing_library_is_told_with_its_extra(tmp_path: Path) -> None:
    code = f"""
import sys
sys.modules["grpc"] = None
from clues.errors import ConfigError
from clues.publishers.otlp import OTLPPublisher
OTLPPublisher(protocol="http/protobuf", spool={str(tmp_path)!r}).close()
try:
    OTLPPublisher(spool={str(tmp_path)!r})
except ConfigError as error:
    assert "clues[otlp]" in str(error), error
else:
    raise AssertionError
"""
    subprocess.run([sys.executable, "-c", code], check=True)
