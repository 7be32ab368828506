"""Runs in a job system's own environment: imports its application, and enqueues what is told on standard input.

One JSON object a line: ``{"job": "succeed", "args": [1, 2], "options": {"delay": 1.5}}``. The answers, one a line:
``{"id": "the system's own id"}``, or ``{"error": "OperationalError", "message": "…"}``.

Started as ``python -m tests.conformance.producer tests.conformance.apps.celery_app``.
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any


class Odd:
    """What no JSON holds and no pickle takes."""

    def __reduce__(self) -> str:
        raise TypeError("an Odd can't be pickled")


def main(module: str) -> None:
    app = importlib.import_module(module)
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        told = json.loads(line)
        args = [Odd() if arg == "ODD" else arg for arg in told["args"]]
        print(json.dumps(_enqueue(app, told["job"], args, told["options"])), file=answers, flush=True)


def _enqueue(app: Any, job: str, args: list[Any], options: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"id": app.enqueue(job, *args, **options)}
    except Exception as error:
        return {"error": type(error).__name__, "message": str(error)[:500]}


if __name__ == "__main__":
    main(sys.argv[1])
