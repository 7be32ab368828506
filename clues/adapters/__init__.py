"""Hooks into the job systems that people run: one flat module for each, none knows of another.

Each is imported by its name where it is wanted, ``import clues.adapters.celery``, and needs the extra of that name.
All have these in common:

- ``install(…)`` hooks in, with the application, broker or instance where the system has one, and ``uninstall(…)`` takes
  that back; Dramatiq's and taskiq's `CluesMiddleware` can be added by hand as well;
- ``hooked() -> list[str]``: on what it is installed in this process, for ``clues doctor``;
- events say in ``_system`` which system they are from, in ``_job_id`` that system's own id of the job;
- ``_attempt`` counts the job's attempts, each with its own end; ``_retrying`` on `failed` says that another follows;
- ``_reason`` on `failed` says why, where the job did not fail by itself: see `clues.lifecycle.Lifecycle.outcome`.
"""
