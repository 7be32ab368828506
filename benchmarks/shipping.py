"""``python -m benchmarks.shipping SPOOL URL…``: ship all that a spool holds, and say what it took."""

from __future__ import annotations

import gc
import json
import resource
import sys
import time

from clues.plugs import publisher_from_url
from clues.publishers import CompositePublisher

PATIENCE = 300.0


def main() -> None:
    """Ship, and print."""
    spool, *urls = sys.argv[1:]
    publisher = CompositePublisher(*(publisher_from_url(f"{url}&spool={spool}") for url in urls))
    (outbox,) = publisher.outboxes
    outbox.accompany()
    for child in outbox.publishers:
        child.destination().close()  # its libraries are imported now, as they are long before a shipper's first event
    gc.collect()
    begin, cpu = time.perf_counter(), time.process_time()
    shipper = outbox.shipper()
    shipper.start()
    done = shipper.end(PATIENCE)
    taken, spent = time.perf_counter() - begin, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    checkpoints = [outbox.journal.spool.checkpoint(child.name) for child in outbox.publishers]
    delivered = [checkpoint.delivered for checkpoint in checkpoints]
    print(json.dumps({"done": done, "delivered": delivered, "seconds": taken, "cpu": spent, "peak": peak}))


if __name__ == "__main__":
    main()
