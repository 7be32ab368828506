"""Where events go. Each publisher has a module, imported when somebody names it: whoever logs need not wait for others.

A back end's library is imported where events are shipped, and only so.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clues.publishers.composite import CompositePublisher
    from clues.publishers.elasticsearch import ElasticsearchPublisher
    from clues.publishers.log import LogPublisher
    from clues.publishers.otlp import OTLPPublisher
    from clues.publishers.statsd import StatsdPublisher
    from clues.publishers.stream import NoOpPublisher, StandardOutPublisher, StreamPublisher
    from clues.publishers.tcp import TCPPublisher
    from clues.publishers.udp import UDPPublisher

__all__ = [
    "CompositePublisher",
    "ElasticsearchPublisher",
    "LogPublisher",
    "NoOpPublisher",
    "OTLPPublisher",
    "StandardOutPublisher",
    "StatsdPublisher",
    "StreamPublisher",
    "TCPPublisher",
    "UDPPublisher",
]

_PLACES = {
    "CompositePublisher": "composite",
    "ElasticsearchPublisher": "elasticsearch",
    "LogPublisher": "log",
    "NoOpPublisher": "stream",
    "OTLPPublisher": "otlp",
    "StandardOutPublisher": "stream",
    "StatsdPublisher": "statsd",
    "StreamPublisher": "stream",
    "TCPPublisher": "tcp",
    "UDPPublisher": "udp",
}

if not TYPE_CHECKING:  # to a type checker, any name would be one of ours

    def __getattr__(name: str) -> object:
        """Import a publisher's module."""
        if name not in _PLACES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module  # noqa: PLC0415 - it takes as long as all that is here

        found = globals()[name] = getattr(import_module(f"clues.publishers.{_PLACES[name]}"), name)
        return found

    def __dir__() -> list[str]:
        """All names, those that were not imported yet too."""
        return sorted({*globals(), *__all__})
