"""What Redis raises, by what it means: the connection is lost, it does not serve just now, or it won't do a thing."""

from __future__ import annotations

import redis

LOST = (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError, OSError)
"""What is raised when the connection, or a reply, is lost."""
REFUSED = (redis.exceptions.RedisError,)
"""What is raised besides when the server won't do a thing."""

UNAVAILABLE = (*LOST, redis.exceptions.ReadOnlyError, redis.exceptions.TryAgainError)
"""What Redis raises when it can't serve just now; a later try may go through."""

NOT_YET = (
    redis.exceptions.BusyLoadingError,
    redis.exceptions.MasterDownError,
    redis.exceptions.OutOfMemoryError,
    redis.exceptions.ReadOnlyError,
    redis.exceptions.TryAgainError,
)
"""What a Redis raises that is reached, and set up as it should be, but can't serve yet."""

TROUBLE = (*UNAVAILABLE, redis.exceptions.RedisError)
"""All that a command can raise."""
WAITS = 0.05, 5.0
"""The first wait and the longest, in seconds, between two tries while Redis does not serve: for `clues.backoff`."""
