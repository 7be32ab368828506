"""What users plug in (publishers, item preprocessors, a marshaller, a propagator), checked before anybody calls it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import SplitResult, unquote, urlsplit

from clues.errors import CluesError, ConfigError
from clues.event import Event, Marshaller, Publisher, marshal
from clues.faults import Faults

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

Item = dict[str, Any]
"""A job as it goes into a queue: ``{"class": ..., "args": [...], "clues_metadata": {...}}``."""

ItemPreprocessor = Callable[[str, Item], object]
"""``(queue, item)``; adds to ``item["clues_metadata"]`` when the job is enqueued. What it returns is not looked at."""

PublisherLike = Publisher | Callable[[Event], object]


class Propagator(Protocol):
    """Carries a trace's context in items."""

    def inject(self, item: Item) -> None:
        """Write the current context into an item that is about to be enqueued."""

    def activate(self, item: Mapping[str, Any]) -> AbstractContextManager[object]:
        """Make the item's context the current one, around perform."""


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


def logs_named(environ: Mapping[str, str]) -> Iterator[Path]:
    """The files of the ``log://`` URLs in ``CLUES_PUBLISHERS``.

    Raises:
        ConfigError: one of its URLs is none.
    """
    for url in filter(None, map(str.strip, environ.get("CLUES_PUBLISHERS", "").split(","))):
        parts = split_url(url)
        if parts.scheme == "log" and (path := unquote(parts.netloc + parts.path)):
            yield Path(path)


def publisher_from_url(url: str) -> Publisher:
    """A publisher by its URL: the scheme names an entry point of the group ``clues.publishers``.

    Raises:
        ConfigError: no such scheme, or the publisher doesn't like the rest of the URL.
    """
    parts = split_url(url)
    with _usable(parts.scheme):
        return as_publisher(publisher_class(parts.scheme).from_url(parts))


def publisher_class(scheme: str) -> Any:
    """What makes the publishers of a scheme, as its entry point names it: a class, as a rule.

    Raises:
        ConfigError: no such scheme, or what it names can't be imported.
    """
    points = _publishers_by_scheme()
    if scheme not in points:
        known = ", ".join(f"{known}://" for known in sorted(points))
        msg = f"CLUES_PUBLISHERS: no publisher has the scheme {scheme!r}; known are {known}"
        raise ConfigError(msg)
    with _usable(scheme):
        return points[scheme].load()


@contextmanager
def _usable(scheme: str) -> Generator[None]:
    """Name the scheme where its publisher fails."""
    try:
        yield
    except CluesError:
        raise
    except Exception as error:
        msg = f"CLUES_PUBLISHERS: {scheme}:// can't be used: {error}"
        raise ConfigError(msg) from error


def _publishers_by_scheme() -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points  # noqa: PLC0415 - a third of the time of `import clues`

    return {point.name: point for point in entry_points(group="clues.publishers")}


def publisher_schemes() -> list[str]:
    """The schemes of URLs that there are publishers for."""
    return sorted(_publishers_by_scheme())


def split_url(url: str) -> SplitResult:
    """The parts of a publisher's URL.

    Raises:
        ConfigError: it is none.
    """
    try:
        parts = urlsplit(url)
        _ = parts.scheme == "log" or parts.port  # a path may have colons
    except ValueError:  # its message may quote a piece of the password
        advice = "check its host and port, and percent-encode the password"
        msg = f"CLUES_PUBLISHERS: {public_part(url)!r} is not a URL: {advice}"
        raise ConfigError(msg) from None
    if not parts.scheme or "://" not in url:
        msg = f"CLUES_PUBLISHERS: {public_part(url)!r} is not a URL such as stdout:// or log:///var/log/clues.log"
        raise ConfigError(msg)
    return parts


def public_part(url: str) -> str:
    """As much of a mistaken URL as may be shown: what stands before an @ may be a password, and options keys."""
    scheme, mark, rest = url.partition("://")
    if not mark or "@" in scheme:
        scheme, mark, rest = "", "", url
    shown = re.split("[?#]", rest[rest.rfind("@") + 1 :], maxsplit=1)[0]
    # What is no port may be a password that a comma or a slash has cut off.
    return f"{scheme}{mark}{re.sub(':[^]/0-9][^/]*', ':…', shown, count=1)}"[:80]


def publisher_from_urls(urls: Iterable[str], *more: Publisher) -> Publisher:
    """One publisher for all these URLs, and for those that are there already; for none, one that nobody hears of.

    Raises:
        ConfigError: as `publisher_from_url`.
    """
    found = [*(publisher_from_url(url) for url in urls), *more]
    if not found:
        return CallablePublisher(_nobody)
    if len(found) == 1:
        return found[0]
    return as_publisher(publisher_class("composite")(*found))


def _nobody(event: Event, /) -> None:
    """Who gets the events when no publisher is configured."""


def preprocessors(given: ItemPreprocessor | Iterable[ItemPreprocessor] | None) -> tuple[ItemPreprocessor, ...]:
    """One item preprocessor, or several in order.

    Raises:
        ConfigError: one of them is none.
    """
    found = () if given is None else (given,) if callable(given) else listed("item_preprocessor", given)
    for one in found:
        if not callable(one) or _is_async(one):
            what = "an async function" if callable(one) else type(one).__name__
            msg = f"item_preprocessor must be a callable (queue, item) or a list of such, not {what}"
            raise ConfigError(msg)
        _check_takes(2, one, "an item_preprocessor takes a queue and an item")
    return found


def listed(name: str, given: Any) -> tuple[Any, ...]:
    """What was given, as it should be, in a list.

    Raises:
        ConfigError: it is no list.
    """
    try:
        return tuple(given)
    except TypeError as error:
        msg = f"{name} must be a list, not {type(given).__name__}"
        raise ConfigError(msg) from error


def offering(name: str, given: Any, *methods: str) -> Any:
    """What was given, if it has these methods, or None.

    Raises:
        ConfigError: it lacks one.
    """
    for method in methods:
        if given is not None and not callable(getattr(given, method, None)):
            msg = f"{name} must have {method}(); {type(given).__name__} has none"
            raise ConfigError(msg)
    return given


def guarded(marshaller: Any, faults: Faults) -> Marshaller | None:
    """The user's marshaller, but where it fails the standard line is written, and the fault is counted.

    Raises:
        ConfigError: it can't be called as a marshaller is.
    """
    if marshaller is None:
        return None
    if not callable(marshaller):
        msg = "marshaller must be a callable (event_type, timestamp, queue, metadata, worker_class, args) -> str"
        raise ConfigError(msg)
    _check_takes(6, marshaller, "a marshaller takes event_type, timestamp, queue, metadata, worker_class and args")

    def safe(*event: Any) -> str:
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

    return safe
