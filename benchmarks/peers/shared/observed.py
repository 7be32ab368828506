"""Whether clues is to observe the jobs: then it is configured, to write each event into the log that is named."""

import os


def by_clues() -> bool:
    """Configure it, where there is a log. clues is the checkout's: its adapters are imported after this only."""
    log = os.environ.get("BENCH_LOG")
    if log:
        import clues  # noqa: PLC0415 - it is there only then
        from clues.publishers import LogPublisher  # noqa: PLC0415

        clues.configure(LogPublisher(log))
    return bool(log)
