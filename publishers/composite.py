"""Several publishers as one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Self, TypeAlias, TypeVar
from urllib.parse import SplitResult

from clues.errors import ConfigError
from clues.event import Event, Publisher, Sample
from clues.faults import Faults
from clues.plugs import Propagator, PublisherLike, as_publisher, name_of
from clues.publishers.outbox import Companion, Outbox
from clues.publishers.sampling import TakesStates
from clues.publishers.shipped import ShippedPublisher

_T = TypeVar("_T")
# Who counts a child's faults, the child, and how to give it an event, and several.
_Ways: TypeAlias = tuple[
    tuple[Faults, Publisher, Callable[[Event], object], Callable[[Sequence[Event]], object] | None], ...
]


class CompositePublisher:
    """Gives each event to every child, in order; one that raises doesn't keep it from the others.

    The event is encoded once, however many children write it.

    Attributes:
        children: the publishers.
        faults: counts what the children raised, by child.
    """

    def __init__(self, *publishers: PublisherLike) -> None:
        """Hold these publishers.

        Args:
            publishers: publishers or callables.

        Raises:
            ConfigError: one of them is neither.
        """
        given: tuple[object, ...] = publishers
        if len(given) == 1 and isinstance(given[0], list | tuple):
            msg = "CompositePublisher takes publishers, not a list of them: CompositePublisher(*publishers)"
            raise ConfigError(msg)
        self.faults: Faults = Faults()
        self.children: tuple[Publisher, ...] = tuple(as_publisher(publisher) for publisher in publishers)
        self._ways: _Ways = ()

    @classmethod
    def from_url(cls, url: SplitResult) -> Self:
        """Nothing: several URLs make a composite by themselves.

        Raises:
            ConfigError: always.
        """
        msg = f"CLUES_PUBLISHERS: leave out {url.scheme}:// and name the publishers themselves, separated by commas"
        raise ConfigError(msg)

    def publish(self, event: Event, /) -> None:
        """Give the event to every child; those that share a journal, wherever they stand, have it written once."""
        for faults, child, publish, _ in self._ways or self._find_ways():
            _give(faults, child, publish, event)

    def publish_many(self, events: Sequence[Event]) -> None:
        """Give several events to every child, one child after the other."""
        for faults, child, publish, publish_many in self._ways or self._find_ways():
            if publish_many is not None:
                _give(faults, child, publish_many, events)
            else:
                for event in events:
                    _give(faults, child, publish, event)

    def publish_samples(self, samples: Iterable[Sample]) -> None:
        """Give the samples to the children that take any."""
        told = list(samples)
        for child in self.children:
            take = getattr(child, "publish_samples", None)
            if take is not None:
                self._guarded(child, take, told)

    def flush(self, timeout: float = 2.0) -> bool:
        """Flush the children that can be.

        Args:
            timeout: seconds, for each.

        Returns:
            Whether all have said that nothing is left.
        """
        flushing = [(child, child.flush) for child in self.children if hasattr(child, "flush")]
        done = [self._guarded(child, flush, timeout) is not False for child, flush in flushing]
        return all(done)

    def close(self) -> None:
        """Close the children that can be closed."""
        for child in self.children:
            if hasattr(child, "close"):
                self._guarded(child, child.close)

    @property
    def propagator(self) -> Propagator | None:
        """What carries trace context in items, where one of the children wants that."""
        found = (getattr(child, "propagator", None) for child in self.children)
        return next((propagator for propagator in found if propagator is not None), None)

    def companion(self) -> Companion | None:
        """What ships for the children, and tells them states, in a process of its own; None if none wants that."""
        takers = [child for _, child in _leaves(self) if isinstance(child, TakesStates)]
        return Companion(self.outboxes, takers) if self.outboxes or takers else None

    def __lshift__(self, publisher: PublisherLike) -> Self:
        """``composite << publisher`` adds a child, as in resque-clues; before anything is published."""
        if publisher is self:
            msg = "a CompositePublisher can't be its own child"
            raise ConfigError(msg)
        self.children = (*self.children, as_publisher(publisher))
        self._ways = ()
        return self

    @property
    def outboxes(self) -> tuple[Outbox, ...]:
        """The journals of the children that ship, theirs of composites among them included; each once."""
        found = [child.outbox for _, child in _leaves(self) if isinstance(child, ShippedPublisher)]
        return tuple(dict.fromkeys(found))

    def _find_ways(self) -> _Ways:
        """Whom to give events, and how: found with the first one, for a child that is a composite may get more."""
        journalled: set[Outbox] = set()
        ways = []
        for faults, child in _leaves(self):
            if isinstance(child, ShippedPublisher):
                if child.outbox in journalled:
                    continue
                journalled.add(child.outbox)
            ways.append((faults, child, child.publish, getattr(child, "publish_many", None)))
        self._ways = tuple(ways)
        return self._ways

    def _guarded(self, child: Publisher, act: object, *args: object) -> object:
        try:
            return act(*args)  # type: ignore[operator]
        except Exception as error:  # noqa: BLE001 - one child's trouble is not the others'
            self.faults.report(name_of(child), error)
            return False


def _leaves(composite: CompositePublisher) -> Iterator[tuple[Faults, Publisher]]:
    """The children, and those of composites among them in their place; each with who counts its faults."""
    for child in composite.children:
        if type(child) is CompositePublisher:  # a subclass may do with events what it likes
            yield from _leaves(child)
        else:
            yield composite.faults, child


def _give(faults: Faults, child: Publisher, publish: Callable[[_T], object], told: _T) -> None:
    try:
        publish(told)
    except BaseException as error:  # noqa: BLE001 - one child's trouble is not the others'
        lost = 1 if isinstance(told, Event) else len(told)  # type: ignore[arg-type]
        faults.report(name_of(child), error, "what it was given is lost to it, the others get it", events=lost)
