"""The master's side of a mould: starting it, and talking to it."""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from clues.resque.channel import Channel


@dataclass(frozen=True, slots=True)
class Launch:
    """What a mould is to load.

    Attributes:
        app: the application's modules.
        config: a starter's config file; empty for none.
        redis: a Redis URL that counts before the application's own.
        namespace: likewise.
    """

    app: tuple[str, ...] = ()
    config: str = ""
    redis: str | None = None
    namespace: str | None = None


_numbers = itertools.count(1)


@dataclass(slots=True)
class MouldProcess:
    """A mould.

    Attributes:
        pid: its process id.
        channel: where it is talked to.
        number: which of the master's moulds it is, from 1 up.
        ready: what it has told once it was ready; None before.
        problem: why it could not start; empty if it could.
    """

    pid: int
    channel: Channel
    number: int = field(default_factory=lambda: next(_numbers))
    ready: Mapping[str, Any] | None = None
    problem: str = ""


def start_mould(launch: Launch, options: Mapping[str, Any], lifeline: int, notices: int) -> MouldProcess:
    """Start a mould, as a program of its own: its code is that of now, and it has none of the master's threads."""
    ours, theirs = socket.socketpair()
    fds = (theirs.fileno(), lifeline, notices)
    own_flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined] # noqa: SLF001 - as multiprocessing
    command = [sys.executable, *own_flags, "-m", "clues.resque.mould", *map(str, fds)]
    with theirs:
        process = subprocess.Popen(command, pass_fds=fds, env=dict(os.environ))
    process.returncode = 0  # the master itself waits for its children
    channel = Channel(ours)
    channel.send(
        options=dict(options),
        config=launch.config,
        app=list(launch.app),
        redis=launch.redis,
        namespace=launch.namespace,
    )
    return MouldProcess(process.pid, channel)
