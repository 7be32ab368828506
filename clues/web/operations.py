"""Long work that somebody started on the page: it goes on in a thread, tells how far it is, and can be stopped."""

from __future__ import annotations

import logging
import secrets
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

log = logging.getLogger("clues.web")

_MOST = 20  # operations that are remembered


class Operation:
    """One piece of long work."""

    def __init__(self, what: str, steps: Iterable[str]) -> None:
        """Begin.

        Args:
            what: it is, in words.
            steps: does it, step by step, and gives what became of each.
        """
        self.id = secrets.token_urlsafe(6)
        self._what = what
        self._steps = steps
        self._counts: Counter[str] = Counter()
        self._stop = threading.Event()
        self._error = ""
        self._done = False
        self._thread = threading.Thread(target=self._run, name="clues-operation", daemon=True)
        self._thread.start()

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self._done

    def stop(self) -> None:
        """End after the step that is being done."""
        self._stop.set()

    def join(self) -> None:
        """Wait for its end."""
        self._thread.join()

    def told(self) -> dict[str, Any]:
        """How far it is."""
        return {
            "id": self.id,
            "what": self._what,
            "counts": dict(self._counts),
            "done": self._done,
            "stopped": self._done and self._stop.is_set(),
            "error": self._error,
        }

    def _run(self) -> None:
        try:
            for outcome in self._until_stopped():
                self._counts[outcome] += 1
        except Exception as error:  # noqa: BLE001 - whoever started it is told
            self._error = f"{type(error).__name__}: {error}"
            log.warning("%s: %s", self._what, self._error)
        finally:
            self._done = True

    def _until_stopped(self) -> Iterator[str]:
        for outcome in self._steps:
            yield outcome
            if self._stop.is_set():
                return


class Operations:
    """Those that go on, and the last that ended."""

    def __init__(self) -> None:
        """Begin with none."""
        self._known: dict[str, Operation] = {}

    def begin(self, what: str, steps: Iterable[str]) -> Operation:
        """Begin one."""
        ended = [known.id for known in self._known.values() if known.done]
        for one in ended[: max(len(self._known) - _MOST, 0)]:
            del self._known[one]
        begun = Operation(what, steps)
        self._known[begun.id] = begun
        return begun

    def get(self, operation_id: str) -> Operation | None:
        """One by its id."""
        return self._known.get(operation_id)

    def close(self) -> None:
        """Stop all, after the step that each is doing."""
        for known in self._known.values():
            known.stop()
        for known in self._known.values():
            known.join()
