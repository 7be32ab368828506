"""clues: what happens to every background job, published.

In an application's initializer::

    import clues
    from clues.publishers import LogPublisher

    clues.configure(publisher=LogPublisher("/var/log/clues.log"))
"""

TYPE_CHECKING = False  # type checkers know the name; to import typing takes ten times as long as all that is here

if TYPE_CHECKING:
    from clues.config import configure, configured
    from clues.event import Event, EventType
    from clues.runtime import Runtime, clues_metadata

__version__ = "0.1.0.dev0"

__all__ = ["Event", "EventType", "Runtime", "__version__", "clues_metadata", "configure", "configured"]

_PLACES = {
    "Event": "event",
    "EventType": "event",
    "Runtime": "runtime",
    "clues_metadata": "runtime",
    "configure": "config",
    "configured": "config",
}

if not TYPE_CHECKING:  # to a type checker, any name would be one of ours

    def __getattr__(name: str) -> object:
        """Import a name's module when it is first named: whoever has no need of it yet, or never, does not wait for it.

        No job waits for it either: `configure`, and job systems at their import, load all that a job needs.
        """
        if name not in _PLACES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module  # noqa: PLC0415 - for the same reason

        found = globals()[name] = getattr(import_module(f"clues.{_PLACES[name]}"), name)
        return found

    def __dir__() -> list[str]:
        """All names, those that were not imported yet too."""
        return sorted({*globals(), *__all__})
