"""Configuration: a mistaken value is an error that names it, when clues is configured and never later."""

from __future__ import annotations

import logging
import os
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

import clues
from clues import config as module
from clues.config import Config, Settings, configure, configure_from_environment
from clues.errors import ConfigError
from clues.event import Event, EventType
from clues.plugs import as_publisher, name_of, publisher_schemes
from clues.publishers import (
    CompositePublisher,
    LogPublisher,
    NoOpPublisher,
    StandardOutPublisher,
    StatsdPublisher,
)
from clues.redaction import SECRET_WORDS
from clues.testing import RecordingPublisher
from tests.forks import forked


def nothing(*_: Any) -> None:
    """A callable that does for anything."""


async def soon(*_: Any) -> None:
    """What nobody would await."""


class AsyncPublisher:
    async def publish(self, event: Event) -> None:
        """Never runs."""


class AsyncCallable:
    async def __call__(self, event: Event) -> None:
        """Never runs."""


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"publisher": 5}, ["publisher", "publish(event)", "int"]),
        ({"publisher": LogPublisher}, ["class LogPublisher", "LogPublisher(…)"]),
        ({"publisher": soon}, ["publisher soon", "async"]),
        ({"publisher": AsyncPublisher()}, ["publisher AsyncPublisher", "async"]),
        ({"publisher": AsyncCallable()}, ["publisher", "async"]),
        ({"publisher": type("P", (), {"publish": 5})()}, ["publisher", "publish(event)"]),
        ({"item_preprocessor": 5}, ["item_preprocessor must be a list, not int"]),
        ({"item_preprocessor": [nothing, "x"]}, ["item_preprocessor", "(queue, item)", "str"]),
        ({"item_preprocessor": soon}, ["item_preprocessor", "not an async function"]),
        ({"marshaller": 5}, ["marshaller", "event_type, timestamp, queue, metadata, worker_class, args"]),
        ({"redact": "pin"}, ["redact", "list of words"]),
        ({"redact": 5}, ["redact", "list"]),
        ({"redact": ["pin", 5]}, ["redact", "words"]),
        ({"redact": ["-"]}, ["redact", "words"]),
        ({"redact_args": "ChargeCard"}, ["redact_args", '{"ChargeCard": [1]}']),
        ({"redact_args": {"ChargeCard": 1}}, ["redact_args"]),
        ({"redact_args": {"ChargeCard": "12"}}, ["redact_args"]),
        ({"redact_args": {"ChargeCard": [-1]}}, ["redact_args", "from 0 up"]),
        ({"redact_args": {"ChargeCard": [True]}}, ["redact_args"]),
        ({"redact_args": {LogPublisher: [1]}}, ["redact_args", "name"]),
        ({"max_args_bytes": 63}, ["max_args_bytes", "64"]),
        ({"max_args_bytes": "many"}, ["max_args_bytes", "'many'"]),
        ({"max_args_bytes": True}, ["max_args_bytes"]),
        ({"max_metadata_bytes": float("inf")}, ["max_metadata_bytes"]),
        ({"max_message_bytes": 10**30}, ["max_message_bytes"]),
        ({"max_backtrace_bytes": -1}, ["max_backtrace_bytes"]),
        ({"adopt_unstamped": "false"}, ["adopt_unstamped", "True or False", "'false'"]),
        ({"hostname": 5}, ["hostname", "5"]),
        ({"hostname": " "}, ["hostname"]),
        ({"hostname": "a\nb"}, ["hostname"]),
        ({"propagator": object()}, ["propagator must have inject(); object has none"]),
        ({"propagator": type("P", (), {"inject": nothing})()}, ["propagator must have activate(); P has none"]),
        ({"propagator": type("P", (), {"inject": nothing, "activate": 5})()}, ["propagator must have activate()"]),
        ({"samplers": 5}, ["samplers", "list"]),
        ({"samplers": [object()]}, ["sampler", "sample()"]),
    ],
)
def test_a_mistaken_argument_is_named(options: dict[str, Any], words: list[str]) -> None:
    """And the message says what would be right; nothing is configured."""
    given: dict[str, Any] = {"publisher": nothing, "environ": {}} | options
    with pytest.raises(ConfigError) as caught:
        configure(**given)
    for word in words:
        assert word in str(caught.value)
    assert not clues.configured()


def test_what_the_call_gives_is_called_as_in_the_call() -> None:
    """Not as the variable is."""
    with pytest.raises(ConfigError, match=r"^max_args_bytes must be a number of bytes from 64 to 1073741824, not 5$"):
        configure(nothing, max_args_bytes=5, environ={"CLUES_MAX_ARGS_BYTES": "100"})


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        (
            "CLUES_PUBLISHERS",
            "nowhere://",
            ["nowhere", "known are composite://, elasticsearch", ", log://, ", "stdout://"],
        ),
        ("CLUES_PUBLISHERS", "mailto:ops", ["'mailto:…'", "not a URL"]),
        ("CLUES_PUBLISHERS", "://host", ["'://host'", "not a URL"]),
        ("CLUES_PUBLISHERS", "x" * 100, [f"'{'x' * 80}' is not a URL"]),
        ("CLUES_PUBLISHERS", "me@" + "x" * 100, [f"'{'x' * 80}' is not a URL"]),
        ("CLUES_PUBLISHERS", "a:b@c:d@host", ["'host' is not a URL"]),
        ("CLUES_PUBLISHERS", "udp://host:port", ["'udp://host:…' is not a URL", "check its host and port"]),
        ("CLUES_PUBLISHERS", "tcp://bob:hunter2", ["'tcp://bob:…' is not a URL"]),
        ("CLUES_PUBLISHERS", "tcp://bob:pa/hunter2@host:1", ["'tcp://host:1' is not a URL"]),
        ("CLUES_PUBLISHERS", "otlp://[x?api_key=hunter2", ["'otlp://[x' is not a URL"]),
        ("CLUES_PUBLISHERS", "otlp://bob:hunter2@ex\u2100mple", ["'otlp://ex\u2100mple' is not a URL"]),
        ("CLUES_PUBLISHERS", "stdout", ["'stdout'", "not a URL", "stdout://"]),
        ("CLUES_PUBLISHERS", "/var/log/clues.log", ["not a URL", "log:///"]),
        ("CLUES_PUBLISHERS", "log://", ["log:///var/log/clues.log"]),
        ("CLUES_PUBLISHERS", "log:///tmp/x?level=5", ["log:///var/log/clues.log"]),
        ("CLUES_PUBLISHERS", "log:///no/such/folder/x.log", ["/no/such/folder/x.log", "No such file", "folder"]),
        ("CLUES_PUBLISHERS", "log:///", ["directory"]),
        ("CLUES_PUBLISHERS", "log://[half", ["not a URL"]),
        ("CLUES_PUBLISHERS", "composite://", ["composite"]),
        ("CLUES_PUBLISHERS", "noop://,nowhere://", ["nowhere"]),
        ("CLUES_MAX_ARGS_BYTES", "2k", ["'2k'", "bytes"]),
        ("CLUES_MAX_METADATA_BYTES", "0", ["'0'", "64"]),
        ("CLUES_MAX_MESSAGE_BYTES", "-5", ["'-5'"]),
        ("CLUES_MAX_BACKTRACE_BYTES", "1e6", ["'1e6'"]),
        ("CLUES_ADOPT_UNSTAMPED", "perhaps", ["'perhaps'", "true or false"]),
        ("CLUES_REDACT", "pin,--", ["words"]),
        ("CLUES_HOSTNAME", "a\x1bb", ["name"]),
    ],
)
def test_a_mistaken_variable_is_named(variable: str, value: str, words: list[str]) -> None:
    """In the environment too."""
    with pytest.raises(ConfigError) as caught:
        configure(environ={"CLUES_PUBLISHERS": "noop://", variable: value})
    for word in [*words] + ([] if variable == "CLUES_PUBLISHERS" and "log" in value else [variable]):
        assert word in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert not clues.configured()


@pytest.mark.parametrize(
    ("scheme", "value", "why"),
    [("away", "clues.nowhere:Nothing", "No module named 'clues.nowhere'"), ("odd", "json:loads", "from_url")],
)
def test_an_entry_point_that_is_no_good_is_named(
    scheme: str, value: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its scheme, and with what went wrong."""
    point = EntryPoint(name=scheme, value=value, group="clues.publishers")
    monkeypatch.setattr("clues.plugs._publishers_by_scheme", lambda: {scheme: point})
    with pytest.raises(ConfigError) as caught:
        configure(environ={"CLUES_PUBLISHERS": f"{scheme}://here"})
    assert f"{scheme}:// can't be used: " in str(caught.value)
    assert why in str(caught.value)


def test_a_password_in_a_mistaken_url_is_not_shown() -> None:
    """The message goes to logs."""
    with pytest.raises(ConfigError) as caught:
        configure(environ={"CLUES_PUBLISHERS": "elastic//me:hunter2@host:9200"})
    assert "hunter2" not in str(caught.value)
    assert "'host:9200'" in str(caught.value)


def test_the_call_wins_over_the_environment() -> None:
    """What is left out comes from there, then from the defaults."""
    environ = {
        "CLUES_MAX_ARGS_BYTES": " 100 ",
        "CLUES_MAX_METADATA_BYTES": "200",
        "CLUES_ADOPT_UNSTAMPED": "Yes",
        "CLUES_HOSTNAME": "from-env",
        "CLUES_REDACT": "pin, IBAN code,",
    }
    found = configure(nothing, environ=environ)
    assert (found.sanitizer.limits.args, found.sanitizer.limits.metadata) == (100, 200)
    assert (found.sanitizer.limits.message, found.sanitizer.limits.backtrace) == (2048, 8192)
    assert (found.adopt_unstamped, found.hostname) == (True, "from-env")
    assert {"pin", "IBAN code", "password"} <= set(found.sanitizer.words)
    given = configure(nothing, max_args_bytes=300, adopt_unstamped=False, hostname="h", redact=False, environ=environ)
    assert given.sanitizer.limits.args == 300
    assert (given.adopt_unstamped, given.hostname, given.sanitizer.words) == (False, "h", ())


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("0", False), ("false", False), ("No", False), ("OFF", False), (" ", False),
        ("1", True), ("TRUE", True), ("yes", True), (" on ", True),
    ],
)  # fmt: skip
def test_switches_in_the_environment(word: str, found: bool) -> None:
    """In any case of letters."""
    assert configure(nothing, environ={"CLUES_ADOPT_UNSTAMPED": word}).adopt_unstamped is found


def test_the_smallest_and_the_largest_cap() -> None:
    """Are allowed; one byte more is not."""
    for size in (64, 1 << 30):
        assert configure(nothing, max_args_bytes=size, environ={}).sanitizer.limits.args == size
    for size in (63, (1 << 30) + 1):
        with pytest.raises(ConfigError):
            configure(nothing, max_args_bytes=size, environ={})


def test_secret_arguments_by_position() -> None:
    """From zero up."""
    found = configure(nothing, redact_args={"Charge": [0, 2]}, environ={}).sanitizer
    assert found.args("Charge", ["card", 5, "pin"]) == (["[REDACTED]", 5, "[REDACTED]"], False)
    assert found.args("Other", ["card"]) == (["card"], False)


def test_redaction_can_be_said_to_be_on() -> None:
    """Which it is anyway."""
    assert configure(nothing, redact=True, environ={}).sanitizer.words == SECRET_WORDS


@pytest.mark.parametrize("off", ["off", "OFF", "false", "no", "none"])
def test_redaction_can_be_switched_off_by_environment(off: str) -> None:
    """By any word that says so."""
    assert configure(nothing, environ={"CLUES_REDACT": off}).sanitizer.words == ()


def test_unknown_variables_are_warned_of_with_the_near_one(caplog: pytest.LogCaptureFixture) -> None:
    """A typing error is seen; variables of others are none of our business."""
    configure(nothing, environ={"CLUES_PUBLISHER": "stdout://", "CLUES_ZZZZ": "1", "PATH": "/bin", "CLUES_REDACT": ""})
    assert [record.getMessage() for record in caplog.records] == [
        "CLUES_PUBLISHER is no variable of clues; CLUES_PUBLISHERS is",
        "CLUES_ZZZZ is no variable of clues",
    ]


def test_publishers_by_url(tmp_path: Path) -> None:
    """One is itself, several are a composite, odd spacing and empty parts do no harm."""
    assert isinstance(configure(environ={"CLUES_PUBLISHERS": "noop://"}).publisher, NoOpPublisher)
    assert isinstance(configure(environ={"CLUES_PUBLISHERS": "STDOUT://"}).publisher, StandardOutPublisher)
    path = tmp_path / "a b,c.log"
    url = "log://" + str(path).replace(" ", "%20").replace(",", "%2C")
    found = configure(environ={"CLUES_PUBLISHERS": f" stdout:// ,, {url},"}).publisher
    assert isinstance(found, CompositePublisher)
    assert [type(child) for child in found.children] == [StandardOutPublisher, LogPublisher]
    assert path.exists()


def test_statsd_by_its_own_variables() -> None:
    """Beside what URLs name; a mistaken one is an error."""
    environ = {"STATSD_HOST": "127.0.0.1"}
    found = configure(environ=environ).publisher
    assert isinstance(found, StatsdPublisher)
    assert isinstance(configure(environ=environ | {"CLUES_PUBLISHERS": "noop://"}).publisher, CompositePublisher)
    with pytest.raises(ConfigError, match="STATSD_PORT must be a port, not 'x'"):
        configure(environ=environ | {"STATSD_PORT": "x"})


def test_a_relative_log_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``log://clues.log`` is in the current folder."""
    monkeypatch.chdir(tmp_path)
    configure(environ={"CLUES_PUBLISHERS": "log://Clues.log"})
    assert (tmp_path / "Clues.log").exists()


def test_without_any_publisher_nobody_gets_the_events() -> None:
    """Items are stamped all the same, so that others can follow them; needs no installed entry points."""
    found = configure(environ={})
    found.publisher.publish(Event(EventType.ENQUEUED, "", None, {}, None, []))
    assert clues.configured()


def test_a_folder_without_permission_is_an_error(tmp_path: Path) -> None:
    """Permissions are looked at when configuring; the child is an ordinary user, for root may write anywhere."""
    tmp_path.chmod(0o500)

    def child() -> None:
        if os.geteuid() == 0:
            os.setuid(65534)
        with pytest.raises(ConfigError, match="Permission denied"):
            configure(LogPublisher(tmp_path / "x.log"), environ={})

    assert forked(child) == 0


def test_an_unwritable_log_is_an_error_at_once() -> None:
    """Not with the first job."""
    with pytest.raises(ConfigError, match=r"can't append to /no/such/x\.log"):
        LogPublisher("/no/such/x.log")
    with pytest.raises(ConfigError, match=r"path or a logging\.Logger, not int"):
        LogPublisher(5)  # type: ignore[arg-type]


class Closing:
    def __init__(self) -> None:
        self.closed = 0

    def publish(self, event: Event) -> None:
        """Do nothing."""

    def close(self) -> None:
        self.closed += 1


class Carrier:
    def inject(self, item: dict[str, Any]) -> None:
        """Do nothing."""

    def activate(self, item: Any) -> Any:
        """Do nothing."""


class Traced(Closing):
    def __init__(self, propagator: Any) -> None:
        super().__init__()
        self.propagator = propagator


def test_a_publisher_may_bring_its_propagator() -> None:
    """As OTLPPublisher does; the application's own goes first, and one that is none is named."""
    theirs, own = Carrier(), Carrier()
    assert configure(Traced(theirs), environ={}).propagator is theirs
    assert configure(Traced(theirs), propagator=own, environ={}).propagator is own
    assert configure(Traced(None), environ={}).propagator is None
    for lacking in ("inject", "activate"):
        half = type("Half", (Carrier,), {lacking: None})()
        with pytest.raises(ConfigError, match=rf"publisher's propagator must have {lacking}\(\)"):
            configure(Traced(half), environ={})


def test_a_second_configuration_closes_the_firsts_publisher() -> None:
    """Once; and not when the same one is configured again."""
    first, second = Closing(), Closing()
    configure(first, environ={})
    configure(first, environ={}, hostname="other")
    assert first.closed == 0
    configure(second, environ={})
    assert (first.closed, second.closed) == (1, 0)
    module.reset()
    assert (first.closed, second.closed) == (1, 1)
    assert not clues.configured()


def test_a_mistake_leaves_the_configuration_that_was() -> None:
    """And opens nothing: the publishers come last."""
    first = Closing()
    before = configure(first, environ={})
    with pytest.raises(ConfigError):
        configure(environ={"CLUES_PUBLISHERS": "log:///no/such/folder/x.log"})
    with pytest.raises(ConfigError):
        configure(Closing(), max_args_bytes=1)
    assert module.default.config is before
    assert first.closed == 0


def test_no_file_is_opened_for_a_mistaken_configuration(tmp_path: Path) -> None:
    """A log that is not configured is not created."""
    with pytest.raises(ConfigError):
        configure(environ={"CLUES_PUBLISHERS": f"log://{tmp_path}/x.log", "CLUES_MAX_ARGS_BYTES": "x"})
    assert list(tmp_path.iterdir()) == []


def test_a_publisher_that_can_not_close_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    """Closing must not end the process."""

    class Stuck(Closing):
        def close(self) -> None:
            raise OSError("stuck")

    first = configure(Stuck(), environ={})
    configure(nothing, environ={})
    assert list(first.faults.counts.values()) == [1]
    assert "stuck" in caplog.text
    assert "Stuck" in caplog.text


def test_configure_from_environment() -> None:
    """Only where CLUES_PUBLISHERS says something, and never over the application's own."""
    assert configure_from_environment({}) is False
    assert configure_from_environment({"CLUES_PUBLISHERS": " ", "CLUES_MAX_ARGS_BYTES": "x"}) is False
    assert configure_from_environment({"STATSD_HOST": "127.0.0.1"}) is True
    module.reset()
    assert configure_from_environment({"CLUES_PUBLISHERS": "noop://", "CLUES_HOSTNAME": "env"}) is True
    found = module.default.config
    assert found is not None
    assert found.hostname == "env"
    assert configure_from_environment({"CLUES_PUBLISHERS": "nowhere://"}) is True
    assert module.default.config is found
    module.reset()
    with pytest.raises(ConfigError):
        configure_from_environment({"CLUES_PUBLISHERS": "nowhere://"})


def test_several_preprocessors_keep_their_order() -> None:
    """One, a list, a tuple, a generator."""
    assert configure(nothing, item_preprocessor=nothing).item_preprocessors == (nothing,)
    steps = [lambda q, i: None, lambda q, i: None]
    assert configure(nothing, item_preprocessor=steps).item_preprocessors == tuple(steps)
    assert configure(nothing, item_preprocessor=iter(steps)).item_preprocessors == tuple(steps)


def test_a_config_is_frozen() -> None:
    """To change is to configure again."""
    found = Config(RecordingPublisher())
    with pytest.raises(AttributeError):
        found.hostname = "other"  # type: ignore[misc]
    assert Settings().config is None
    assert Settings(found).config is found


def test_a_function_is_given_the_event() -> None:
    """As a publisher with `publish` is."""
    heard: list[Event] = []
    event = Event(EventType.FAILED, "t", "q", {}, "C", [])
    configure(heard.append, environ={}).publisher.publish(event)
    assert heard == [event]
    assert heard[0] is event


def test_the_schemes_that_there_are() -> None:
    """Those of the package's entry points, in order."""
    found = publisher_schemes()
    assert found == sorted(found)
    assert {"log", "noop", "otlp", "stdout", "tcp"} <= set(found)


def test_names_in_reports() -> None:
    """A publisher's class, a function's name."""
    assert name_of(RecordingPublisher()) == "RecordingPublisher"
    assert name_of(as_publisher(nothing)) == "nothing"


@pytest.mark.parametrize("answer", [None, b"x", 5, ValueError("no"), SystemExit(3), RecursionError()])
def test_a_broken_marshaller_falls_back_to_the_standard_line(answer: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Raises, or returns what is no text: the event is written as if there were none, and that is counted."""

    def marshaller(*_: Any) -> Any:
        if isinstance(answer, BaseException):
            raise answer
        return answer

    caplog.set_level(logging.WARNING)
    recorder = RecordingPublisher()
    found = configure(recorder, marshaller=marshaller, environ={})
    event = Event(EventType.FAILED, "t", "q", {"a": 1}, "C", [1], found.marshaller)
    assert event.marshalled == event.line
    assert found.faults.counts == {"marshaller": 1}
    (said,) = caplog.messages
    assert said.startswith("marshaller: ")
    assert "; the standard line is written instead" in said
    if answer is None:
        assert "TypeError: returned NoneType, not str" in said
    if answer == 5:
        assert "TypeError: returned int, not str" in said


def test_a_text_subclass_from_a_marshaller_is_taken_as_text() -> None:
    """Its own methods are not trusted."""

    class Odd(str):
        __slots__ = ()

        def encode(self, *_: Any) -> bytes:
            raise ValueError

    found = configure(nothing, marshaller=lambda *_: Odd("mine"), environ={})
    assert Event(EventType.FAILED, "t", "q", {}, "C", [], found.marshaller).marshalled == b"mine"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"publisher": lambda: None}, ["a publisher takes an event, but ", "<lambda>"]),
        ({"item_preprocessor": lambda queue: None}, ["an item_preprocessor takes a queue and an item, but "]),
        ({"marshaller": lambda event: ""}, ["a marshaller takes event_type, ", "worker_class and args, but "]),
    ],
)
def test_callables_that_could_never_be_called_are_refused(options: dict[str, Any], words: list[str]) -> None:
    """When clues is configured, not at the first job."""
    with pytest.raises(ConfigError) as caught:
        configure(**{"publisher": lambda event: None, **options})
    assert all(word in str(caught.value) for word in words)


def test_callables_that_do_not_tell_are_taken() -> None:
    """Builtins, and those that take anything."""
    configure(publisher=print)
    configure(publisher=lambda *args: None, item_preprocessor=lambda *args, **more: None)
