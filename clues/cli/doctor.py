"""``clues doctor``: whether events get where they should."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from clues.cli.manual import BEGIN, Manual, command, variables

_MANUAL = Manual(
    (
        "clues doctor",
        "clues doctor --app shop.celery --log /var/log/clues.log",
        "clues doctor --spool /var/spool/clues --json | jq '.destinations[].lag_seconds'",
    ),
    environment=variables("CLUES_PUBLISHERS", "CLUES_SPOOL"),
    exit_status={0: "all is well", 1: "something is wrong, and said"},
)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, doctor, _MANUAL, BEGIN)


def doctor(
    *,
    spool: Annotated[
        Path | None,
        typer.Option(
            "--spool",
            metavar="DIR",
            help="The spool folder; CLUES_SPOOL, else the user's own, if left out.",
            show_default=False,
        ),
    ] = None,
    app: Annotated[
        list[str] | None,
        typer.Option("--app", "-a", metavar="MODULE", help="Import the application, and see what it hooks."),
    ] = None,
    log: Annotated[
        list[Path] | None,
        typer.Option(
            "--log",
            metavar="FILE",
            help="An event log; if left out, those that the application or CLUES_PUBLISHERS writes.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The findings as one JSON object.")] = False,
) -> None:
    """Check the configuration, job systems, logs, journal, back ends."""
    import json
    import os

    from clues.checkup import examined
    from clues.cli.output import quiet_pipe
    from clues.publishers.spool import Spool, spool_folder

    found = examined(Spool(spool_folder(spool)), app or [], log or [], os.environ)
    with quiet_pipe():
        if as_json:
            print(json.dumps(found))
        else:
            _print(found, loaded=bool(app))
    if found["problems"]:
        raise typer.Exit(1)


def _print(found: dict[str, Any], *, loaded: bool) -> None:
    from rich.text import Text

    from clues.cli.output import clean
    from clues.cli.tables import plain_table, print_table

    print(
        f"clues {found['version']}; "
        + ", ".join(
            name if there else f"without {name} (pip install 'clues[fast]')" for name, there in found["fast"].items()
        )
    )
    none = "none in CLUES_PUBLISHERS" + ("" if loaded else "; see with --app what the application configures")
    print(f"publishers: {clean(', '.join(found['publishers'])) or none}")
    _print_systems(found)
    print(f"spool: {clean(found['spool'])}, {found['spool_bytes']:,} bytes, {found['dropped']:,} events dropped")
    if found["destinations"]:
        table = plain_table()
        for heading in ("destination", "delivered", "sent again", "refused", "waiting", "lag", "shipper"):
            table.add_column(heading, justify="left" if heading == "destination" else "right")
        for one in found["destinations"]:
            table.add_row(
                Text(clean(one["name"]), overflow="fold"),
                f"{one['delivered']:,}",
                f"{one['retried']:,}",
                f"{one['dead_lettered']:,}",
                f"{one['lag_events']:,}",
                f"{one['lag_seconds']:.1f} s",
                str(one["shipper"] or "nobody"),
            )
        print_table(table)
    for problem in found["problems"]:
        print(f"! {clean(problem)}")
    if not found["problems"]:
        print("all is well")


def _print_systems(found: dict[str, Any]) -> None:
    from rich.text import Text

    from clues.cli.output import clean
    from clues.cli.tables import plain_table, print_table

    if found["configured"] is not None:
        faults = "".join(f"; {name}: {count} faults" for name, count in found["configured"]["faults"].items())
        print(f"configured by the application: {clean(found['configured']['publisher'] + faults)}")
    for one in found["systems"]:
        hooked = one["hooked"]
        state = "see with --app whether it is hooked" if hooked is None else ", ".join(hooked) or "not hooked"
        tried = f" (tried with {one['tried_with']})" if one["tried_with"] else ""
        print(f"{one['name']} {one['version']}{tried}: {clean(state)}")
    if found["flow"]:
        table = plain_table()
        for heading in ("log", "system", "last event", "of the last ones"):
            table.add_column(heading)
        for flow in found["flow"]:
            types = ", ".join(f"{count:,} {name}" for name, count in flow["types"].items())
            table.add_row(*(Text(clean(text)) for text in (flow["log"], flow["system"], flow["last"], types)))
        print_table(table)
