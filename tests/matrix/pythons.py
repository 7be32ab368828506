"""Environments of other Pythons, each made once: ``.matrix/3.13-lowest/``."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

from tests.matrix.unavailable import UnavailableError

ROOT = Path(__file__).parents[2]
LOWEST = Path(__file__).parent / "lowest.txt"
_PYENV = Path.home() / ".pyenv" / "versions"


def environment(place: Path, python: str, libraries: str) -> Path:
    """The interpreter of an environment with clues, its tests' tools, and all extras that the tests use.

    Args:
        place: where environments are kept.
        python: a version, ``3.13``, or an interpreter's path.
        libraries: ``newest`` or ``lowest``.

    Raises:
        UnavailableError: there is no such Python, or its libraries can't be installed.
    """
    interpreter = next(_interpreters(python), None)
    if interpreter is None:
        msg = f"no python{python} on PATH, of pyenv or of uv; give its path"
        raise UnavailableError(msg)
    home = place / f"{version_of(interpreter)}-{libraries}"
    made = home / "made-from.txt"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    origin = repr((project["dependencies"], project["optional-dependencies"])) + LOWEST.read_text()
    if not made.exists() or made.read_text() != origin:
        shutil.rmtree(home, ignore_errors=True)
        _run(interpreter, "-m", "venv", str(home))
        _run(home / "bin" / "python", "-m", "pip", "install", "--quiet", *_choice(libraries))
        made.write_text(origin)
    return home / "bin" / "python"


def version_of(interpreter: Path) -> str:
    """Which Python it is, ``3.13.0``."""
    program = "import platform; print(platform.python_version())"
    return subprocess.run([interpreter, "-c", program], capture_output=True, text=True, check=True).stdout.strip()


def _choice(libraries: str) -> list[str]:
    """What pip is asked for. The oldest releases are wheels or nothing: to build them takes compilers of their time."""
    asked = ["--disable-pip-version-check", "--editable", f"{ROOT}[demo,dev,fast]"]
    if libraries == "lowest":
        return [*asked, "--only-binary", ":all:", "--no-binary", "clues", "--constraint", str(LOWEST)]
    return [*asked, "--prefer-binary"]


def _interpreters(python: str) -> Iterator[Path]:
    if "/" in python:
        yield Path(python)
        return
    found = shutil.which(f"python{python}")
    # pyenv's shims are on PATH for versions too that are not switched on.
    if found and subprocess.run([found, "--version"], capture_output=True, check=False).returncode == 0:
        yield Path(found)
    yield from sorted(_PYENV.glob(f"{python}*/bin/python"), reverse=True)
    if shutil.which("uv"):
        told = subprocess.run(["uv", "python", "find", python], capture_output=True, text=True, check=False)
        if told.returncode == 0:
            yield Path(told.stdout.strip())


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if "ERROR" in line]
        msg = f"{' '.join(map(str, command[:4]))}: {(said or ['it failed'])[0]}"
        raise UnavailableError(msg)
