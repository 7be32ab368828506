"""Mutants: the core with one small mistake at a time, and whether its tests notice. ``make mutants`` runs it.

``python -m tests.mutants clues/metadata.py clues/event.py`` has mutmut (pyproject: ``tool.mutmut``) try those files,
all of the core if none is named, and prints what became of each file's mutants. ``mutmut browse`` shows the survivors.

To pytest, while mutants are tried, this module is a plugin.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import Phase, settings

_BIN = Path(sys.executable).parent
_EXAMPLES = 25
_SETTINGS = "_hypothesis_internal_use_settings"
# Tests of values of megabytes: a mutant's calls take ten times as long.
_HUGE = re.compile(r"test_each_nasty_value_alone\[\d+-(laughs|<lambda>4)\]|test_what_json_cannot_hold_is_made_plain\w*")


def pytest_configure() -> None:
    """A counterexample is enough, whatever it is: no time is spent on a smaller one, and none on chance."""
    settings.register_profile("mutants", phases=[Phase.explicit, Phase.generate], derandomize=True, database=None)
    settings.load_profile("mutants")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let tests that try many values try fewer, and last: most mutants are noticed by one that takes a millisecond."""
    items[:] = [item for item in items if not _HUGE.fullmatch(item.name)]
    for item in items:
        if hasattr(item, "obj") and hasattr(item.obj, _SETTINGS):
            fewer = min(getattr(item.obj, _SETTINGS).max_examples, _EXAMPLES)
            setattr(item.obj, _SETTINGS, settings(getattr(item.obj, _SETTINGS), max_examples=fewer))
    items.sort(key=lambda item: hasattr(getattr(item, "obj", None), _SETTINGS))


def main(paths: list[str]) -> int:
    """Try the mutants of some files; gives 1 if there were none to try."""
    patterns = [path.removesuffix(".py").replace("/", ".") + ".*" for path in paths]
    run = subprocess.run([_BIN / "mutmut", "run", *patterns], check=False)
    if run.returncode:
        return run.returncode
    found = tally(
        subprocess.run([_BIN / "mutmut", "results", "--all", "1"], capture_output=True, text=True, check=True).stdout
    )
    print(f"\n{'':24}{'killed':>8}{'survived':>10}{'no test':>9}{'share killed':>14}")
    for module, results in sorted(found.items()):
        if paths and f"{module.replace('.', '/')}.py" not in paths:
            continue
        killed = results["killed"] + results["timeout"] + results["segfault"]
        tried = killed + results["survived"] + results["no tests"]
        print(f"{module:24}{killed:8}{results['survived']:10}{results['no tests']:9}{killed / (tried or 1):14.1%}")
    return 0


def tally(results: str) -> dict[str, Counter[str]]:
    """What became of each module's mutants, by ``mutmut results``: ``clues.plain.x_plain__mutmut_3: killed``."""
    found: dict[str, Counter[str]] = {}
    for line in results.splitlines():
        name, _, result = line.strip().partition(": ")
        module, _, function = name.rpartition(".")
        if function:
            found.setdefault(module, Counter())[result] += 1
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
