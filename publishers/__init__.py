"""Where events go. Each publisher has a module; a back end's library is imported there, where it ships, and only so."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from clues.publishers.composite import CompositePublisher
from clues.publishers.log import LogPublisher
from clues.publishers.stream import NoOpPublisher, StandardOutPublisher, StreamPublisher

if TYPE_CHECKING:
    from clues.publishers.elasticsearch import ElasticsearchPublisher
    from clues.publishers.otlp import OTLPPublisher
    from clues.publishers.statsd import StatsdPublisher
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

_LATER = {
    "ElasticsearchPublisher": "elasticsearch",
    "OTLPPublisher": "otlp",
    "StatsdPublisher": "statsd",
    "TCPPublisher": "tcp",
    "UDPPublisher": "udp",
}


def __getattr__(name: str) -> Any:
    """Import a network's publisher when somebody names it: whoever logs need not wait for it."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"clues.publishers.{_LATER[name]}"), name)
