"""Where events go. Each module is one kind of destination; a back end's library is imported there and nowhere else."""

from clues.publishers.composite import CompositePublisher
from clues.publishers.log import LogPublisher
from clues.publishers.stream import NoOpPublisher, StandardOutPublisher, StreamPublisher

__all__ = ["CompositePublisher", "LogPublisher", "NoOpPublisher", "StandardOutPublisher", "StreamPublisher"]
