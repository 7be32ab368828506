"""A reader who does what a page says: in order, in one folder, with a Redis at the usual address."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

from tests.conformance.environments import python_of
from tests.docs.snippets import DATA, ROOT, Snippet
from tests.waiting import wait_for

_PATIENCE = 90.0  # seconds, for what ends by itself
_USUAL = re.compile(r"redis://(?:localhost|127\.0\.0\.1)(?::6379)?(?:/\d+)?(?![\w:/.-])")
_LOGS = "/var/log/"
_SPOOLS = "/var/spool/"


class Reader:
    """Writes and runs a page's snippets.

    What a page says of ``redis://localhost:6379``, ``/var/log/`` and ``/var/spool/`` is done to a Redis of the tests'
    and to folders of its own.
    """

    def __init__(self, folder: Path, redis_url: str, page: list[Snippet]) -> None:
        """Begin with an empty folder."""
        self._folder = folder
        self._redis_url = redis_url
        self._page = page
        self._started: list[subprocess.Popen[str]] = []
        self._state = folder / ".shell"  # a shell's variables and folder, for the next block
        self._state.write_text("")
        (folder / "tmp").mkdir()
        (folder / "var").mkdir()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._started):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for process in self._started:
            try:
                process.communicate(timeout=20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()

    def read(self) -> int:
        """Do what the page says; gives how many blocks that were."""
        todo = [snippet for snippet in self._page if snippet.is_run or (snippet.file and not snippet.is_left)]
        for snippet in todo:
            self._do(snippet)
        return len(todo)

    def _do(self, snippet: Snippet) -> None:
        if snippet.file:
            file = self._folder / snippet.file
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(self._ours(snippet.text))
        if snippet.language == "python" and not (snippet.file and self._is_used_later(snippet)):
            self._run(snippet, [*self._python(snippet), *self._program(snippet)])
        elif snippet.language == "console":
            script = f". ./{self._state.name}\nset -euo pipefail\n{self._ours(snippet.commands)}"
            keep = f"{{ export -p; printf 'cd %q\\n' \"$PWD\"; }} > {self._state}"
            self._run(snippet, ["bash", "-c", f"{script}\n{keep}"])

    def _run(self, snippet: Snippet, command: list[str]) -> None:
        if snippet.mark == "in the background":
            self._started.append(self._start(command))
        elif snippet.mark == "until":
            wait_for(lambda: snippet.what in self._outcome(snippet, command), f"{snippet}: {snippet.what}")
        else:
            self._outcome(snippet, command)

    def _outcome(self, snippet: Snippet, command: list[str]) -> str:
        """What a command printed; it must end well, unless it is said again until it does."""
        process = self._start(command)
        self._started.append(process)
        said, _ = process.communicate(timeout=_PATIENCE)
        self._started.remove(process)
        assert process.returncode == 0 or snippet.mark == "until", f"{snippet}\n{snippet.commands}\n{said}"
        return said

    def _start(self, command: list[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=self._folder,
            env=self._environ(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def _environ(self) -> dict[str, str]:
        beside = Path(sys.executable).parent
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("CLUES_")},
            "HOME": str(self._folder),
            "PATH": f"{beside}:{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join([str(self._folder), str(ROOT)]),
            "REDIS_URL": self._redis_url,
            "TMPDIR": str(self._folder / "tmp"),
            "XDG_STATE_HOME": str(self._folder / "state"),
        }

    def _ours(self, text: str) -> str:
        text = _USUAL.sub(self._redis_url, text)
        return text.replace(_LOGS, f"{self._folder}/var/").replace(_SPOOLS, f"{self._folder}/var/")

    def _python(self, snippet: Snippet) -> list[str]:
        return [str(python_of(snippet.what))] if snippet.mark == "with" else [sys.executable, "-W", "error"]

    def _program(self, snippet: Snippet) -> list[str]:
        return [snippet.file] if snippet.file else ["-c", self._ours(snippet.text)]

    def _is_used_later(self, snippet: Snippet) -> bool:
        module = Path(snippet.file).stem
        later = self._page[self._page.index(snippet) + 1 :]
        return any(re.search(rf"\b{re.escape(module)}\b", one.text) for one in later if one.language not in DATA)
