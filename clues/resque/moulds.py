"""The master's side of moulds: starting them, talking to them, one following another."""

from __future__ import annotations

import itertools
import logging
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clues.backoff import backoff
from clues.resque.channel import Channel

log = logging.getLogger("clues.resque")

_PAUSE = 1.0  # seconds until one that could not be started is tried again

_LONGEST_WAIT = 30.0
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Launch:
    """What a mould is to load.

    Attributes:
        app: the application's modules.
        config: a starter's config file; empty for none.
        redis: a Redis URL that counts before the application's own.
        namespace: likewise.
        overrides: settings that count before the config file's, in its words.
        as_starter: whether to log as resque_starter does, rather than as Resque.
        folder: where to start moulds, by the name under which it was entered: a link such as a deployment's ``current``
            may lead to newer code by then. Where it is gone, and if it is empty: where the master was started.
    """

    app: tuple[str, ...] = ()
    config: str = ""
    redis: str | None = None
    namespace: str | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    as_starter: bool = False
    folder: str = ""


@dataclass(slots=True)
class MouldProcess:
    """A mould.

    Attributes:
        pid: its process id.
        channel: where it is talked to.
        number: which of the master's moulds it is, from 1 up.
        problem: why it could not start; empty if it could.
    """

    pid: int
    channel: Channel
    number: int = field(default_factory=lambda: next(_numbers))
    problem: str = ""


class Moulds:
    """The present mould, the one that is to follow it, and those whose last workers still run.

    Attributes:
        current: it forks; None while there is none.
        coming: it loads the application.
        retiring: they wait for the ends of the workers that they have forked.
        problem: why the last one could not start.
        failures: how many in a row could not.
        not_before: when to try again, on the monotonic clock.
        hup_again: whether there is to be another one, once the coming one is there, or has failed.
    """

    def __init__(self, launch: Launch, options: Mapping[str, Any], lifeline: int, notices: int) -> None:
        """Prepare.

        Args:
            launch: what to load.
            options: the tree's options, as JSON values.
            lifeline: a descriptor for all processes whose other end the master alone holds.
            notices: a descriptor for what workers have to tell the master.
        """
        self._launch = launch
        self._options = options
        self._lifeline = lifeline
        self._notices = notices
        self.current: MouldProcess | None = None
        self.coming: MouldProcess | None = None
        self.retiring: list[MouldProcess] = []
        self.problem = ""
        self.failures = 0
        self.not_before = 0.0
        self.hup_again = False

    def all(self) -> list[MouldProcess]:
        """Those there are."""
        return [mould for mould in (self.current, self.coming, *self.retiring) if mould is not None]

    def start(self) -> None:
        """Start one, as a program of its own: its code is that of now, and it has none of the master's threads."""
        ours, theirs = socket.socketpair()
        fds = (theirs.fileno(), self._lifeline, self._notices)
        own_flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined] # noqa: SLF001 - as multiprocessing does
        command = [sys.executable, *own_flags, "-m", "clues.resque.mould", *map(str, fds)]
        folder = self._launch.folder if Path(self._launch.folder).is_dir() else None
        with theirs:
            process = subprocess.Popen(command, pass_fds=fds, cwd=folder or None)  # noqa: S603 - our own program
        process.returncode = 0  # the master waits for all its children itself
        self.coming = MouldProcess(process.pid, Channel(ours))
        self.coming.channel.send(
            options=dict(self._options),
            config=self._launch.config,
            app=list(self._launch.app),
            redis=self._launch.redis,
            namespace=self._launch.namespace,
            overrides=dict(self._launch.overrides),
            as_starter=self._launch.as_starter,
        )

    def start_again(self, now: float) -> None:
        """Start one in a tree that works: where no descriptor or process is to be had, it lives on without.

        Args:
            now: on the monotonic clock.
        """
        try:
            self.start()
        except OSError as error:
            log.warning("can't start the process that loads the application: %s", error)
            self.not_before = now + _PAUSE

    def restart(self) -> None:
        """Start another one with new code; what is asked while it loads is one more after it."""
        if self.coming is not None:
            self.hup_again = True
            return
        log.info("HUP: starting a new mould")
        self.start_again(time.monotonic())

    def send(self, **message: Any) -> None:
        """Tell the present one something; nothing if there is none."""
        if self.current is not None:
            self.current.channel.send(**message)

    def hear(self, ready: Collection[int]) -> Iterator[tuple[MouldProcess, str, Any]]:
        """What those tell whose channels are ready: a word and what belongs to it; ``lost`` with what it was."""
        for mould in self.all():
            if mould.channel.fileno() not in ready:
                continue
            for message in mould.channel.receive():
                yield from ((mould, word, told) for word, told in message.items())
            if mould.channel.closed:
                mould.channel.close()
                yield mould, "lost", self._lost(mould)

    def take_over(self, mould: MouldProcess) -> None:
        """The coming one is ready."""
        self.coming, self.failures = None, 0
        if self.current is not None:
            self.retiring.append(self.current)
            log.info("the new mould %d is ready; its workers take over, one at a time", mould.pid)
        self.current = mould

    def retire(self, needed: Callable[[int], bool]) -> None:
        """Let those go, by their numbers, that nothing is needed of any more."""
        for mould in self.retiring:
            if not needed(mould.number):
                mould.channel.close()
        self.retiring = [mould for mould in self.retiring if not mould.channel.closed]
        if not self.retiring:
            log.info("all workers are the new mould's")

    def close(self) -> None:
        """Hang up on all; they end by that."""
        for mould in self.all():
            mould.channel.close()

    def _lost(self, mould: MouldProcess) -> str:
        if mould in self.retiring:
            self.retiring.remove(mould)
            return "retiring"
        if mould is self.coming:
            self.coming = None
            self.problem = mould.problem or "the process that loads the application died"
            self.not_before = time.monotonic() + backoff(self.failures, 1.0, _LONGEST_WAIT)
            self.failures += 1
            if self.current is not None:
                log.error("the new mould failed to start, the old one stays: %s", self.problem)
                self.go_on()
            return "coming"
        log.warning("the mould %d died; another one is started, the workers go on", mould.pid)
        self.current = None
        self.not_before = 0.0
        return "current"

    def go_on(self) -> None:
        """Start the one that was asked for meanwhile, if any was."""
        if self.hup_again:
            self.hup_again = False
            self.restart()
