"""The configuration: frozen, made once in the application's initializer or from the environment.

`configure` sets the one process-wide default; everything below the edge takes a `Settings` as a parameter.

What the environment may say is told in `clues.variables`.
"""

from __future__ import annotations

import dataclasses
import os
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from clues.environment import Environment, positions_by_class
from clues.event import Marshaller, Publisher, Sampler, json_encoder
from clues.faults import Faults
from clues.metadata import new_hash
from clues.plugs import (
    ItemPreprocessor,
    Propagator,
    PublisherLike,
    as_publisher,
    guarded,
    listed,
    name_of,
    offering,
    preprocessors,
)
from clues.sanitize import Limits, Sanitizer


def _hostname() -> str:
    return os.uname().nodename  # as `socket` has it, which is slow to import


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
    hostname: str = field(default_factory=_hostname)
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
        self.config: Config | None = config


default: Settings = Settings()
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
        propagator: carries trace context in items; left out, the publisher's own, if it has one (OTLPPublisher).
        samplers: offer states, such as queue depth.
        environ: where to look for what is left out.

    Returns:
        The configuration.

    Raises:
        ConfigError: a value is mistaken; the message names it and says what would be right.
    """
    given = Environment(environ)
    faults = Faults()
    standard = Limits()
    config = Config(
        item_preprocessors=preprocessors(item_preprocessor),
        marshaller=guarded(marshaller, faults),
        sanitizer=Sanitizer(
            limits=Limits(
                args=given.cap("CLUES_MAX_ARGS_BYTES", max_args_bytes, standard.args),
                metadata=given.cap("CLUES_MAX_METADATA_BYTES", max_metadata_bytes, standard.metadata),
                message=given.cap("CLUES_MAX_MESSAGE_BYTES", max_message_bytes, standard.message),
                backtrace=given.cap("CLUES_MAX_BACKTRACE_BYTES", max_backtrace_bytes, standard.backtrace),
            ),
            words=given.secret_words("CLUES_REDACT", redact),
            args_of=positions_by_class(redact_args or {}),
        ),
        adopt_unstamped=given.flag("CLUES_ADOPT_UNSTAMPED", adopt_unstamped),
        hostname=given.name("CLUES_HOSTNAME", hostname) or _hostname(),
        propagator=offering("propagator", propagator, "inject", "activate"),
        samplers=tuple(offering("a sampler", sampler, "sample") for sampler in listed("samplers", samplers)),
        faults=faults,
        # Last, for it may open files, which nobody would close if another value were mistaken.
        publisher=as_publisher(publisher) if publisher is not None else given.publisher(),
    )
    if config.propagator is None:
        theirs = offering(
            "the publisher's propagator", getattr(config.publisher, "propagator", None), "inject", "activate"
        )
        config = dataclasses.replace(config, propagator=theirs)
    given.warn_of_unknown()
    json_encoder()  # found now, so that no job waits for the import
    replace(default, config)
    return config


def configure_from_environment(environ: Mapping[str, str] = os.environ) -> bool:
    """Configure from the environment alone, unless the application has configured already.

    Job systems call it at their start, so that ``CLUES_PUBLISHERS``, or ``STATSD_HOST``, is all that a
    deployment needs.

    Returns:
        Whether clues is configured now.

    Raises:
        ConfigError: a variable's value is mistaken.
    """
    if default.config is None and any(environ.get(name, "").strip() for name in ("CLUES_PUBLISHERS", "STATSD_HOST")):
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
