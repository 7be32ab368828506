"""The environment's variables that clues reads: for its reference, for help texts, and to find misspelt ones.

Those of Resque mean what they mean in Resque; those of OpenTelemetry, what its specification says.
"""

from __future__ import annotations

CONFIGURATION = {
    "CLUES_PUBLISHERS": "who gets the events: URLs, separated by commas; several are under one `CompositePublisher`",
    "CLUES_REDACT": "words, separated by commas, that make a key a secret's name, besides the built-in ones; `off` "
    "switches redaction off",
    "CLUES_MAX_ARGS_BYTES": "the largest encoded size of the args in an event, in bytes",
    "CLUES_MAX_METADATA_BYTES": "the same of the user's metadata",
    "CLUES_MAX_MESSAGE_BYTES": "the same of an error's message",
    "CLUES_MAX_BACKTRACE_BYTES": "the same of a backtrace; its head and its tail are kept",
    "CLUES_ADOPT_UNSTAMPED": "`true`: jobs that were enqueued without clues get events too, from `dequeued` on",
    "CLUES_HOSTNAME": "this host's name in events, instead of the system's",
    "CLUES_SPOOL": "the folder of the journal, where events wait for delivery over a network; left out, "
    "`$XDG_STATE_HOME/clues/spool`, else `~/.local/state/clues/spool`",
    "STATSD_HOST": "send metrics to statsd there too, as Action Verb's fork of Resque does",
    "STATSD_PORT": "statsd's port; 8125 if left out",
    "STATSD_KEY": "where each job's time is told too, with the job's name appended",
}
"""What `clues.configure` reads for the arguments that are left out, and what switches clues on by itself."""

WORKERS = {
    "REDIS_URL": "which Redis, where the application does not say; `redis://localhost:6379/0` if left out; "
    "`rediss://`, `unix://` and `sentinel://` do too",
    "QUEUES": "names and patterns of queues, in order of priority, separated by commas",
    "QUEUE": "the same, where `QUEUES` is not there",
    "WORKER_COUNT": "worker processes",
    "COUNT": "the same, where `WORKER_COUNT` is not there",
    "THREAD_COUNT": "threads of each process; one is the process's main thread",
    "JOBS_PER_FORK": "jobs, of all its threads, after which a process is replaced, at least one for each thread; 0 for "
    "never",
    "FORK_PER_JOB": "`false`: as `JOBS_PER_FORK=0`",
    "BATCH_SIZE": "the most jobs to take at once",
    "INTERVAL": "seconds, the longest wait between two looks at the queues; 0 ends the worker when they are empty",
    "MIN_INTERVAL": "seconds to wait after a job",
    "MAX_INTERVAL": "seconds, the longest that the wait grows to",
    "BACKOFF_INTERVAL": "seconds by which the wait grows with each look that finds nothing",
    "TERM_CHILD": "there at all: a stop raises `TermException` in the jobs",
    "GRACEFUL_TERM": "there at all: TERM lets the running jobs finish, as QUIT does",
    "RESQUE_TERM_TIMEOUT": "seconds from the exception to the kill",
    "RESQUE_PRE_SHUTDOWN_TIMEOUT": "seconds before the exception in which jobs may finish",
    "HEARTBEAT_INTERVAL_SECONDS": "seconds between two heartbeats",
    "HEARTBEATS_BEFORE_DEAD": "heartbeats that a worker has missed when it is dead",
    "RUN_AT_EXIT_HOOKS": "there at all: worker processes run what was registered with `atexit`",
    "RESQUE_PROCLINE_PREFIX": "what stands before the titles of processes",
    "FAILURE_BACKEND": "`redis`: failures are one list; `redis_multi_queue`: a list for each queue",
    "PIDFILE": "a file for the master's process id",
    "BACKGROUND": "there at all: go into the background",
    "VERBOSE": "there at all: the worker's log tells all that happens",
    "LOGGING": "as `VERBOSE`",
    "VVERBOSE": "there at all: the worker's log tells details too",
    "CLUES_WORKER_HOSTNAME": "the host's name in workers' ids, instead of the system's",
    "CLUES_RUN_DIR": "the folder that processes of one host share: scoreboards, ledgers; left out, "
    "`$XDG_RUNTIME_DIR/clues`, else `clues-<uid>` in the folder for temporary files",
}
"""What `clues work` and `clues start` read, and, of these, REDIS_URL whatever talks to Redis."""

OPENTELEMETRY = {
    "OTEL_EXPORTER_OTLP_ENDPOINT": "where to, where `OTLPPublisher` or its URL does not say",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "`grpc` or `http/protobuf`",
    "OTEL_EXPORTER_OTLP_HEADERS": "headers of each request: `name=value,name=value`, percent-encoded",
    "OTEL_EXPORTER_OTLP_TIMEOUT": "seconds for one request",
    "OTEL_EXPORTER_OTLP_COMPRESSION": "`gzip` or `none`",
    "OTEL_EXPORTER_OTLP_INSECURE": "`true`: a gRPC endpoint without a scheme is spoken to without TLS",
    "OTEL_EXPORTER_OTLP_CERTIFICATE": "a file of the authority that the back end's certificate is checked with",
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": "a file of our own certificate",
    "OTEL_EXPORTER_OTLP_CLIENT_KEY": "a file of its key",
    "OTEL_SERVICE_NAME": "whose jobs these are",
    "OTEL_RESOURCE_ATTRIBUTES": "what else is told of the service: `name=value,name=value`",
}
"""What `OTLPPublisher` reads; the exporter's exist for each signal too: ``OTEL_EXPORTER_OTLP_LOGS_ENDPOINT``."""

COMMANDS = {
    "CLUES_WEB_TOKEN": "the token that lets one into the page of `clues web`; another each time, if left out",
    "CLUES_SETUP_API_KEY": "an API key or a token for `clues setup grafana` and `kibana`",
    "CLUES_SETUP_USER": "`name:password` for the same",
    "CLUES_REDIS_SERVER": "the server that `clues demo` starts, instead of the one on `PATH` or of a wheel",
    "NO_COLOR": "there at all: no colours",
}
"""What single commands read."""

DEVELOPMENT = {
    "CLUES_REQUIRE": "what the tests of clues must not skip, separated by commas: `redis`",
}
"""What clues' own tests read."""

VARIABLES = CONFIGURATION | WORKERS | OPENTELEMETRY | COMMANDS | DEVELOPMENT
"""All of them, with what each says."""
