"""The process title, as others see it."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

SHOW = """
import sys
from clues.resque import proctitle
proctitle.show(eval(sys.stdin.readline()), prefix=sys.argv[1])
print(open("/proc/self/cmdline", "rb").read().rstrip(b"\\0"), flush=True)
"""


def shown(text: str, prefix: str = "") -> bytes:
    """The title of a process that shows a text."""
    done = subprocess.run(
        [sys.executable, "-c", SHOW, prefix], input=ascii(text), capture_output=True, text=True, timeout=60, check=True
    )
    title: bytes = eval(done.stdout)
    return title


def test_rubys_pruning_knows_it() -> None:
    """By ``resque-`` and a digit, as ``ps`` lines of living workers."""
    assert re.fullmatch(rb"resque-\d\S*: Waiting for a,b", shown("Waiting for a,b"))
    assert re.fullmatch(rb"staging resque-\d\S*: Starting", shown("Starting", "staging "))


@pytest.mark.parametrize(
    "text",
    ["a\0b", "a\nb", "\udcff \ud800", "\x1b[31mred", "é世", "x" * 1_000_000, "\u202e"],
    ids=lambda text: ascii(text[:9]),
)
def test_any_name_can_be_shown(text: str) -> None:
    """What is not printable becomes a question mark, what is long is cut."""
    title = shown(text)
    assert title.startswith(b"resque-")
    assert len(title) <= 500
    assert b"\n" not in title
    assert b"\x1b" not in title
    if text == "é世":
        assert title.decode().endswith("é世")
