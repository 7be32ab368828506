"""A connection that counts round trips."""

from __future__ import annotations

from typing import Any

from redis import Connection


class Counting(Connection):
    """Counts what is sent in one go."""

    sent = 0

    def send_packed_command(self, *args: Any, **kwargs: Any) -> None:
        type(self).sent += 1
        super().send_packed_command(*args, **kwargs)  # type: ignore[no-untyped-call]
