"""Everything a Redis holds, to be laid into it again: jobs are enqueued once and drained in each round."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import redis


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Keys with their times to live in milliseconds (0 for ever) and contents.

    Attributes:
        keys: those.
    """

    keys: tuple[tuple[bytes, int, bytes], ...]

    @classmethod
    def of(cls, client: redis.Redis) -> Snapshot:
        """What is there now."""
        pipeline: Any = client.pipeline(transaction=False)
        names = list(client.scan_iter(count=1000))
        for name in names:
            pipeline.pttl(name)
            pipeline.dump(name)
        told = pipeline.execute()
        return cls(tuple(zip(names, (max(0, left) for left in told[::2]), told[1::2], strict=True)))

    def lay(self, client: redis.Redis) -> None:
        """Put it there, in place of all that there is."""
        client.flushall()
        pipeline: Any = client.pipeline(transaction=False)
        for name, left, content in self.keys:
            pipeline.restore(name, left, content)
        pipeline.execute()
