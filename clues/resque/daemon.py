"""Going to the background (BACKGROUND), as Ruby's ``Process.daemon(true)`` does."""

from __future__ import annotations

import contextlib
import os
import sys
import threading


def daemonize() -> None:
    """Go on in a process of its own session, without a terminal; the one that was started ends, with status 0.

    The folder stays. Standard input, output and error are /dev/null from here on. Nothing registered with atexit runs
    in the process that ends.

    Raises:
        RuntimeError: other threads run, which would be lost: daemonize before they are started.
        OSError: the system can't make a process.
    """
    if threading.active_count() > 1:
        others = ", ".join(thread.name for thread in threading.enumerate() if thread is not threading.current_thread())
        msg = f"daemonize before any thread is started; these run: {others}"
        raise RuntimeError(msg)
    _flush()  # what is buffered would be written twice, or never
    _go_on_in_child()
    os.setsid()
    _go_on_in_child()  # no session's leader any more, so no terminal that is opened can become ours
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    if nowhere > 2:  # noqa: PLR2004 - standard error
        os.close(nowhere)


def _go_on_in_child() -> None:
    if os.fork():
        os._exit(0)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, its reader gone, or None
            stream.flush()
