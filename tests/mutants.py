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
    "attempt": ("test_lifecycle", "test_ledger", "test_runtime", "test_metadata"),
    "config": ("test_config",),
    "environment": ("test_config",),
    "event": ("test_event", "test_lifecycle"),
    "faults": ("test_faults", "test_config"),
    "ledger": ("test_ledger",),
    "lifecycle": ("test_lifecycle", "test_runtime", "test_ledger"),
    "lines": ("test_lines",),
    "metadata": ("test_metadata", "test_lifecycle", "test_redaction"),
    "plain": ("test_sanitize", "test_redaction"),
    "plugs": ("test_config", "test_lifecycle", "test_faults"),
    "redaction": ("test_redaction", "test_sanitize"),
    "runtime": ("test_runtime", "test_lifecycle"),
    "sanitize": ("test_sanitize", "test_redaction", "test_metadata"),
    "stamping": ("test_lifecycle",),
}
"""Which tests each module's mutants meet, in that order."""

_EXAMPLES = 25
_SETTINGS = "_hypothesis_internal_use_settings"
_PATIENCE = 5.0  # seconds for what a test waits for, where it would be thirty: mutants let it wait in vain
_CPU = 60  # seconds; what takes longer has no end
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

    modules = [Path(path).stem for path in paths] or [*TESTS]
    Path("mutants").mkdir(exist_ok=True)
    os.environ["MUTANT_UNDER_TEST"] = "none"  # mutmut's; what it has made asks for it at each call
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
        copy_src_dir()
        copy_also_copy_files()
        setup_source_paths()
        create_mutants(1)
    found = {module: SourceFileMutationData(path=f"clues/{module}.py") for module in modules}
    for data in found.values():
        data.load()
    trial = Trial({module: list(data.exit_code_by_key) for module, data in found.items()})
    os.chdir("mutants")
    files = dict.fromkeys(f"tests/{name}.py" for module in modules for name in TESTS[module])
    options = ["-q", "--tb=no", "-pno:cacheprovider", "-Wignore::pytest.PytestAssertRewriteWarning", "--timeout=60"]
    pytest.main([*options, *files], plugins=[trial])
    os.chdir("..")
    for data in found.values():
        data.exit_code_by_key.update({name: trial.codes.get(name) for name in data.exit_code_by_key})
        data.save()
    print(f"\n{'':24}{'killed':>8}{'survived':>10}{'share killed':>14}")
    for module, data in found.items():
        survived, tried = Counter(data.exit_code_by_key.values())[0], len(data.exit_code_by_key)
        print(f"clues/{module + '.py':18}{tried - survived:8}{survived:10}{1 - survived / tried:14.1%}")
    return int(not trial.codes)


class Trial:
    """Instead of pytest's loop: has each mutant meet its tests in a fork of this process, which has collected them.

    Attributes:
        mutants: mutmut's names of them, by module.
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
        for module, names in self.mutants.items():
            tests = _ordered(session.items, TESTS[module])
            assert met(session, tests, "none") == 0, f"{module}'s tests fail without any mutant"
            for name in names:
                self.codes[name] = met(session, tests, name)
                if self.codes[name] == 0:
                    print(f"survived: {name}", flush=True)
        return True


def _ordered(items: list[pytest.Item], names: tuple[str, ...]) -> list[pytest.Item]:
    def order(item: pytest.Item) -> tuple[bool, int]:
        return hasattr(getattr(item, "obj", None), _SETTINGS), names.index(item.path.stem)

    return sorted((item for item in items if item.path.stem in names), key=order)


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
