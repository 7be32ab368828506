"""Workers under Server::Starter's start_server, which restarts them without a gap; the README beside it says how."""

import contextlib
import os
import signal
import time
from collections import Counter
from pathlib import Path

app = ["initializer", "jobs"]
queues = ["billing", "*"]
concurrency = 4

# The old master and the new one share these for a while: the new one takes them over.
pid_file = "clues.pid"
status_file = "clues.stat"

# What start_server was given as --status-file: a line "generation:pid" for each master that there is.
_start_server_status = Path(os.environ.get("START_SERVER_STATUS_FILE", "start_server.stat"))
_pause = float(os.environ.get("RESTART_PAUSE", "1"))
_forks = Counter()


def before_fork(starter, worker, nr):
    """Leave the old master a moment to take in the signal before: two at once would count as one."""
    _forks[nr] += 1
    if _forks[nr] == 1 and _old_masters():
        time.sleep(_pause)


def after_fork(starter, worker, nr):
    """Have the old master give up one worker for each new one, and itself for the last.

    So there is one working more than wanted, at most. A worker that merely replaces one of ours changes nothing; but
    the last one's QUIT is repeated, should the first to send it have died before it could.
    """
    is_last = nr + 1 >= starter.num_workers
    if is_last or _forks[nr] == 1:
        for pid in _old_masters():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGQUIT if is_last else signal.SIGTTOU)


def _old_masters():
    """The masters before this one; seldom more than one.

    Not just the generation before ours: start_server counts those that failed to start, too.
    """
    own = int(os.environ.get("SERVER_STARTER_GENERATION", "0"))
    try:
        lines = _start_server_status.read_text().split()
    except FileNotFoundError:  # start_server writes it when the first master has lived for its --interval
        return []
    generations = dict(line.split(":") for line in lines)
    return [int(pid) for generation, pid in generations.items() if int(generation) < own]
