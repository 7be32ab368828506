"""Child processes that don't outlive us, however we end."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import IO

_PR_SET_PDEATHSIG = 1
_WATCH = 'read _; kill -KILL "$0" 2>/dev/null'


class Child:
    """A process in a session of its own: Ctrl-C on our terminal reaches us alone, and we end it in our order.

    Should we be killed, it is killed too: by the kernel on Linux; elsewhere by a small shell that sees a pipe from
    us close.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        output: IO[bytes] | int,
        stdin: IO[bytes] | int = subprocess.DEVNULL,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """Start a command.

        Args:
            command: program and arguments.
            output: where its output and errors go.
            stdin: where its input comes from.
            environ: its environment; ours if left out.

        Raises:
            OSError: it can't be started.
        """
        self._process = subprocess.Popen(
            command,
            stdin=stdin,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environ,
            start_new_session=True,
            preexec_fn=_die_with_parent(),  # noqa: PLW1509 - one system call, and no thread runs yet
        )
        self._watch = None if sys.platform == "linux" else watch(self.pid)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """Its exit status, or None while it runs."""
        return self._process.poll()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it is still there."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def wait(self, seconds: float) -> bool:
        """Wait for its end; gives whether it has ended."""
        try:
            self._process.wait(max(seconds, 0))
        except subprocess.TimeoutExpired:
            return False
        self._release()
        return True

    def kill(self) -> None:
        """End it at once."""
        self.signal(signal.SIGKILL)
        self._process.wait()
        self._release()

    def _release(self) -> None:
        if self._watch is not None:
            self._watch.kill()
            self._watch.communicate()
            self._watch = None


def watch(pid: int) -> subprocess.Popen[bytes]:
    """A shell that kills a process once our end of the pipe to it is closed, be it by our death."""
    return subprocess.Popen(["/bin/sh", "-c", _WATCH, str(pid)], stdin=subprocess.PIPE, start_new_session=True)


def _die_with_parent() -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up here: after the fork nothing should be allocated that needn't be
    parent = os.getpid()

    def ask_the_kernel() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # QUIT, before a worker has its handler, would dump core
        if os.getppid() != parent:  # we died between the fork and the line above
            os._exit(1)

    return ask_the_kernel
