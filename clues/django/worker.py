"""Imported by a worker of clues.resque, sets Django up: ``clues work --app clues.django.worker --app shop.jobs``.

``manage.py clues work`` names it by itself. DJANGO_SETTINGS_MODULE says whose settings.
"""

from __future__ import annotations

from typing import Any

import django
from django.db import close_old_connections, connections

from clues.resque import before_first_fork, before_job

django.setup()


@before_first_fork
def _hang_up() -> None:
    """What the application asked the database when it was loaded must not be the children's connection."""
    connections.close_all()


@before_job
def _forget_stale_connections(_job: Any) -> None:
    """As before a request: a worker that lives long must not use what the database has closed meanwhile."""
    close_old_connections()
