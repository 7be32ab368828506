"""``manage.py clues …``: the command line of clues, with Django set up."""

from __future__ import annotations

import os
import sys
from argparse import REMAINDER
from collections.abc import Sequence
from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.module_loading import module_has_submodule

from clues.cli import main

_DJANGO = "clues.django.worker"
_LOADING = ("work", "start", "enqueue")  # commands that load an application
_DJANGOS = ("--settings", "--pythonpath")


class Command(BaseCommand):
    """Hands all it is given to the command line of clues."""

    help = "Run a command of clues, such as doctor, tail, trace or work; manage.py clues --help lists them."
    requires_system_checks: Sequence[str] = []

    def run_from_argv(self, argv: list[str]) -> None:
        """As a program: all that follows is clues' own, ``--help`` too, but for ``--settings`` and ``--pythonpath``."""
        sys.exit(self._run(_without_djangos(argv[2:])))

    def add_arguments(self, parser: CommandParser) -> None:
        """What `call_command` may give."""
        parser.add_argument("args", nargs=REMAINDER, metavar="command")

    def handle(self, *args: str, **_options: Any) -> None:
        """As a function: ``call_command("clues", "doctor")``.

        Raises:
            CommandError: its exit status is not 0.
        """
        status = self._run(list(args))
        if status:
            msg = f"clues {' '.join(args)} ended with status {status}"
            raise CommandError(msg, returncode=status)

    @staticmethod
    def _run(args: list[str]) -> int:
        command = args[0] if args else ""
        if command in _LOADING:
            _tell_children()
            args = [command, *_apps(), *args[1:]]
        elif command == "doctor":
            args = [command, f"--app={_DJANGO}", *args[1:]]  # so that it looks at what this process has configured
        return main(args)


def _apps() -> list[str]:
    """What a worker is to load: Django, then each installed app's module ``jobs``."""
    jobs = [f"{app.name}.jobs" for app in apps.get_app_configs() if module_has_submodule(app.module, "jobs")]
    return [f"--app={module}" for module in (_DJANGO, *jobs)]


def _tell_children() -> None:
    """A worker's application is loaded by a process of its own: it is to find the project as this one does."""
    given = any(one.startswith("--pythonpath") for one in sys.argv)  # Django has put that first
    project = [os.path.abspath(path) for path in sys.path[: 2 if given else 1]]  # noqa: PTH100 - an empty one is the current folder
    os.environ["PYTHONPATH"] = os.pathsep.join([*project, *filter(None, [os.environ.get("PYTHONPATH")])])


def _without_djangos(args: list[str]) -> list[str]:
    """The arguments without those that Django has taken already."""
    left: list[str] = []
    given = iter(args)
    for one in given:
        if one in _DJANGOS:
            next(given, None)
        elif not one.startswith(tuple(f"{name}=" for name in _DJANGOS)):
            left.append(one)
    return left
