"""``python -m benchmarks.shipping SPOOL URL…``: ship all that a spool holds, and say what it took."""

from __future__ import annotations

import gc
import json
import os
import re
import sys
import time
from pathlib import Path

from clues.plugs import publisher_from_url
from clues.publishers import CompositePublisher
from clues.publishers.outbox import Companion

PATIENCE = 300.0
PEAK = re.compile(r"VmHWM:\s*(\d+) kB")  # since the program began; getrusage's counts its parent's too


def main() -> None:
    """Ship, and print."""
    spool, *urls = sys.argv[1:]
    publisher = CompositePublisher(*(publisher_from_url(f"{url}&spool={spool}") for url in urls))
    (outbox,) = publisher.outboxes
    companion = Companion([outbox])
    for child in outbox.publishers:
        child.destination().close()  # its libraries are imported now, as they are long before a shipper's first event
    lifeline, other = os.pipe()
    os.close(other)  # whoever wants it has gone: it ships what there is, and ends
    gc.collect()
    begin, cpu = time.perf_counter(), time.process_time()
    companion.run(lifeline, timeout=PATIENCE)
    taken, spent = time.perf_counter() - begin, time.process_time() - cpu
    peak = 1024 * int(PEAK.search(Path("/proc/self/status").read_text())[1])  # type: ignore[index]
    checkpoints = [outbox.journal.spool.checkpoint(child.name) for child in outbox.publishers]
    delivered = [checkpoint.delivered for checkpoint in checkpoints]
    print(json.dumps({"delivered": delivered, "seconds": taken, "cpu": spent, "peak": peak}))


if __name__ == "__main__":
    main()
