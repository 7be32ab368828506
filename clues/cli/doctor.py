"""``clues doctor``: whether events get where they should."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clues.cli.manual import BEGIN, Manual, command, variables

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    from clues.publishers.spool import Spool

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
        typer.Option("--log", metavar="FILE", help="An event log; those that the application writes, if left out."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The findings as one JSON object.")] = False,
) -> None:
    """Check the configuration, job systems, logs, journal, back ends."""
    import json

    from clues.cli.output import quiet_pipe
    from clues.publishers.spool import Spool, spool_folder

    place = Spool(spool_folder(spool))
    found = _findings(place)
    _look_at_systems(found, app or [], log or [])
    with quiet_pipe():
        if as_json:
            print(json.dumps(found))
        else:
            _print(found)
    if found["problems"]:
        raise typer.Exit(1)


def _findings(spool: Spool) -> dict[str, Any]:
    from dataclasses import asdict

    from clues import __version__
    from clues.errors import ConfigError
    from clues.publishers.health import LATE, Health, published
    from clues.publishers.shipper import holder

    if spool.folder.exists() and not spool.folder.is_dir():
        msg = f"the spool {spool.folder} is no folder; name another by --spool or CLUES_SPOOL"
        raise ConfigError(msg)
    configuration, problems = _configuration()
    dropped, dropped_bytes = spool.dropped() if spool.folder.is_dir() else (0, 0)
    progress = Health(spool).progress() if spool.folder.is_dir() else []
    destinations = [{**asdict(one), "shipper": holder(spool.lock(one.name))} for one in progress]
    for one in destinations:
        if one["lag_events"] and not one["shipper"]:
            problems.append(f"nobody ships to {one['name']}, and {one['lag_events']} events wait for it")
        elif one["lag_seconds"] > LATE:
            problems.append(f"{one['name']} is {one['lag_seconds']:.0f} s behind")
        if one["dead_lettered"]:
            problems.append(f"{one['name']} refused {one['dead_lettered']} events: {spool.dead_letter(one['name'])}")
    if dropped:
        problems.append(f"{dropped} events ({dropped_bytes} bytes) were dropped: the journal was full")
    return {
        "version": __version__,
        "fast": _fast(),
        "publishers": configuration,
        "spool": str(spool.folder),
        "spool_bytes": spool.size() if spool.folder.is_dir() else 0,
        "published": published(progress),
        "dropped": dropped,
        "destinations": destinations,
        "problems": problems,
    }


def _look_at_systems(found: dict[str, Any], modules: list[str], given: list[Path]) -> None:
    """Which job systems are installed and hooked, and whether their events flow."""
    from clues.cli import doctor_systems as looking

    if modules:
        looking.load(modules)
    found["systems"], problems = looking.systems(loaded=bool(modules))
    found["configured"] = looking.configured() if modules else None
    if modules and found["configured"] is None:
        problems.append(f"{', '.join(modules)} does not configure clues, nor does CLUES_PUBLISHERS")
    hooked = [one["name"] for one in found["systems"] if one["hooked"]]
    found["flow"], silent = looking.flowing(given or looking.logs(), hooked)
    found["problems"] += problems + silent


def _configuration() -> tuple[list[str], list[str]]:
    """The publishers that CLUES_PUBLISHERS names, without secrets, and what is wrong with them."""
    import os

    from clues.errors import ConfigError
    from clues.plugs import publisher_schemes, split_url

    named, problems = [], []
    known = publisher_schemes()
    for url in filter(None, map(str.strip, os.environ.get("CLUES_PUBLISHERS", "").split(","))):
        try:
            parts = split_url(url)
            named.append(f"{parts.scheme}://{parts.hostname or ''}{parts.path}")
            if parts.scheme in known:
                _try(parts)
            else:
                problems.append(f"CLUES_PUBLISHERS: there is no publisher {parts.scheme}://")
        except ConfigError as error:
            problems.append(str(error))
    return named, problems


def _try(url: SplitResult) -> None:
    """Make a publisher that ships, with a spool that is gone again; others may open a log, and are left alone.

    Raises:
        ConfigError: it can't be made: an option is mistaken, or a library is missing or too old.
    """
    from tempfile import TemporaryDirectory
    from urllib.parse import urlencode, urlunsplit

    from clues.plugs import publisher_class, publisher_from_url

    if hasattr(publisher_class(url.scheme), "destination"):
        with TemporaryDirectory(prefix="clues-doctor-") as folder:
            query = "&".join(filter(None, (url.query, urlencode({"spool": folder}))))
            publisher_from_url(urlunsplit(url._replace(query=query)))


def _fast() -> dict[str, bool]:
    from importlib.util import find_spec

    return {name: find_spec(name) is not None for name in ("orjson", "hiredis")}


def _print(found: dict[str, Any]) -> None:
    from rich.text import Text

    from clues.cli.output import clean
    from clues.cli.tables import plain_table, print_table

    print(
        f"clues {found['version']}; "
        + ", ".join(
            name if there else f"without {name} (pip install 'clues[fast]')" for name, there in found["fast"].items()
        )
    )
    print(f"publishers: {clean(', '.join(found['publishers'])) or 'none in CLUES_PUBLISHERS'}")
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
