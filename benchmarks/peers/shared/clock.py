"""What each peer's ``enqueue.py`` measures: seconds, and CPU seconds, of a number of calls in a loop."""

import json
import sys
import time
from collections.abc import Awaitable, Callable


def measured(enqueue: Callable[[int], object], warm: int = 50) -> None:
    """Enqueue as many jobs as the command line says, some of them before the clock starts; print what it took."""
    number = int(sys.argv[1])
    warm = min(warm, number // 2)
    enqueue(warm)
    begin, cpu = time.perf_counter(), time.process_time()
    enqueue(number - warm)
    _say(number - warm, begin, cpu)


async def measured_async(enqueue: Callable[[int], Awaitable[object]], warm: int = 50) -> None:
    """The same for enqueueing that is awaited."""
    number = int(sys.argv[1])
    warm = min(warm, number // 2)
    await enqueue(warm)
    begin, cpu = time.perf_counter(), time.process_time()
    await enqueue(number - warm)
    _say(number - warm, begin, cpu)


def _say(jobs: int, begin: float, cpu: float) -> None:
    print(json.dumps({"jobs": jobs, "seconds": time.perf_counter() - begin, "cpu": time.process_time() - cpu}))
