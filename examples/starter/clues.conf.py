"""Workers of the shop beside this folder, in resque_starter's manner; Python, read at each start and restart.

Every setting is here. All may be left out; None is the same as left out.
"""

# The modules to load, once, before workers are forked from them. This file may import them itself just as well.
app = ["initializer", "jobs"]

# Names and patterns, in order of priority; a text with commas will do. Left out: what QUEUES or QUEUE says.
queues = ["billing", "*"]

# Where Redis is, and what stands before its keys. Left out: what the application configured, or REDIS_URL.
redis = None
namespace = None

# Worker processes. Signals change their number later: TTIN one more, TTOU one fewer.
concurrency = 4

# How many jobs a process performs at once, after how many it is replaced (0: never), how many it takes in one go.
thread_count = 1
jobs_per_fork = 1
batch_size = 1

# This process's id, and its workers' with their numbers, for other programs to read; both files go when it ends.
# Not in /tmp, where others may plant files. Relative to the folder in which it is started.
pid_file = "clues.pid"
status_file = "clues.stat"

# A logging.Logger, or the path of a log. Left out: standard output.
logger = None

# The longest wait between two looks at the queues, in seconds; a push wakes the workers at once. Or a wait that grows
# by the last one each time nothing was found.
dequeue_interval = 5.0
min_interval = None
max_interval = None
backoff_interval = None

# What TERM does to a running job: with term_child it may go on for so many seconds, then gets a TermException, and
# after so many more it is killed. With graceful_term TERM waits for it, as QUIT does.
term_child = True
pre_shutdown_timeout = 0.0
term_timeout = 4.0
graceful_term = None

# When a worker counts as dead: so many seconds between two heartbeats, so many of them left out.
heartbeat_interval = 2.0
heartbeats_before_dead = 25

# What worker ids say instead of the system's name, and what stands before process titles.
hostname = None
title_prefix = None


def before_fork(starter, worker, nr):
    """Run before each worker process is forked: close here what processes must not share, such as connections."""


def after_fork(starter, worker, nr):
    """Run in each worker process before it takes jobs: open here what it needs."""
    starter.logger.info("worker %d of %d is %s", nr, starter.num_workers, worker.id)
