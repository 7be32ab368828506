"""Mutants: the core with one small mistake at a time, and whether its tests notice. ``make mutants`` runs it.

``python -m tests.mutants clues/metadata.py clues/event.py`` has mutmut (pyproject: ``tool.mutmut``) make the mutants of
those files, all of the core if none is named, has the tests of `TESTS` meet each, and prints what became of them.
``mutmut browse`` shows the survivors.

mutmut's own way to run tests takes ten times as long: it has pytest collect them for each mutant. And it tries those
tests only that had called the function in their own process, where many of ours do so in forked children.
"""

from __future__ import annotations

import contextlib
import gc
import os
import re
import resource
import signal
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import Phase, settings

from tests import waiting

TESTS = {
    "clues/attempt.py": ("test_lifecycle.py", "test_ledger.py", "test_runtime.py", "test_metadata.py"),
    "clues/config.py": ("test_config.py",),
    "clues/environment.py": ("test_config.py",),
    "clues/event.py": ("test_event.py", "test_lifecycle.py"),
    "clues/faults.py": ("test_faults.py", "test_config.py"),
    "clues/ledger.py": ("test_ledger.py",),
    "clues/lifecycle.py": ("test_lifecycle.py", "test_runtime.py", "test_ledger.py"),
    "clues/lines.py": ("test_lines.py",),
    "clues/metadata.py": ("test_metadata.py", "test_lifecycle.py", "test_redaction.py"),
    "clues/plain.py": ("test_plain.py", "test_sanitize.py", "test_redaction.py"),
    "clues/plugs.py": ("test_config.py", "test_lifecycle.py", "test_faults.py"),
    "clues/redaction.py": ("test_redaction.py", "test_sanitize.py"),
    "clues/resque/failure.py": ("resque/test_job.py",),
    "clues/resque/job.py": ("resque/test_job.py", "resque/test_wire.py"),
    "clues/resque/lease.py": ("resque/test_lease.py",),
    "clues/resque/outcome.py": ("resque/test_holding.py", "resque/test_settling.py"),
    "clues/resque/records.py": ("resque/test_holding.py", "resque/test_settling.py"),
    "clues/resque/registry.py": ("resque/test_registry.py",),
    "clues/resque/scoreboard.py": ("resque/test_scoreboard.py",),
    "clues/resque/settling.py": ("resque/test_settling.py",),
    "clues/resque/stored_failure.py": ("resque/test_failed.py",),
    "clues/resque/times.py": ("resque/test_times.py",),
    "clues/resque/wire.py": ("resque/test_wire.py",),
    "clues/runtime.py": ("test_runtime.py", "test_lifecycle.py"),
    "clues/sanitize.py": ("test_sanitize.py", "test_redaction.py", "test_metadata.py"),
    "clues/stamping.py": ("test_lifecycle.py",),
}
"""Which tests, below ``tests``, each file's mutants meet, in that order."""

_EXAMPLES = 25
_SETTINGS = "_hypothesis_internal_use_settings"
_PATIENCE = 5.0  # seconds for what a test waits for, where it would be thirty: mutants let it wait in vain
_CPU = 30  # seconds; what takes longer has no end
_SLOW = re.compile(
    r"test_fifty_megabytes_cost_no_more_than_their_head|test_hostile_text_takes_linear_time"  # of time
    # Of values of megabytes: a mutant's calls take ten times as long.
    r"|test_each_nasty_value_alone\[\d+-(laughs|<lambda>4)\]|test_what_json_cannot_hold_is_made_plain\w*"
)


def main(paths: list[str]) -> int:
    """Try the mutants of some files; gives 1 if that can't be done."""
    from mutmut.__main__ import create_mutants
    from mutmut.mutation.data import SourceFileMutationData
    from mutmut.utils.file_utils import copy_also_copy_files, copy_src_dir, setup_source_paths

    paths = paths or [*TESTS]
    Path("mutants").mkdir(exist_ok=True)
    os.environ["MUTANT_UNDER_TEST"] = "none"  # mutmut's; what it has made asks for it at each call
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
        copy_src_dir()
        copy_also_copy_files()
        setup_source_paths()
        create_mutants(1)
    found = {path: SourceFileMutationData(path=path) for path in paths}
    for data in found.values():
        data.load()
    trial = Trial({path: list(data.exit_code_by_key) for path, data in found.items()})
    os.chdir("mutants")
    files = dict.fromkeys(f"tests/{name}" for path in paths for name in TESTS[path])
    options = ["-q", "--tb=no", "-pno:cacheprovider", "-Wignore::pytest.PytestAssertRewriteWarning", "--timeout=30"]
    pytest.main([*options, *files], plugins=[trial])
    os.chdir("..")
    for data in found.values():
        data.exit_code_by_key.update({name: trial.codes.get(name) for name in data.exit_code_by_key})
        data.save()
    print(f"\n{'':32}{'killed':>8}{'survived':>10}{'share killed':>14}")
    for path, data in found.items():
        survived, tried = Counter(data.exit_code_by_key.values())[0], len(data.exit_code_by_key)
        print(f"{path:32}{tried - survived:8}{survived:10}{1 - survived / tried:14.1%}")
    return int(not trial.codes)


class Trial:
    """Instead of pytest's loop: has each mutant meet its tests in a fork of this process, which has collected them.

    Attributes:
        mutants: mutmut's names of them, by file.
        codes: what became of each, as mutmut has it: 0 survived, 1 was killed, 24 had no end.
    """

    def __init__(self, mutants: dict[str, list[str]]) -> None:
        self.mutants = mutants
        self.codes: dict[str, int] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Let tests that try many values try fewer, and last: most mutants are noticed by one that takes a moment.

        A counterexample is enough, whatever it is: no time is spent on a smaller one, and none on chance.
        """
        items[:] = [item for item in items if not _SLOW.fullmatch(item.name)]
        for item in items:
            if given := getattr(getattr(item, "obj", None), _SETTINGS, None):
                fewer = min(given.max_examples, _EXAMPLES)
                phases = [Phase.explicit, Phase.generate]
                made = settings(given, max_examples=fewer, phases=phases, derandomize=True, database=None)
                setattr(item.obj, _SETTINGS, made)  # type: ignore[attr-defined]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Try the mutants."""
        assert waiting.wait_for.__kwdefaults__ is not None
        waiting.wait_for.__kwdefaults__["timeout"] = _PATIENCE
        session.config.pluginmanager.unregister(name="terminalreporter")
        gc.freeze()
        for path, names in self.mutants.items():
            tests = _ordered(session.items, [f"tests/{name}" for name in TESTS[path]])
            assert met(session, tests, "none") == 0, f"the tests of {path} fail without any mutant"
            for name in names:
                self.codes[name] = met(session, tests, name)
                if self.codes[name] == 0:
                    print(f"survived: {name}", flush=True)
            print(f"{path}: {sum(self.codes[name] == 0 for name in names)} of {len(names)} survived", flush=True)
        return True


def _ordered(items: list[pytest.Item], files: list[str]) -> list[pytest.Item]:
    def order(item: pytest.Item) -> tuple[bool, int]:
        return hasattr(getattr(item, "obj", None), _SETTINGS), files.index(item.location[0])

    return sorted((item for item in items if item.location[0] in files), key=order)


def met(session: pytest.Session, tests: list[pytest.Item], mutant: str) -> int:
    """Have a mutant meet tests; what became of it."""
    if (pid := os.fork()) == 0:
        code = 1
        try:
            os.setpgid(0, 0)
            resource.setrlimit(resource.RLIMIT_CPU, (_CPU, _CPU + 1))
            os.environ["MUTANT_UNDER_TEST"] = mutant
            code = _notice(session, tests)
        finally:
            os._exit(code)
    status = os.waitpid(pid, 0)[1]
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)  # the tests' own children, where a test that failed has left some
    code = os.waitstatus_to_exitcode(status)
    return {0: 0, -signal.SIGXCPU: 24}.get(code, 1)


def _notice(session: pytest.Session, tests: list[pytest.Item]) -> int:
    """1 with the first test that fails, 0 if none does."""
    for item, following in zip(tests, [*tests[1:], None], strict=True):
        session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
