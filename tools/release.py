"""``make release VERSION=1.0.0``: a release, from its checks to its tag. Nothing leaves the machine.

Where a step fails, the tree is as it was, and the message says what to do.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from packaging.version import InvalidVersion, Version

ROOT = Path(__file__).parents[1]
BRANCH = "main"
CHANGELOG = "CHANGELOG.md"
PACKAGE = "clues/__init__.py"

_UNRELEASED = re.compile(r"^## Unreleased\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_VERSION = re.compile(r'^__version__ = "(.*)"$', re.MULTILINE)
_MINOR = ("Added", "Changed", "Deprecated")


class RefusedError(Exception):
    """There can be no release; the message says why, and what to do."""


def main(arguments: list[str]) -> int:
    """Make a release, or try to, as the command line says."""
    parser = argparse.ArgumentParser(prog="make release", description="Check, build, try, commit and tag a release.")
    parser.add_argument("version", help="such as 1.0.0, or 1.0.0rc1")
    parser.add_argument("--dry-run", action="store_true", help="do it all in a copy, and throw that away")
    options = parser.parse_args(arguments)
    try:
        if options.dry_run:
            rehearse(ROOT, options.version)
        else:
            release(ROOT, options.version)
            print(f"\nTo publish it:\n  git push origin {BRANCH} v{options.version}")
            print(f"  python -m twine upload dist/clues-{options.version}*")
    except RefusedError as refusal:
        print(f"no release: {refusal}", file=sys.stderr)
        return 1
    return 0


def rehearse(root: Path, version: str) -> None:
    """Make the release in a copy of the repository.

    Raises:
        RefusedError: there can be none.
    """
    check(root, version)
    with tempfile.TemporaryDirectory(prefix="clues-release-") as folder:
        copy = Path(folder) / "clues"
        run(root, "git", "clone", "--quiet", "--branch", BRANCH, str(root), str(copy))
        for setting in ("user.name", "user.email"):
            value = _output(root, "git", "config", "--get", setting, default="nobody")
            run(copy, "git", "config", setting, value)
        release(copy, version)
        print(_output(copy, "git", "show", "--stat", "--format=%h %s", f"v{version}^{{commit}}"))
    print(f"\nThat was a rehearsal: nothing is left of it. make release VERSION={version} does it.")


def release(root: Path, version: str, *, try_out: Callable[[Path, str], None] | None = None) -> None:
    """Check, write the version, build, try what was built, commit, tag, and go on with the next version.

    Args:
        root: the repository.
        version: the release's.
        try_out: what is done with the folder of wheel and sdist; `try_packages` if nothing else is said.

    Raises:
        RefusedError: there can be none; the repository is as it was.
    """
    check(root, version)
    try:
        changelog = root / CHANGELOG
        changelog.write_text(dated(changelog.read_text(), version, f"{datetime.now(UTC):%Y-%m-%d}"))
        write_version(root, version)
        say("building")
        run(root, sys.executable, "-m", "build", "--no-isolation", "--outdir", "dist", ".")
        (try_out or try_packages)(root / "dist", version)
        run(root, "git", "commit", "--quiet", "--message", f"Release {version}", CHANGELOG, PACKAGE)
    except BaseException:
        run(root, "git", "checkout", "--quiet", "--", CHANGELOG, PACKAGE)
        raise
    run(root, "git", "tag", "--annotate", f"v{version}", "--message", f"clues {version}")
    # What is built of the branch from here on must not say that it is the release.
    following = next_version(version)
    write_version(root, following)
    run(root, "git", "commit", "--quiet", "--message", f"After {version} comes {following}", PACKAGE)
    say(f"committed, and tagged as v{version}")


def check(root: Path, version: str) -> None:
    """Look whether there can be such a release.

    Raises:
        RefusedError: there can't.
    """
    wanted = _parsed(version)
    branch = _output(root, "git", "branch", "--show-current")
    if branch != BRANCH:
        raise RefusedError(f"releases are made on {BRANCH}, and this is {branch or 'no branch'}: git switch {BRANCH}")
    if changed := _output(root, "git", "status", "--porcelain"):
        raise RefusedError(f"these are not committed; commit or stash them, git status says more:\n{changed}")
    last = last_release(root)
    if last is not None and wanted <= last:
        raise RefusedError(f"{version} is not after {last}, the last release; git tag --list 'v*' shows all")
    notes = unreleased((root / CHANGELOG).read_text())
    if not notes:
        raise RefusedError(f"{CHANGELOG} says nothing under Unreleased: write there what users should know")
    if last is not None and (part := too_small(last, wanted, notes)):
        raise RefusedError(f"after {last} and what {CHANGELOG} says under Unreleased, {version} is no {part} version")


def _parsed(version: str) -> Version:
    try:
        found = Version(version)
    except InvalidVersion:
        raise RefusedError(f"{version!r} is no version: it should be as 1.0.0, or 1.0.0rc1") from None
    is_plain = str(found) == version and len(found.release) == 3  # noqa: PLR2004 - major, minor, patch
    if not is_plain or found.is_devrelease or found.is_postrelease or found.local or found.epoch:
        raise RefusedError(f"{version!r} should be as 1.0.0, or 1.0.0rc1")
    return found


def last_release(root: Path) -> Version | None:
    """The newest version that has a tag."""
    found = []
    for tag in _output(root, "git", "tag", "--list", "v*").split():
        try:
            found.append(Version(tag))
        except InvalidVersion:
            continue  # somebody's own
    return max(found, default=None)


def unreleased(changelog: str) -> str:
    """What stands under Unreleased, without its headings if these have nothing below them."""
    found = _UNRELEASED.search(changelog)
    text = found[1].strip() if found else ""
    return text if re.search(r"^[^#\s]", text, re.MULTILINE) else ""


def too_small(last: Version, wanted: Version, notes: str) -> str:
    """Which part of the version should have grown, and has not: ``major``, ``minor``, or nothing.

    Before 1.0.0 what is removed makes a minor version.
    """
    headings = set(re.findall(r"^### (\w+)", notes, re.MULTILINE))
    is_major = wanted.major > last.major
    is_minor = is_major or wanted.minor > last.minor or last.is_prerelease
    if "Removed" in headings and last.major and not (is_major or last.is_prerelease):
        return "major"
    return "" if is_minor or headings.isdisjoint({"Removed", *_MINOR}) else "minor"


def dated(changelog: str, version: str, day: str) -> str:
    """The changelog with what was unreleased under the version and its day."""
    return changelog.replace("## Unreleased\n", f"## Unreleased\n\n## {version} - {day}\n", 1)


def next_version(version: str) -> str:
    """What the branch is on the way to: the next minor version."""
    major, minor, _ = Version(version).release
    return f"{major}.{minor + 1}.0.dev0"


def write_version(root: Path, version: str) -> None:
    """Write it where the package says which it is."""
    path = root / PACKAGE
    text, count = _VERSION.subn(f'__version__ = "{version}"', path.read_text())
    if count != 1:
        raise RefusedError(f"{PACKAGE} has no line __version__ = …")
    path.write_text(text)


def try_packages(dist: Path, version: str) -> None:
    """Check wheel and sdist, and use the wheel as somebody would who has nothing else.

    Raises:
        RefusedError: something is wrong with them.
    """
    (wheel,) = dist.glob(f"clues-{version}-*.whl")
    say("checking")
    run(dist, sys.executable, "-m", "twine", "check", "--strict", wheel.name, f"clues-{version}.tar.gz")
    with tempfile.TemporaryDirectory(prefix="clues-try-") as folder:
        say("trying the wheel in an environment of its own")
        place = Path(folder)
        venv.create(place / "venv", with_pip=True)
        programs = place / "venv" / "bin"
        run(place, str(programs / "python"), "-m", "pip", "install", "--quiet", f"{wheel}[demo]")
        said = _output(place, str(programs / "clues"), "--version")
        if version not in said.split():
            raise RefusedError(f"the wheel's clues --version says {said!r}, not {version}")
        run(place, str(programs / "clues"), "demo", "--seconds", "2")


def say(text: str) -> None:
    """Tell how far it is."""
    print(f"release: {text}", flush=True)


def run(folder: Path, *command: str) -> str:
    """Run a program; its output is shown if it fails.

    Raises:
        RefusedError: it has failed.
    """
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RefusedError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}".rstrip())
    return done.stdout.strip()


def _output(folder: Path, *command: str, default: str | None = None) -> str:
    try:
        return run(folder, *command)
    except RefusedError:
        if default is None:
            raise
        return default


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
