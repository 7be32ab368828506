"""An environment that has clues, and of its libraries no others than were asked for: the rest is really not there."""

from __future__ import annotations

import sys
import venv
from collections.abc import Collection, Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path, PurePath

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
_SHARED = {"google", "opentelemetry"}

EXTRAS = frozenset(distribution("clues").metadata.get_all("Provides-Extra") or ())


def wanted_by(name: str, extra: str = "") -> Iterator[str]:
    """The distributions that one asks for: those of an extra alone, or the base's."""
    for line in distribution(name).requires or ():
        requirement = Requirement(line)
        marker = requirement.marker
        plain = marker is None or marker.evaluate({"extra": ""})
        if plain if not extra else not plain and marker is not None and marker.evaluate({"extra": extra}):
            yield canonicalize_name(requirement.name)


def all_of(names: Collection[str]) -> set[str]:
    """Distributions with all that they ask for in turn; what is not installed here is left out."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found and is_installed(name):
            found.add(name)
            waiting += wanted_by(name)
    return found


def is_installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def bare_python(place: Path, *libraries: str) -> Path:
    """Make an environment with clues, the base's libraries, and some more; gives its interpreter.

    Args:
        place: a folder that is not there yet.
        libraries: distributions that are installed here; what they ask for comes along.
    """
    venv.create(place, symlinks=True)
    python = place / "bin" / "python"
    site = place / "lib" / "python{}.{}".format(*sys.version_info) / "site-packages"
    for name in all_of({*wanted_by("clues"), *libraries}):
        _link(name, site)
    [about] = {file.parts[0] for file in distribution("clues").files or () if file.name == "METADATA"}
    (site / about).symlink_to(str(distribution("clues").locate_file(about)))
    (site / "clues.pth").write_text(f"{ROOT}\n")
    return python


def _link(name: str, site: Path) -> None:
    """Link a distribution's modules and packages; of a package that several have a part of, that part."""
    found = distribution(name)
    for file in {PurePath(*file.parts[: 1 + (file.parts[0] in _SHARED)]) for file in found.files or ()}:
        if file.parts[0] not in {"..", "__pycache__"}:
            (site / file).parent.mkdir(exist_ok=True)
            (site / file).symlink_to(str(found.locate_file(file)))
