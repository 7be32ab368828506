"""docs/supported.md, pyproject.toml and the runner's lowest releases agree."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from clues.demo.redis_server import OLDEST
from tests.conformance.environments import RELEASES
from tests.matrix.pythons import LOWEST
from tests.matrix.servers import KNOWN, is_called

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PAGE = (ROOT / "docs" / "supported.md").read_text()
JOB_SYSTEMS = ("arq", "celery", "dramatiq", "huey", "rq", "taskiq")
OF_OURS = {"all", "dev", "docs"}
WITH_RELEASES = {*JOB_SYSTEMS, "django", "fastapi", "flask"}


def requirements(path: Path) -> list[Requirement]:
    lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
    return [Requirement(line) for line in lines if line]


def floors(*lines: str) -> dict[str, str]:
    """The oldest release that each requirement allows."""
    found: dict[str, str] = {}
    for one in map(Requirement, lines):
        [lowest] = (each.version for each in one.specifier if each.operator == ">=")
        found[canonicalize_name(one.name)] = lowest
    return found


def row(first: str) -> list[str]:
    """The cells of the page's line that begins with a word."""
    [line] = (line for line in PAGE.splitlines() if line.startswith(f"| {first} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_pythons() -> None:
    """The classifiers name those of the page's table that the tests have run on, and none is older than is required."""
    prefix = "Programming Language :: Python :: "
    named = {text.removeprefix(prefix) for text in PROJECT["classifiers"] if text.startswith(f"{prefix}3.")}
    shown = set(re.findall(r"^\| Python (3\.\d+) \|", PAGE, re.MULTILINE))
    assert named == shown
    assert all(version in SpecifierSet(PROJECT["requires-python"]) for version in named)
    oldest = min(named, key=lambda version: int(version.partition(".")[2]))
    assert PROJECT["requires-python"] == f">={oldest}"


def test_operating_systems() -> None:
    systems = [text for text in PROJECT["classifiers"] if text.startswith("Operating System")]
    assert systems == ["Operating System :: POSIX :: Linux"]
    assert "Linux only" in PAGE


def test_servers() -> None:
    """Each that the page has a line of can be asked for, and the oldest is the one that clues says it needs."""
    shown = {"-".join(found).lower() for found in re.findall(r"^\| (Redis|Valkey) (\d[\d.]*) \|", PAGE, re.MULTILINE)}
    assert shown == set(KNOWN)
    assert f"redis-{'.'.join(map(str, OLDEST))}" in shown
    assert is_called("redis-6.2.7", "redis-6.2")
    assert is_called("valkey-8.1.1", "valkey-8")
    assert not is_called("redis-60.2", "redis-6")
    assert not is_called("valkey-8.1.1", "redis-8")


def test_lowest_releases_are_those_that_are_allowed() -> None:
    """Of the base, and of each extra; the page shows the same."""
    extras = PROJECT["optional-dependencies"]
    asked = [line for name, lines in extras.items() if name not in WITH_RELEASES | OF_OURS for line in lines]
    wanted = floors(*PROJECT["dependencies"], *asked)
    pinned = {
        canonicalize_name(one.name): str(one.specifier).removeprefix("==")
        for one in requirements(LOWEST)
        if one.name != "click"  # no library of ours
    }
    assert pinned.keys() == wanted.keys()
    for name, version in pinned.items():
        assert version in SpecifierSet(f"=={wanted[name]}"), name
        assert f"| {name} | {wanted[name]} |" in PAGE


def test_releases_of_job_systems_and_frameworks_are_allowed() -> None:
    """The oldest ones tried are the oldest that are allowed, the newest are allowed."""
    for name in sorted(WITH_RELEASES):
        [*_, wanted] = (
            one
            for one in map(Requirement, PROJECT["optional-dependencies"][name])
            if canonicalize_name(one.name) == name
        )
        [lowest] = (each.version for each in wanted.specifier if each.operator == ">=")
        oldest = [one for one in requirements(RELEASES / f"{name}-oldest.txt") if canonicalize_name(one.name) == name]
        newest = [one for one in requirements(RELEASES / f"{name}-newest.txt") if canonicalize_name(one.name) == name]
        pinned = [str(one.specifier).removeprefix("==") for one in oldest]
        assert pinned[0] in SpecifierSet(f"=={lowest}"), f"{name}: {pinned[0]}, allowed is {lowest}"
        assert all(str(one.specifier).removeprefix("==") in wanted.specifier for one in newest)
