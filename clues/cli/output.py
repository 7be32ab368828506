"""How the commands print: safely, and quietly when the reader is gone."""

from __future__ import annotations

import errno
import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import typer

from clues.sanitize import UNSAFE, one_line, spell_out

_UNSAFE_IN_JSON = re.compile(f"{UNSAFE.pattern}|[\ud800-\udfff]")  # halves of characters no UTF-8 can hold
_NOBODY_READS = {errno.EPIPE, errno.EIO}  # the latter where the terminal is gone


def clean(text: object, *, lines: bool = False) -> str:
    """Text from a log as it may be shown: control characters are spelled out.

    Args:
        text: anything.
        lines: keep newlines and tabs.
    """
    return UNSAFE.sub(spell_out, str(text)) if lines else one_line(str(text))


def clean_json(line: str) -> str:
    """A JSON line as a terminal may get it: the same value, control characters escaped in JSON's way.

    Not on a terminal alone: what is piped, or written to a file, ends on one.
    """
    return _UNSAFE_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", line)


def on_terminal(stream: IO[str] | None = None) -> bool:
    """Whether a stream, standard output if left out, is a terminal that can move its cursor."""
    return (stream or sys.stdout).isatty() and os.environ.get("TERM") != "dumb"


def say_error(error: object) -> None:
    """Say what went wrong, in one line."""
    print(f"clues: error: {clean(error)}", file=sys.stderr)


def say(text: object) -> None:
    """Say something beside the output: on standard error."""
    print(clean(text), file=sys.stderr)


@contextmanager
def quiet_pipe() -> Iterator[None]:
    """End the command, well and quietly, when who reads its output has seen enough, as in ``clues tail | head``."""
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        if error.errno not in _NOBODY_READS:
            raise
        silence_stdout()
        raise typer.Exit from None


def silence_stdout() -> None:
    """Let what is still buffered go nowhere, or Python complains at exit that nobody reads it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def make_streams_safe() -> None:
    """Never fail to print: not where a stream is closed, nor a character that the terminal's encoding lacks."""
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _nowhere() -> IO[str]:
    return Path(os.devnull).open("w", encoding="utf-8")
