"""Celery, with its prefork pool."""

from __future__ import annotations

from collections.abc import Sequence

from tests.conformance.site import Site, System


def command(site: Site) -> Sequence[str]:
    return [
        str(site.python), "-m", "celery", "-A", "tests.conformance.apps.celery_app", "worker", "--loglevel", "WARNING",
        "--concurrency", "2", "--without-gossip", "--without-mingle", "--without-heartbeat",
    ]  # fmt: skip


SYSTEM = System(
    "celery",
    command,
    releases=("celery-newest", "celery-oldest"),
)
