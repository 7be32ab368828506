"""The command line: argument parsing and printing only; what it prints is found out elsewhere.

Exit codes: 0 fine, 1 what was asked for was not found or failed, 2 mistaken usage or settings, 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from clues.errors import CluesError, ConfigError

USAGE = 2
INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``clues`` and give its exit code.

    Args:
        argv: the arguments; the process's own if left out.
    """
    try:
        return _run(argv)
    except KeyboardInterrupt:
        return INTERRUPTED


def _run(argv: Sequence[str] | None) -> int:
    from clues.cli.app import app
    from clues.cli.output import make_streams_safe, say, say_error, silence_stdout

    make_streams_safe()
    try:
        app(args=None if argv is None else list(argv), prog_name="clues")
        sys.stdout.flush()
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    except CluesError as error:
        say_error(error)
        return USAGE if isinstance(error, ConfigError) else 1
    except BrokenPipeError:
        silence_stdout()
    except OSError as error:  # such as a full disk behind standard output
        say_error(error)
        silence_stdout()
        return 1
    except Exception:  # noqa: BLE001 - a mistake of ours, whose message may hold what was read
        import traceback

        for line in traceback.format_exc().splitlines():
            say(line)
        say_error("this is a bug in clues; please report it, with what is above")
        return 1
    return 0
