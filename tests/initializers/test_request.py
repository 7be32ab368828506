"""The current request, and the settings of frameworks."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import clues
from clues import config
from clues.errors import ConfigError
from clues.initializer import initialize
from clues.lifecycle import Lifecycle
from clues.request import CurrentRequest, add_request, request_id, request_metadata


def fields() -> dict[str, Any]:
    item: dict[str, Any] = {"class": "J", "args": []}
    Lifecycle().stamp("q", item)
    return {name: value for name, value in item["clues_metadata"].items() if not name.startswith("_")}


def test_the_current_request() -> None:
    """It is this context's, the inner one in the outer one's place; what is there already stays."""
    clues.configure(
        lambda event: None, item_preprocessor=[lambda queue, item: item["clues_metadata"].update(a=0), add_request]
    )
    assert fields() == {"a": 0}
    with CurrentRequest(lambda: {"a": 1, "b": 2, "c": None}):
        assert fields() == {"a": 0, "b": 2}
        with CurrentRequest(lambda: {"b": 3}):
            assert request_metadata() == {"b": 3}
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(request_metadata).result() == {}
        assert request_metadata()["b"] == 2
    assert request_metadata() == {}


def test_ids() -> None:
    assert request_id("4f-1@x.y:z") == "4f-1@x.y:z"
    assert request_id("a b\n<c>é") == "abc"
    assert request_id("x" * 1000) == "x" * 255
    assert len(request_id("")) == len(request_id(None)) == len(request_id("é")) == 32
    assert request_id(None) != request_id(None)


def test_initialize() -> None:
    """Objects, dotted paths and URLs alike; several publishers are put under one."""
    made = initialize(
        {
            "PUBLISHERS": ["noop://", "clues.publishers:NoOpPublisher", lambda event: None],
            "ITEM_PREPROCESSORS": ["clues.request.add_request"],
            "MARSHALLER": "clues.event.marshal",
            "REDACT": ["tenant"],
            "HOSTNAME": "web-1",
        }
    )
    assert made is config.default.config
    assert made is not None
    assert type(made.publisher).__name__ == "CompositePublisher"
    assert made.item_preprocessors == (add_request,)
    assert made.hostname == "web-1"
    assert initialize({}, first=[add_request]) is config.default.config
    assert initialize({"PUBLISHERS": "noop://"}) is not made


def test_without_settings_the_environment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert initialize({}) is None
    monkeypatch.setenv("CLUES_PUBLISHERS", "noop://")
    made = initialize({}, first=[add_request])
    assert made is not None
    assert made.item_preprocessors == (add_request,)


@pytest.mark.parametrize(
    "given",
    [
        {"PUBLISHER": None, "PUBLISHERS": []},
        {"ITEM_PREPROCESSOR": None, "ITEM_PREPROCESSORS": []},
        {"PUBLISHERS": 3},
        {"PUBLISHERS": {"log": 1}},
        {"PUBLISHERS": ["no path"]},
        {"PUBLISHERS": ["clues.nowhere.at"]},
        {"PUBLISHERS": ["clues.publishers.TCPPublisher"]},
        {"SAMPLERS": [3]},
        {"MARSHALLER": 3},
        {"ITEM_PREPROCESSORS": [3]},
        {"ITEM_PREPROCESSOR": len},
        {"MAX_ARGS_BYTES": 1},
        {"ADAPTERS": ["celery"]},
        {"ADAPTERS": {"../x": True}},
    ],
)
def test_mistaken_settings(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"^CLUES_[A-Z]+"):
        initialize(given, "CLUES_{}".format)


@pytest.mark.parametrize(
    ("module", "library", "extra"), [("flask", "flask", "flask"), ("django.apps", "django", "django")]
)
def test_what_is_not_installed_is_told_by_its_extra(module: str, library: str, extra: str) -> None:
    program = f"import sys; sys.modules[{library!r}] = None\nimport clues.{module}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert f"MissingExtraError: clues.{extra} needs " in done.stderr
    assert f"pip install 'clues[{extra}]'" in done.stderr


def test_fastapi_and_starlette_need_nothing() -> None:
    program = "import sys; sys.modules['fastapi'] = sys.modules['starlette'] = None\nimport clues.fastapi, clues.django"
    subprocess.run([sys.executable, "-c", program], check=True)
