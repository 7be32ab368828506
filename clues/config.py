"""The configuration: frozen, made once in the application's initializer or from the environment.

`configure` sets the one process-wide default; everything below the edge takes a `Settings` as a parameter.

Environment, read by `configure` for what the call leaves out:

=========================  ==========================================================================================
``CLUES_PUBLISHERS``       comma-separated URLs: ``stdout://``, ``log:///var/log/clues.log``, ``noop://``; several are
                           put under one CompositePublisher
``CLUES_REDACT``           comma-separated words that make a key a secret's name, besides the built-in ones; ``off``
                           switches redaction off
``CLUES_MAX_ARGS_BYTES``   the largest encoded size of the args in an event (2048)
``CLUES_MAX_METADATA_BYTES``  of the user's metadata (8192)
``CLUES_MAX_MESSAGE_BYTES``   of an error's message (2048)
``CLUES_MAX_BACKTRACE_BYTES`` of a backtrace (8192)
``CLUES_ADOPT_UNSTAMPED``  ``true``: jobs that were enqueued without clues get events too, from dequeued on
``CLUES_HOSTNAME``         the host's name in events, instead of the system's
=========================  ==========================================================================================
"""

from __future__ import annotations

import inspect
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import SplitResult, urlsplit

from clues.errors import CluesError, ConfigError
from clues.event import Event, Marshaller, Publisher, Sampler, json_encoder, marshal
from clues.faults import Faults, say
from clues.metadata import new_hash
from clues.redaction import SECRET_WORDS
from clues.sanitize import Limits, Sanitizer

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

Item = dict[str, Any]
"""A job as it goes into a queue: ``{"class": ..., "args": [...], "clues_metadata": {...}}``."""

ItemPreprocessor = Callable[[str, Item], object]
"""``(queue, item)``; adds to ``item["clues_metadata"]`` when the job is enqueued. What it returns is not looked at."""

PublisherLike = Publisher | Callable[[Event], object]

KNOWN_VARIABLES = {
    "CLUES_PUBLISHERS",
    "CLUES_REDACT",
    "CLUES_MAX_ARGS_BYTES",
    "CLUES_MAX_METADATA_BYTES",
    "CLUES_MAX_MESSAGE_BYTES",
    "CLUES_MAX_BACKTRACE_BYTES",
    "CLUES_ADOPT_UNSTAMPED",
    "CLUES_HOSTNAME",
    "CLUES_REQUIRE",
    "CLUES_REDIS_SERVER",
}
SMALLEST_CAP = 64
LARGEST_CAP = 1 << 30


class Propagator(Protocol):
    """Carries a trace's context in items."""

    def inject(self, item: Item) -> None:
        """Write the current context into an item that is about to be enqueued."""

    def activate(self, item: Mapping[str, Any]) -> AbstractContextManager[object]:
        """Make the item's context the current one, around perform."""


@dataclass(frozen=True, slots=True)
class Config:
    """All that was configured.

    Attributes:
        publisher: who gets the events.
        item_preprocessors: run in order on each item that is enqueued.
        marshaller: the user's own spelling of a line for direct publishers, or None for the standard line.
        sanitizer: redaction and caps.
        adopt_unstamped: whether jobs enqueued without clues get events from dequeued on.
        hostname: this host's name in events.
        propagator: carries trace context, or None.
        samplers: offer states, such as queue depth.
        faults: counts what observers got wrong.
        clock: epoch seconds.
        monotonic: seconds that never jump, for durations.
        new_hash: makes a job's hash.
    """

    publisher: Publisher
    item_preprocessors: tuple[ItemPreprocessor, ...] = ()
    marshaller: Marshaller | None = None
    sanitizer: Sanitizer = field(default_factory=Sanitizer)
    adopt_unstamped: bool = False
    hostname: str = field(default_factory=socket.gethostname)
    propagator: Propagator | None = None
    samplers: tuple[Sampler, ...] = ()
    faults: Faults = field(default_factory=Faults)
    clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    new_hash: Callable[[], str] = new_hash


class Settings:
    """Holds a Config, or None while nothing is configured; job systems look at it once per hook."""

    __slots__ = ("config",)

    def __init__(self, config: Config | None = None) -> None:
        """Hold a configuration."""
        self.config = config


default = Settings()
"""The process-wide default that `configure` sets."""

_setting = threading.Lock()


def configure(
    publisher: PublisherLike | None = None,
    *,
    item_preprocessor: ItemPreprocessor | Iterable[ItemPreprocessor] | None = None,
    marshaller: Marshaller | None = None,
    redact: Iterable[str] | bool | None = None,
    redact_args: Mapping[str, Collection[int]] | None = None,
    max_args_bytes: int | None = None,
    max_metadata_bytes: int | None = None,
    max_message_bytes: int | None = None,
    max_backtrace_bytes: int | None = None,
    adopt_unstamped: bool | None = None,
    hostname: str | None = None,
    propagator: Propagator | None = None,
    samplers: Iterable[Sampler] = (),
    environ: Mapping[str, str] = os.environ,
) -> Config:
    """Configure clues for this process, once, in the application's initializer.

    What is left out comes from the environment, then from the defaults. A second call replaces the first's
    configuration and closes its publisher.

    Args:
        publisher: who gets the events: a publisher or any callable that takes an `Event`; left out, the publishers
            that ``CLUES_PUBLISHERS`` names; without those, nobody.
        item_preprocessor: ``(queue, item)``, one or several, run in order when a job is enqueued.
        marshaller: ``(event_type, timestamp, queue, metadata, worker_class, args) -> str``, the line as direct
            publishers write it.
        redact: further words that make a key a secret's name (`clues.redaction.SECRET_WORDS` are built in); False
            switches redaction off.
        redact_args: positions of secret arguments by job class: ``{"ChargeCard": [1]}``.
        max_args_bytes: cap on the encoded size of args, in bytes.
        max_metadata_bytes: cap on the user's metadata, in bytes.
        max_message_bytes: cap on an error's message, in bytes.
        max_backtrace_bytes: cap on a backtrace, in bytes; its head and its tail are kept.
        adopt_unstamped: give jobs that were enqueued without clues events too, from dequeued on.
        hostname: this host's name in events.
        propagator: carries trace context in items.
        samplers: offer states, such as queue depth.
        environ: where to look for what is left out.

    Returns:
        The configuration.

    Raises:
        ConfigError: a value is mistaken; the message names it and says what would be right.
    """
    given = _Environment(environ)
    faults = Faults()
    standard = Limits()
    config = Config(
        item_preprocessors=_preprocessors(item_preprocessor),
        marshaller=_guarded(marshaller, faults),
        sanitizer=Sanitizer(
            limits=Limits(
                args=given.cap("CLUES_MAX_ARGS_BYTES", max_args_bytes, standard.args),
                metadata=given.cap("CLUES_MAX_METADATA_BYTES", max_metadata_bytes, standard.metadata),
                message=given.cap("CLUES_MAX_MESSAGE_BYTES", max_message_bytes, standard.message),
                backtrace=given.cap("CLUES_MAX_BACKTRACE_BYTES", max_backtrace_bytes, standard.backtrace),
            ),
            words=_secret_words(_label("CLUES_REDACT", redact), given.words("CLUES_REDACT", redact)),
            args_of=_positions(redact_args or {}),
        ),
        adopt_unstamped=given.flag("CLUES_ADOPT_UNSTAMPED", adopt_unstamped),
        hostname=given.name("CLUES_HOSTNAME", hostname) or socket.gethostname(),
        propagator=_offering("propagator", propagator, "inject", "activate"),
        samplers=tuple(_offering("a sampler", sampler, "sample") for sampler in _listed("samplers", samplers)),
        faults=faults,
        # Last, for it may open files, which nobody would close if another value were mistaken.
        publisher=as_publisher(publisher) if publisher is not None else given.publisher(),
    )
    given.warn_of_unknown()
    json_encoder()  # found now, so that no job waits for the import
    replace(default, config)
    return config


def configure_from_environment(environ: Mapping[str, str] = os.environ) -> bool:
    """Configure from the environment alone, unless the application has configured already.

    Job systems call it at their start, so that ``CLUES_PUBLISHERS`` is all that a deployment needs.

    Returns:
        Whether clues is configured now.

    Raises:
        ConfigError: a variable's value is mistaken.
    """
    if default.config is None and environ.get("CLUES_PUBLISHERS", "").strip():
        configure(environ=environ)
    return configured()


def configured() -> bool:
    """Whether clues is configured in this process."""
    return default.config is not None


def reset() -> None:
    """Close the publisher and be unconfigured again; for tests."""
    replace(default, None)


def replace(settings: Settings, config: Config | None) -> None:
    """Put another configuration in, then close the publisher that nobody uses any more."""
    with _setting:
        old, settings.config = settings.config, config
    if old is not None and (config is None or config.publisher is not old.publisher):
        close(old.publisher, old.faults)


def close(publisher: Publisher, faults: Faults) -> None:
    """Close a publisher that can be closed; what it raises is counted."""
    closing = getattr(publisher, "close", None)
    if closing is None:
        return
    try:
        closing()
    except Exception as error:  # noqa: BLE001 - user code
        faults.report(name_of(publisher), error)


class CallablePublisher:
    """A plain callable as a publisher."""

    __slots__ = ("call",)

    def __init__(self, call: Callable[[Event], object]) -> None:
        """Publish by calling."""
        self.call = call

    def publish(self, event: Event, /) -> None:
        """Call it with the event."""
        self.call(event)


def as_publisher(given: object) -> Publisher:
    """A publisher from an object with ``publish``, or from a callable.

    Raises:
        ConfigError: it is neither.
    """
    if isinstance(given, type):
        msg = f"publisher is the class {given.__name__}; pass an instance: {given.__name__}(…)"
        raise ConfigError(msg)
    call = getattr(given, "publish", given)
    if callable(call):
        if _is_async(call):
            msg = f"publisher {name_of(given)} is async and nobody would await it; publish(event) must be ordinary"
            raise ConfigError(msg)
        _check_takes(1, call, "a publisher takes an event")
        return given if isinstance(given, Publisher) else CallablePublisher(call)
    msg = f"publisher must have publish(event) or be a callable that takes an event, not {type(given).__name__}"
    raise ConfigError(msg)


def _check_takes(count: int, call: Callable[..., object], what: str) -> None:
    """Refuse a callable that can't be called with so many arguments, where that can be known.

    Raises:
        ConfigError: it can't.
    """
    try:
        signature = inspect.signature(call)
    except (TypeError, ValueError):  # builtins don't tell
        return
    try:
        signature.bind(*range(count))
    except TypeError as error:
        msg = f"{what}, but {name_of(call)}{signature} can't be called so: {error}"
        raise ConfigError(msg) from None


def _is_async(call: object) -> bool:
    return inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(getattr(call, "__call__", None))  # noqa: B004


def name_of(publisher: object) -> str:
    """A publisher's or preprocessor's name in reports: its class, or its function."""
    named = publisher.call if isinstance(publisher, CallablePublisher) else publisher
    return getattr(named, "__qualname__", None) or type(named).__name__


def publisher_from_url(url: str) -> Publisher:
    """A publisher by its URL: the scheme names an entry point of the group ``clues.publishers``.

    Raises:
        ConfigError: no such scheme, or the publisher doesn't like the rest of the URL.
    """
    parts = _split(url)
    point = _publishers_by_scheme().get(parts.scheme)
    if point is None:
        known = ", ".join(f"{scheme}://" for scheme in sorted(_publishers_by_scheme()))
        msg = f"CLUES_PUBLISHERS: no publisher has the scheme {parts.scheme!r}; known are {known}"
        raise ConfigError(msg)
    try:
        return as_publisher(point.load().from_url(parts))
    except CluesError:
        raise
    except Exception as error:
        msg = f"CLUES_PUBLISHERS: {parts.scheme}:// can't be used: {error}"
        raise ConfigError(msg) from error


def _publishers_by_scheme() -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points  # noqa: PLC0415 - a third of the time of `import clues`

    return {point.name: point for point in entry_points(group="clues.publishers")}


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        msg = f"CLUES_PUBLISHERS: {_public(url)!r} is not a URL: {error}"
        raise ConfigError(msg) from error
    if not parts.scheme or "://" not in url:
        msg = f"CLUES_PUBLISHERS: {_public(url)!r} is not a URL such as stdout:// or log:///var/log/clues.log"
        raise ConfigError(msg)
    return parts


def _public(url: str) -> str:
    """As much of a mistaken URL as may be shown: what stands before an @ may be a password."""
    return url[url.rfind("@") + 1 :][:80] if "@" in url else url[:80]


def _preprocessors(given: ItemPreprocessor | Iterable[ItemPreprocessor] | None) -> tuple[ItemPreprocessor, ...]:
    found = () if given is None else (given,) if callable(given) else _listed("item_preprocessor", given)
    for one in found:
        if not callable(one) or _is_async(one):
            what = "an async function" if callable(one) else type(one).__name__
            msg = f"item_preprocessor must be a callable (queue, item) or a list of such, not {what}"
            raise ConfigError(msg)
        _check_takes(2, one, "an item_preprocessor takes a queue and an item")
    return found


def _listed(name: str, given: Any) -> tuple[Any, ...]:
    try:
        return tuple(given)
    except TypeError as error:
        msg = f"{name} must be a list, not {type(given).__name__}"
        raise ConfigError(msg) from error


def _offering(name: str, given: Any, *methods: str) -> Any:
    for method in methods:
        if given is not None and not callable(getattr(given, method, None)):
            msg = f"{name} must have {method}(); {type(given).__name__} has none"
            raise ConfigError(msg)
    return given


def _guarded(marshaller: Any, faults: Faults) -> Marshaller | None:
    """The user's marshaller, but where it fails the standard line is written, and the fault is counted."""
    if marshaller is None:
        return None
    if not callable(marshaller):
        msg = "marshaller must be a callable (event_type, timestamp, queue, metadata, worker_class, args) -> str"
        raise ConfigError(msg)
    _check_takes(6, marshaller, "a marshaller takes event_type, timestamp, queue, metadata, worker_class and args")

    def guarded(*event: Any) -> str:
        try:
            text: object = marshaller(*event)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - user code
            faults.report("marshaller", error, "the standard line is written instead")
            return marshal(*event)
        if isinstance(text, str):
            return str.__str__(text)
        wrong = TypeError(f"returned {type(text).__name__}, not str")
        faults.report("marshaller", wrong, "the standard line is written instead")
        return marshal(*event)

    return guarded


def _secret_words(label: str, given: Iterable[str] | bool) -> tuple[str, ...]:
    if given is False:
        return ()
    if isinstance(given, str):
        msg = f"{label} must be a list of words or a boolean, not one string"
        raise ConfigError(msg)
    more = () if given is True else _listed(label, given)
    if not all(isinstance(word, str) and any(map(str.isalnum, word)) for word in more):
        msg = f"{label} holds words that make a key a secret's name; these are not all words: {more!r}"
        raise ConfigError(msg)
    return tuple(dict.fromkeys([*SECRET_WORDS, *(word.strip() for word in more)]))


def _positions(given: Any) -> dict[str, frozenset[int]]:
    if isinstance(given, Mapping) and all(
        isinstance(name, str)
        and isinstance(positions, Collection)
        and all(type(position) is int and position >= 0 for position in positions)
        for name, positions in given.items()
    ):
        return {name: frozenset(positions) for name, positions in given.items()}
    msg = 'redact_args maps a class\'s name to positions of secret args from 0 up, as in {"ChargeCard": [1]}'
    raise ConfigError(msg)


def _nobody(event: Event, /) -> None:
    """Who gets the events when no publisher is configured."""


def _label(variable: str, given: object) -> str:
    """What a setting is called where it was given: in the environment, or in the call."""
    return variable if given is None else variable.removeprefix("CLUES_").lower()


class _Environment:
    """The environment's variables, each checked as it is read."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def text(self, name: str) -> str:
        return self._environ.get(name, "").strip()

    def name(self, variable: str, given: object) -> str:
        found = self.text(variable) if given is None else given
        if isinstance(found, str) and (found.isprintable() if given is None else found.strip() and found.isprintable()):
            return found
        label = _label(variable, given)
        msg = f"{label} must be a name, not {found!r}"
        raise ConfigError(msg)

    def flag(self, name: str, given: object) -> bool:
        if given is not None:
            if isinstance(given, bool):
                return given
            msg = f"{_label(name, given)} must be True or False, not {given!r}"
            raise ConfigError(msg)
        found = self.text(name).lower()
        if found in {"", "0", "false", "no", "off"}:
            return False
        if found in {"1", "true", "yes", "on"}:
            return True
        msg = f"{name} must be true or false, not {found!r}"
        raise ConfigError(msg)

    def words(self, name: str, given: Iterable[str] | bool | None) -> Iterable[str] | bool:
        if given is not None:
            return given
        found = self.text(name)
        if found.lower() in {"off", "false", "no", "none"}:
            return False
        return [word for word in (part.strip() for part in found.split(",")) if word]

    def cap(self, name: str, given: int | None, standard: int) -> int:
        value = (self.text(name) or standard) if given is None else given
        try:
            size = int(value)
        except (TypeError, ValueError, OverflowError):
            size = -1
        if not SMALLEST_CAP <= size <= LARGEST_CAP or isinstance(value, bool):
            msg = f"{_label(name, given)} must be a number of bytes from {SMALLEST_CAP} to {LARGEST_CAP}, not {value!r}"
            raise ConfigError(msg)
        return size

    def publisher(self) -> Publisher:
        urls = [url for url in (part.strip() for part in self.text("CLUES_PUBLISHERS").split(",")) if url]
        found = [publisher_from_url(url) for url in urls]
        if not found:
            return CallablePublisher(_nobody)
        if len(found) == 1:
            return found[0]
        return as_publisher(_publishers_by_scheme()["composite"].load()(*found))

    def warn_of_unknown(self) -> None:
        for name in self._environ:
            if name.startswith("CLUES_") and name not in KNOWN_VARIABLES:
                import difflib  # noqa: PLC0415 - seldom needed, and slow to import

                near = difflib.get_close_matches(name, KNOWN_VARIABLES, n=1)
                say(logging.WARNING, "%s is no variable of clues%s", name, f"; {near[0]} is" if near else "")
