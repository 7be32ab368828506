"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

RedisUrl = Annotated[
    str | None,
    typer.Option("--redis", metavar="URL", help="Which Redis; the application's or REDIS_URL if left out."),
]
Namespace = Annotated[
    str | None,
    typer.Option("--namespace", metavar="NAME", help="What stands before every key; resque if left out."),
]
